import { describe, expect, test } from '@jest/globals';
import { limits } from '@conclave/kernel';
import { Bench, serviceSpec } from './support/bench.js';

const request = (key: string, fingerprint = 'f') => ({ request: { key, fingerprint } });

describe('idempotency', () => {
  test('a repetition answers what the first one did, and does nothing', () => {
    const bench = new Bench();
    const command = bench.setCommand('a', 1, { force: true });
    const first = bench.apply(command, request('k'));
    const digest = bench.state.digest();
    bench.set('b', 1);
    const other = bench.state.digest();
    expect(bench.apply(command, request('k'))).toEqual(first);
    expect(bench.state.digest()).toBe(other);
    expect(other).not.toBe(digest);
    expect(bench.state.secretById('id-a')?.latestVersion).toBe(1);
  });

  test('another request under the same key is refused', () => {
    const bench = new Bench();
    bench.ok(bench.setCommand('a', 1), request('k'));
    bench.no('CV_IDEMPOTENCY_REUSED', bench.setCommand('b', 1), request('k', 'other'));
    expect(bench.state.secretByName('b')).toBeUndefined();
  });

  test('a refusal is not remembered: what was sealed again goes through under the same key', () => {
    const bench = new Bench();
    bench.set('a', 1);
    bench.no('CV_VERSION_STALE', bench.setCommand('a', 2, { version: 1 }), request('k'));
    expect(bench.ok(bench.setCommand('a', 2), request('k'))).toMatchObject({ version: 2 });
  });

  test('an answer that changed nothing is remembered too', () => {
    const bench = new Bench();
    bench.set('a', 1);
    const command = bench.setCommand('a', 1);
    bench.ok(command, request('k'));
    bench.set('a', 2);
    expect(bench.apply({ ...command, version: 3 }, request('k'))).toMatchObject({
      ok: true,
      index: 2,
      values: { version: 1, unchanged: true },
    });
    expect(bench.state.secretById('id-a')?.latestVersion).toBe(2);
  });

  test('the oldest keys are forgotten in the order of the log', () => {
    const bench = new Bench();
    const spec = serviceSpec();
    bench.ok({ kind: 'service.create', id: 's1', spec }, request('first'));
    for (let number = 2; number <= limits.IDEMPOTENCY_KEYS_MAX; number += 1) {
      bench.state.apply(bench.state.appliedIndex + 1, {
        kind: 'service.update',
        id: 's1',
        spec,
        objectVersion: 0,
        atMs: 1,
        by: { kind: 'system', id: '' },
        ...request(`k${number}`),
      });
    }
    const create = { kind: 'service.create', id: 's1', spec } as const;
    expect(bench.apply(create, request('first'))).toMatchObject({ ok: true });
    const update = { kind: 'service.update', id: 's1', spec, objectVersion: 0 } as const;
    bench.ok(update, request('one more'));
    expect(bench.state.counts().requests).toBe(limits.IDEMPOTENCY_KEYS_MAX);
    bench.no('CV_NAME_TAKEN', create, request('first'));
    // The next oldest is still there, so its key cannot be used for something else.
    bench.no('CV_IDEMPOTENCY_REUSED', update, request('k2', 'other'));
    bench.ok(update, request('two more'));
    bench.ok(update, request('k2', 'other'));
  });
});
