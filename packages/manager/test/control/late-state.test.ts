import { beforeEach, describe, expect, test } from '@jest/globals';
import type { ControlDependencies } from '../../src/control/dependencies.js';
import { createSecretsHandlers } from '../../src/control/secrets.js';
import { createServicesHandlers } from '../../src/control/services.js';
import { bindingMessage, CALL, specMessage, TestControl } from './cluster.js';

let control: TestControl;
/** A manager that lags: `late` was committed elsewhere, and arrives when it asks the leader. */
let deps: ControlDependencies;
beforeEach(async () => {
  control = await TestControl.open();
  let hasArrived = false;
  deps = {
    ...control.deps,
    readIndex: async () => {
      if (!hasArrived) await control.set('late', 'x');
      hasArrived = true;
    },
  };
});

describe('what was committed through another manager and has not arrived here yet', () => {
  test.each(['', 'key'])('is removed, with the idempotency key "%s"', async (idempotencyKey) => {
    const secrets = createSecretsHandlers(deps);
    await secrets.remove({ secret: 'late', idempotencyKey }, CALL);
    expect(control.state.secretByName('late')).toBeUndefined();
  });

  test('is bound by a service', async () => {
    const services = createServicesHandlers(deps);
    const spec = specMessage({ bindings: [bindingMessage({ secretName: 'late' })] });
    await services.create({ spec, idempotencyKey: '' }, CALL);
    expect(control.state.serviceByName(spec.name)).toBeDefined();
  });

  test('is told to be missing only after the leader was asked', async () => {
    const secrets = createSecretsHandlers(deps);
    await expect(
      secrets.destroyVersion(
        { secret: 'none', version: 1, force: false, idempotencyKey: '' },
        CALL,
      ),
    ).rejects.toMatchObject({ code: 'CV_SECRET_NOT_FOUND' });
    expect(control.state.secretByName('late')).toBeDefined();
  });
});
