import { beforeEach, describe, expect, test } from '@jest/globals';
import { encodeAdminTranscript, generateNodeKey, proveKey } from '@conclave/pki';
import type { NodeKey } from '@conclave/pki';
import type { CreateAdminRequest } from '@conclave/wire';
import { bindingMessage, CALL, collect, specMessage, TestControl } from './cluster.js';

let control: TestControl;
beforeEach(async () => {
  control = await TestControl.open();
});

const code = (name: string): unknown => expect.objectContaining({ code: name });
const HOUR_MS = 3_600_000;

function request(fields: Partial<CreateAdminRequest> = {}, key?: NodeKey): CreateAdminRequest {
  const { privateKeyPem, spkiDer } = key ?? generateNodeKey();
  const name = fields.name ?? 'ann';
  return {
    name,
    roles: ['operator'],
    uses: [],
    ttlMs: 0,
    publicKey: Buffer.from(spkiDer),
    proof: Buffer.from(proveKey(privateKeyPem, encodeAdminTranscript(name, spkiDer))),
    idempotencyKey: '',
    ...fields,
  };
}

const create = (
  fields: Partial<CreateAdminRequest> = {},
): ReturnType<TestControl['admins']['create']> => control.admins.create(request(fields), CALL);

describe('an administrator', () => {
  test('gets a certificate for 12 hours and what a context needs', async () => {
    const made = await create({ roles: ['secret-writer', 'viewer'] });
    expect(made).toMatchObject({
      admin: { name: 'ann', roles: ['viewer', 'secret-writer'], ttlMs: 12 * HOUR_MS },
      certificate: Uint8Array.of(7, 1),
      addresses: ['alpha:7420'],
      clusterId: control.state.cluster()?.id,
    });
    expect(made.admin?.createdBy).toEqual(CALL.actor);
    const [listed] = await collect(control.admins.list({}, CALL));
    expect(listed).toEqual(made.admin);
  });

  test('gets the life that the cluster sets when nobody names one', async () => {
    const certificates = {
      managerLifeMs: undefined,
      workerLifeMs: undefined,
      adminLifeMs: HOUR_MS,
    };
    control.apply({ kind: 'cluster.settings', objectVersion: 0, certificates });
    expect((await create()).admin?.ttlMs).toBe(HOUR_MS);
    expect((await create({ name: 'bob', ttlMs: 5_000 })).admin?.ttlMs).toBe(5_000);
  });

  test.each<Partial<CreateAdminRequest>>([
    { roles: [] },
    { roles: ['root'] },
    { roles: ['viewer', 'viewer'] },
    { roles: ['viewer', ''] },
    { uses: ['**'] },
    { roles: ['viewer'], uses: ['shop/*'] },
    { uses: Array<string>(65).fill('a') },
    { ttlMs: 999 },
    { ttlMs: 7 * 24 * HOUR_MS + 1 },
    { proof: Buffer.alloc(64) },
    { publicKey: Buffer.alloc(91) },
  ])('is refused: %j', async (fields) => {
    await expect(create(fields)).rejects.toEqual(code('CV_ARGUMENT_INVALID'));
    expect(control.state.counts().admins).toBe(0);
  });

  test('is refused with the proof for another name', async () => {
    const { proof, publicKey } = request({ name: 'bob' });
    await expect(create({ proof, publicKey })).rejects.toEqual(code('CV_ARGUMENT_INVALID'));
    await expect(create({ name: 'a b' })).rejects.toEqual(code('CV_NAME_INVALID'));
  });

  test('keeps its name and its key to itself', async () => {
    const key = generateNodeKey();
    await control.admins.create(request({}, key), CALL);
    await expect(create()).rejects.toEqual(code('CV_NAME_TAKEN'));
    const other = control.admins.create(request({ name: 'bob' }, key), CALL);
    await expect(other).rejects.toEqual(code('CV_ARGUMENT_INVALID'));
  });

  test('a repeated request leaves one, whose certificate somebody has', async () => {
    const asked = request({ idempotencyKey: 'key' });
    await control.admins.create(asked, CALL);
    const second = await control.admins.create(asked, CALL);
    const live = [...control.state.admins()].filter((row) => !row.isRevoked);
    expect(live.map((row) => row.id)).toEqual([second.admin?.id]);
    expect(live[0]?.certificate.serial).toBe(second.admin?.serial);
  });

  test('is revoked by name or id, once and for all', async () => {
    const { admin } = await create();
    await control.admins.revoke({ admin: 'ANN', idempotencyKey: '' }, CALL);
    expect(control.state.adminById(admin?.id ?? '')?.isRevoked).toBe(true);
    await control.admins.revoke({ admin: admin?.id ?? '', idempotencyKey: '' }, CALL);
    const unknown = control.admins.revoke({ admin: 'bob', idempotencyKey: '' }, CALL);
    await expect(unknown).rejects.toEqual(code('CV_ADMIN_NOT_FOUND'));
  });
});

describe('an operator', () => {
  // Attack row A15, and A11 for the batch of bindings.
  test('needs the right to use each secret that it binds', async () => {
    for (const name of ['shop/db', 'shop/key', 'bank/key']) await control.set(name, 'v');
    const { admin } = await create({ uses: ['shop/*'] });
    const call = { ...CALL, actor: { kind: 'admin', id: admin?.id ?? '' } } as const;
    const service = (name: string, ...names: string[]): Promise<unknown> => {
      const bindings = names.map((secretName) => bindingMessage({ secretName }));
      const spec = specMessage({ name, bindings });
      return control.services.create({ spec, idempotencyKey: '' }, call);
    };
    await service('plain');
    await service('shop', 'shop/db', 'shop/key');
    const mixed = service('mixed', 'shop/db', 'bank/key');
    await expect(mixed).rejects.toMatchObject({
      code: 'CV_SECRET_USE_FORBIDDEN',
      message: expect.stringContaining('bindings[1]') as unknown,
    });
    expect(control.state.serviceByName('mixed')).toBeUndefined();
  });
});
