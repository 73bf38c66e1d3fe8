import { afterEach, beforeAll, beforeEach, describe, expect, jest, test } from '@jest/globals';
import { createFreshKeys, recoveryDraft } from '@conclave/manager';
import type { FileVault } from '@conclave/manager';
import { createRecoveryKit, KeyRing, openSealed, SecretBytes } from '@conclave/sealed';
import type { RecoveryRecipient } from '@conclave/sealed';
import { switchRole } from '../src/become-member.js';
import type { IdentityFile, MemberIdentity } from '../src/identity-file.js';
import type { JoinedHost } from '../src/join-cluster.js';
import type { Member, Surroundings } from '../src/member.js';
import { SYSTEM_CLOCK, SYSTEM_RANDOM } from '../src/platform.js';
import { storeKeys } from '../src/store-keys.js';

const OWNER = { clusterId: 'caaaaaaaaaaaaaaaaaaaaaaaaa', nodeId: 'maaaaaaaaaaaaaaaaaaaaaaaaa' };
const tools = { clock: SYSTEM_CLOCK, random: SYSTEM_RANDOM };
/** The keys of the host, the ring, the slots. */
const WRITE_COUNT = 3;

/** A disk that takes `left` writes. */
class FullDisk implements FileVault {
  #left: number;

  constructor(left: number) {
    this.#left = left;
  }

  read(): Promise<undefined> {
    return Promise.resolve(undefined);
  }

  write(): Promise<void> {
    this.#left -= 1;
    return this.#left < 0 ? Promise.reject(new Error('the disk is full')) : Promise.resolve();
  }

  remove(): Promise<void> {
    return Promise.resolve();
  }
}

describe('of a new manager whose keys cannot be stored', () => {
  /** Every piece of secret memory that was made since the beginning of the test. */
  let made: SecretBytes[];
  const openCount = (): number => made.filter((secret) => !secret.isWiped).length;

  let recovery: RecoveryRecipient;

  beforeAll(async () => {
    await openSealed();
    recovery = createRecoveryKit(SYSTEM_RANDOM).recipient;
  });

  beforeEach(() => {
    made = [];
    for (const way of ['allocate', 'adopt'] as const) {
      const real = SecretBytes[way].bind(SecretBytes) as (from: never) => SecretBytes;
      jest.spyOn(SecretBytes, way).mockImplementation((from: Uint8Array | number) => {
        const secret = real(from as never);
        made.push(secret);
        return secret;
      });
    }
  });

  afterEach(() => {
    jest.restoreAllMocks();
  });

  const store = (vault: FileVault): ReturnType<typeof storeKeys> =>
    storeKeys(vault, OWNER, {
      fresh: createFreshKeys(SYSTEM_RANDOM),
      privateKeyPem: new Uint8Array(200).fill(7),
      ring: KeyRing.create(SYSTEM_RANDOM),
      drafts: [recoveryDraft({ ...recovery, generation: 1 })],
      tools,
    });

  test.each(Array.from({ length: WRITE_COUNT }, (_, place) => place))(
    'none stays open after %d writes',
    async (left) => {
      await expect(store(new FullDisk(left))).rejects.toThrow('the disk is full');
      expect(made.length).toBeGreaterThan(4);
      expect(openCount()).toBe(0);
    },
  );

  test('only the local key stays open when everything was stored', async () => {
    const { localKey } = await store(new FullDisk(WRITE_COUNT));
    expect(openCount()).toBe(1);
    expect(made.find((secret) => !secret.isWiped)).toBe(localKey);
  });

  const joined = (): JoinedHost => ({
    identity: { ...OWNER, role: 'manager' } as MemberIdentity,
    privateKeyPem: new Uint8Array(200).fill(7),
    fresh: createFreshKeys(SYSTEM_RANDOM),
    recovery: { ...recovery, generation: 1 },
    waitsForApproval: false,
  });

  const change = (host: JoinedHost, parts: { old?: Error; writes: number }): Promise<unknown> => {
    const vault = new FullDisk(parts.writes);
    const identityFile = {
      write: () => vault.write(),
      keepOnly: () => vault.write(),
    } as unknown as IdentityFile;
    const around = { ...tools, folder: vault, identityFile } as unknown as Surroundings;
    const retire = (): Promise<void> =>
      parts.old === undefined ? Promise.resolve() : Promise.reject(parts.old);
    return switchRole(around, { retire } as Member, host);
  };

  test('none stays open when the role before does not end', async () => {
    const host = joined();
    const old = new Error('a task does not end');
    await expect(change(host, { old, writes: 9 })).rejects.toBe(old);
    expect(host.fresh?.static.privateKey.isWiped).toBe(true);
    expect(host.fresh?.signing.privateKey.isWiped).toBe(true);
    expect(host.privateKeyPem.every((byte) => byte === 0)).toBe(true);
  });

  test.each([0, 1, 2, 3])(
    'none stays open when the new role is not stored after %d writes',
    async (writes) => {
      const host = joined();
      await expect(change(host, { writes })).rejects.toThrow('the disk is full');
      expect(openCount()).toBe(0);
      expect(host.privateKeyPem.every((byte) => byte === 0)).toBe(true);
    },
  );
});
