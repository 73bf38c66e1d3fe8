import { beforeEach, expect, test } from '@jest/globals';
import { limits, required } from '@conclave/kernel';
import { CERTIFICATE_SKEW_MS } from '@conclave/pki';
import type { ClusterSettingsInput, UpdateSettingsRequest } from '@conclave/wire';
import { CALL, TestControl } from './cluster.js';

const HOUR_MS = 3_600_000;

let control: TestControl;
beforeEach(async () => {
  control = await TestControl.open();
});

const code = (name: string): unknown => expect.objectContaining({ code: name });

function update(fields: Partial<UpdateSettingsRequest>): Promise<ClusterSettingsInput> {
  const request = {
    objectVersion: 0,
    managerCertificateLifeMs: 0,
    workerCertificateLifeMs: 0,
    adminCertificateLifeMs: 0,
    idempotencyKey: '',
    ...fields,
  };
  return control.cluster.updateSettings(request, CALL);
}

test('settings are changed by name, and read as they were changed', async () => {
  const before = await control.cluster.getSettings({}, CALL);
  const { managerLifeMs, adminLifeMs } = limits.CERTIFICATES_DEFAULT;
  const after = await update({ workerCertificateLifeMs: 2 * HOUR_MS });
  expect(after).toEqual({
    objectVersion: expect.any(Number) as unknown,
    managerCertificateLifeMs: managerLifeMs,
    workerCertificateLifeMs: 2 * HOUR_MS,
    adminCertificateLifeMs: adminLifeMs,
  });
  expect(after.objectVersion).toBeGreaterThan(Number(before.objectVersion));
  expect(await control.cluster.getSettings({}, CALL)).toEqual(after);
});

test('a change of what somebody else has changed meanwhile is refused', async () => {
  const { objectVersion = 0 } = await control.cluster.getSettings({}, CALL);
  await update({ objectVersion, adminCertificateLifeMs: HOUR_MS });
  const late = update({ objectVersion, adminCertificateLifeMs: 2 * HOUR_MS });
  await expect(late).rejects.toEqual(code('CV_VERSION_STALE'));
});

test('the same change twice under one key is one', async () => {
  const change = { adminCertificateLifeMs: HOUR_MS, idempotencyKey: 'key-1' };
  const { objectVersion } = await update(change);
  expect((await update(change)).objectVersion).toBe(objectVersion);
  const other = update({ ...change, adminCertificateLifeMs: 2 * HOUR_MS });
  await expect(other).rejects.toEqual(code('CV_IDEMPOTENCY_REUSED'));
});

test.each([
  ['no setting at all', {}],
  ['a life that is too short', { workerCertificateLifeMs: limits.CERTIFICATE_LIFE_MS_MIN - 1 }],
  ['a life that is too long', { managerCertificateLifeMs: limits.CERTIFICATE_LIFE_MS_MAX + 1 }],
  ['days too many for people', { adminCertificateLifeMs: limits.ADMIN_TTL_MS_MAX + 1 }],
])('%s is refused, and nothing changes', async (_what, change) => {
  const before = await control.cluster.getSettings({}, CALL);
  await expect(update(change)).rejects.toEqual(code('CV_ARGUMENT_INVALID'));
  expect(await control.cluster.getSettings({}, CALL)).toEqual(before);
});

test('a certificate is a problem late in its own life, however short that is', async () => {
  await update({ workerCertificateLifeMs: HOUR_MS });
  const id = control.addWorker('w1');
  const problems = async (leftMs: number): Promise<unknown> => {
    const known = required(control.state.nodeById(id), 'node').certificate;
    const notAfterMs = control.time.now() + leftMs;
    const notBeforeMs = notAfterMs - HOUR_MS - CERTIFICATE_SKEW_MS;
    const certificate = { ...known, notBeforeMs, notAfterMs, serial: `left-${leftMs}` };
    control.apply({
      kind: 'node.renew',
      id,
      usedSerial: known.serial,
      certificate,
      previousUntilMs: 0,
    });
    const status = await control.cluster.getStatus({}, CALL);
    return status.problems?.map((problem) => problem.code);
  };
  expect(await problems(HOUR_MS / 4)).not.toContain('certificate-expiring');
  expect(await problems(HOUR_MS / 6)).toContain('certificate-expiring');
});
