import { afterEach, expect, jest, test } from '@jest/globals';
import { ReplaceableIdentity } from '@conclave/transport';
import type { IdentityFile, MemberIdentity } from '../src/identity-file.js';
import { MemberRecord } from '../src/member-record.js';
import { RealManager } from './real-manager.js';

const isWiped = (bytes: Uint8Array): boolean => bytes.every((byte) => byte === 0);

afterEach(() => {
  jest.restoreAllMocks();
});

test('the key of a record is overwritten at its end, after what is under way', async () => {
  let store = (): void => undefined;
  const stored = new Promise<void>((resolve) => {
    store = resolve;
  });
  const file = { write: () => stored } as unknown as IdentityFile;
  const bytes = new Uint8Array(0);
  const member = { certificateDer: bytes, crossDer: bytes, rootsDer: [] as Uint8Array[] };
  const key = new Uint8Array(200).fill(7);
  const record = new MemberRecord(file, member as never as MemberIdentity, key);
  const change = record.update({ rootsDer: [] });
  const end = record.wipe();
  expect(isWiped(record.identity.current().privateKeyPem)).toBe(false);
  store();
  await Promise.all([change, end]);
  expect(isWiped(key)).toBe(true);
  expect(record.identity.current().privateKeyPem).toBe(key);
});

test('a manager that has stopped leaves no private key in what it presented', async () => {
  const shown = new Set<Uint8Array>();
  // eslint-disable-next-line @typescript-eslint/unbound-method -- called with its own object below
  const real = ReplaceableIdentity.prototype.current;
  jest.spyOn(ReplaceableIdentity.prototype, 'current').mockImplementation(function (
    this: ReplaceableIdentity,
  ) {
    const identity = real.call(this);
    shown.add(identity.privateKeyPem);
    return identity;
  });
  const manager = await RealManager.start();
  expect([...shown].map(isWiped)).toEqual([false]);
  await manager.close();
  expect([...shown].map(isWiped)).toEqual([true]);
});
