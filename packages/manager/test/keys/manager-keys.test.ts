import { beforeAll, beforeEach, describe, expect, test } from '@jest/globals';
import { KeyRing, openSealed, SecretBytes } from '@conclave/sealed';
import { createFreshKeys, createLocalKey, ManagerKeys } from '../../src/keys/manager-keys.js';
import { packSecrets, unpackSecrets } from '../../src/keys/secret-list.js';
import { CLUSTER_ID, FOUNDER_ID, MemoryVault, newKeys } from '../founded-cluster.js';
import { seededRandom } from '../scheduling/cluster.js';

const OWNER = { clusterId: CLUSTER_ID, nodeId: FOUNDER_ID };
const OTHER = { clusterId: CLUSTER_ID, nodeId: 'oaaaaaaaaaaaaaaaaaaaaaaaaa' };
const random = seededRandom(9);

const copyOf = (secret: SecretBytes): Uint8Array => secret.use((bytes) => Uint8Array.from(bytes));
const holds = (file: Uint8Array, secret: Uint8Array): boolean =>
  Buffer.from(file).includes(Buffer.from(secret));

beforeAll(openSealed);

describe('the keys of a manager', () => {
  let vault: MemoryVault;
  let keys: ManagerKeys;

  beforeEach(async () => {
    vault = new MemoryVault();
    keys = await ManagerKeys.create(vault, OWNER, newKeys(createFreshKeys(random), random), random);
  });

  const open = (owner = OWNER): Promise<ManagerKeys> =>
    ManagerKeys.open(vault, owner, keys.localKey.copy(), random);
  const file = (name: string): Uint8Array => {
    const content = vault.files.get(name);
    if (content === undefined) throw new Error(`there is no file ${name}`);
    return content;
  };

  test('come back after a restart, the ring too', async () => {
    await keys.saveRing(KeyRing.create(random));
    const again = await open();
    expect(again.static.publicKey).toEqual(keys.static.publicKey);
    expect(again.signing.publicKey).toEqual(keys.signing.publicKey);
    expect(again.witnessKey.equals(keys.witnessKey)).toBe(true);
    expect(again.tlsKey.equals(keys.tlsKey)).toBe(true);
    expect(again.requireRing().intakePublicKey()).toEqual(keys.requireRing().intakePublicKey());
  });

  test('without a ring are fit to ask for one', async () => {
    const again = await open();
    expect(again.ring).toBeUndefined();
    expect(() => again.requireRing()).toThrow(expect.objectContaining({ kind: 'not-ready' }));
  });

  test('lie on the disk sealed', async () => {
    await keys.saveRing(KeyRing.create(random));
    const sealed = [file('keys/local.sealed'), file('keys/ring.sealed')];
    const ring = keys.requireRing().encode();
    const own = [keys.static.privateKey, keys.signing.privateKey, keys.witnessKey, keys.tlsKey];
    for (const secret of [...own, keys.localKey]) {
      for (const content of sealed) expect(holds(content, copyOf(secret))).toBe(false);
    }
    for (const content of sealed) expect(holds(content, copyOf(ring).subarray(8))).toBe(false);
  });

  test.each(['keys/local.sealed', 'keys/ring.sealed'])(
    'do not open when one bit of %s was changed',
    async (name) => {
      await keys.saveRing(KeyRing.create(random));
      const whole = Uint8Array.from(file(name));
      for (const place of [0, whole.length >> 1, whole.length - 1]) {
        const changed = Uint8Array.from(whole);
        changed[place] = (changed[place] as number) ^ 1;
        vault.files.set(name, changed);
        await expect(open()).rejects.toMatchObject({ code: 'CV_ENVELOPE_FORGED' });
      }
    },
  );

  test.each(['keys/local.sealed', 'keys/ring.sealed'])(
    'do not open when %s was cut off',
    async (name) => {
      await keys.saveRing(KeyRing.create(random));
      const whole = file(name);
      for (const size of [0, 1, whole.length - 1]) {
        vault.files.set(name, whole.slice(0, size));
        await expect(open()).rejects.toMatchObject({ kind: 'corrupt' });
      }
    },
  );

  test('do not open when files were swapped', async () => {
    await keys.saveRing(KeyRing.create(random));
    const [local, ring] = [file('keys/local.sealed'), file('keys/ring.sealed')];
    vault.files.set('keys/local.sealed', ring);
    await expect(open()).rejects.toMatchObject({ code: 'CV_ENVELOPE_FORGED' });
    vault.files.set('keys/local.sealed', local);
    vault.files.set('keys/ring.sealed', local);
    await expect(open()).rejects.toMatchObject({ code: 'CV_ENVELOPE_FORGED' });
  });

  test('are those of one manager of one cluster', async () => {
    await expect(open(OTHER)).rejects.toMatchObject({ code: 'CV_ENVELOPE_FORGED' });
    const elsewhere = { ...OWNER, clusterId: 'daaaaaaaaaaaaaaaaaaaaaaaaa' };
    await expect(open(elsewhere)).rejects.toMatchObject({ code: 'CV_ENVELOPE_FORGED' });
  });

  test('say which file is missing', async () => {
    vault.files.delete('keys/local.sealed');
    await expect(open()).rejects.toMatchObject({ code: 'CV_LOG_DAMAGED' });
    await expect(open()).rejects.toThrow('keys/local.sealed');
  });

  test('do not open with another local key', async () => {
    const other = createLocalKey(random);
    await expect(ManagerKeys.open(vault, OWNER, other, random)).rejects.toMatchObject({
      code: 'CV_ENVELOPE_FORGED',
      details: { reason: 'key' },
    });
  });

  test('are gone for good once they are destroyed', async () => {
    await keys.saveRing(KeyRing.create(random));
    await ManagerKeys.destroy(vault);
    expect([...vault.files.keys()]).toEqual([]);
  });

  test('are overwritten by wipe, all of them', async () => {
    await keys.saveRing(KeyRing.create(random));
    const own = [keys.static.privateKey, keys.signing.privateKey, keys.witnessKey];
    const secrets = [...own, keys.tlsKey, keys.localKey];
    keys.wipe();
    for (const secret of secrets) expect(secret.isWiped).toBe(true);
    expect(() => keys.requireRing().encode()).toThrow(/wipe/);
  });
});

describe('several secrets in one', () => {
  const secretOf = (...bytes: number[]): SecretBytes => SecretBytes.take(Uint8Array.from(bytes));

  test('come apart as they were, empty ones too', () => {
    const parts = [secretOf(1, 2, 3), secretOf(), secretOf(4)];
    const packed = packSecrets(parts);
    const again = unpackSecrets(packed, 3);
    expect(again.map(copyOf)).toEqual(parts.map(copyOf));
  });

  test.each([
    ['of another count', 2, [0, 0, 0, 1, 7]],
    ['with a size beyond the end', 1, [0, 0, 0, 9, 7]],
    ['with bytes left over', 1, [0, 0, 0, 1, 7, 0]],
    ['cut in a size', 1, [0, 0]],
    ['with a huge size', 1, [255, 255, 255, 255]],
    ['that are empty', 1, []],
  ])('%s are refused', (_, count, bytes) => {
    expect(() => unpackSecrets(secretOf(...bytes), count)).toThrow(
      expect.objectContaining({ code: 'CV_ENVELOPE_FORGED' }),
    );
  });
});
