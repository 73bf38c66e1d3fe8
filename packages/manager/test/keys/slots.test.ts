import { beforeAll, beforeEach, describe, expect, test } from '@jest/globals';
import {
  createRecipientKeyPair,
  createRecoveryKit,
  openSealed,
  parseRecoveryText,
} from '@conclave/sealed';
import type { RecipientKeyPair, SecretBytes } from '@conclave/sealed';
import type { RecoveryRow } from '@conclave/state';
import type { LocalKeyHolder } from '../../src/keys/local-key.js';
import { createLocalKey } from '../../src/keys/manager-keys.js';
import { decodeSlots, encodeSlots } from '../../src/keys/slot-file.js';
import type { Slot } from '../../src/keys/slot-file.js';
import { KeySlots, recoveryDraft, recoveryRows } from '../../src/keys/slots.js';
import { CLUSTER_ID, FOUNDER_ID, MemoryVault } from '../founded-cluster.js';
import { seededRandom } from '../scheduling/cluster.js';
import { SimulatedTime } from '../simulated-time.js';

const OWNER = { clusterId: CLUSTER_ID, nodeId: FOUNDER_ID };
const random = seededRandom(21);
const tools = { clock: new SimulatedTime(), random };

/** A recovery key of this generation, and its private half. */
function recovery(generation: number): { row: RecoveryRow; key: SecretBytes } {
  const { recipient, texts } = createRecoveryKit(random);
  const key = (texts[0] as SecretBytes).use(parseRecoveryText).secret;
  return { row: { generation, ...recipient }, key };
}

let vault: MemoryVault;
let localKey: SecretBytes;
/** Stands for key files that are sealed anew; `local-key.test.ts` has the real ones. */
const holder: LocalKeyHolder = {
  get localKey() {
    return localKey;
  },
  renew: async (commit) => {
    const fresh = createLocalKey(random);
    await commit(fresh);
    localKey = fresh;
  },
};
let first: ReturnType<typeof recovery>;
let slots: KeySlots;

const file = (): Uint8Array => vault.files.get('keys/slots') as Uint8Array;
const only = (kind: string): Slot => slots.list().find((slot) => slot.kind === kind) as Slot;
const generations = (): number[] => recoveryRows(slots.list()).map(({ generation }) => generation);

beforeAll(openSealed);

beforeEach(async () => {
  vault = new MemoryVault();
  localKey = createLocalKey(random);
  first = recovery(1);
  const drafts = [recoveryDraft(first.row)];
  slots = await KeySlots.create(vault, OWNER, { localKey, drafts, tools });
});

async function addHost(detail = 'file'): Promise<RecipientKeyPair> {
  const pair = createRecipientKeyPair(random);
  const { publicKey } = pair;
  await slots.add(holder, { kind: 'host', detail, publicKey, data: Uint8Array.of(1, 2) });
  return pair;
}

describe('slots', () => {
  test('any one of them opens the local key, also after a restart', async () => {
    const host = await addHost();
    const again = await KeySlots.open(vault, OWNER, tools);
    expect(again.list()).toEqual(slots.list());
    expect(again.open(only('recovery'), first.key).equals(localKey)).toBe(true);
    expect(again.open(only('host'), host.privateKey).equals(localKey)).toBe(true);
  });

  test('do not open with the key of another slot', async () => {
    const host = await addHost();
    expect(() => slots.open(only('recovery'), host.privateKey)).toThrow(
      expect.objectContaining({ code: 'CV_UNLOCK_FAILED' }),
    );
  });

  test.each([
    ['another cluster', { ...OWNER, clusterId: 'daaaaaaaaaaaaaaaaaaaaaaaaa' }],
    ['another manager', { ...OWNER, nodeId: 'oaaaaaaaaaaaaaaaaaaaaaaaaa' }],
  ])('are not those of %s', async (_, owner) => {
    const foreign = await KeySlots.open(vault, owner, tools);
    expect(() => foreign.open(only('recovery'), first.key)).toThrow(
      expect.objectContaining({ code: 'CV_ENVELOPE_FORGED' }),
    );
  });

  test('are bound to all that they say of themselves', () => {
    const slot = only('recovery');
    for (const change of [
      { id: 'another' },
      { kind: 'command' as const },
      { createdAtMs: slot.createdAtMs + 1 },
      { detail: '/tmp/evil' },
      { data: Uint8Array.of(9) },
    ]) {
      expect(() => slots.open({ ...slot, ...change }, first.key)).toThrow(
        expect.objectContaining({ code: 'CV_ENVELOPE_FORGED' }),
      );
    }
  });

  test('have no key in the clear', async () => {
    const { privateKey } = await addHost();
    for (const secret of [localKey, privateKey, first.key]) {
      const bytes = secret.use((view) => Buffer.from(view));
      expect(Buffer.from(file()).includes(bytes)).toBe(false);
    }
  });

  test('go when they are removed, but never the recovery slot', async () => {
    await addHost();
    await slots.remove(holder, only('host').id);
    expect(slots.list().map(({ kind }) => kind)).toEqual(['recovery']);
    await expect(slots.remove(holder, only('recovery').id)).rejects.toMatchObject({
      code: 'CV_SLOT_IN_USE',
    });
    await expect(slots.remove(holder, 'nothing')).rejects.toMatchObject({
      code: 'CV_SLOT_NOT_FOUND',
    });
  });

  test('are as they were when a write fails', async () => {
    const before = file();
    vault.write = () => Promise.reject(new Error('disk'));
    await expect(addHost()).rejects.toThrow('disk');
    expect(slots.list()).toHaveLength(1);
    expect(file()).toBe(before);
  });

  test('have a limit', async () => {
    for (let count = 1; count < 7; count += 1) await addHost(`number ${count}`);
    await expect(addHost()).rejects.toMatchObject({ code: 'CV_LIMIT_EXCEEDED' });
    // One is left, for a new recovery key beside the old one.
    expect(decodeSlots(file())).toHaveLength(7);
  });
});

describe('a new recovery key', () => {
  test('opens beside the old one, then alone', async () => {
    const second = recovery(2);
    expect(await slots.setRecovery(holder, [first.row, second.row])).toBe(true);
    for (const slot of slots.list()) {
      const key = recoveryRows([slot])[0]?.generation === 1 ? first.key : second.key;
      expect(slots.open(slot, key).equals(localKey)).toBe(true);
    }
    expect(await slots.setRecovery(holder, [first.row, second.row])).toBe(false);
    await slots.setRecovery(holder, [second.row]);
    expect(generations()).toEqual([2]);
    expect(slots.open(only('recovery'), second.key).equals(localKey)).toBe(true);
  });

  test('takes the place of one that was never confirmed', async () => {
    const [second, third] = [recovery(2), recovery(3)];
    await slots.setRecovery(holder, [first.row, second.row]);
    await slots.setRecovery(holder, [first.row, third.row]);
    expect(generations()).toEqual([1, 3]);
  });

  test('is not taken back by a log that is replayed', async () => {
    const second = recovery(2);
    await slots.setRecovery(holder, [first.row, second.row]);
    await slots.setRecovery(holder, [second.row]);
    for (const replayed of [[first.row], [first.row, second.row], [second.row]]) {
      expect(await slots.setRecovery(holder, replayed)).toBe(false);
      expect(generations()).toEqual([2]);
    }
  });

  test('leaves other slots alone', async () => {
    const host = await addHost();
    await slots.setRecovery(holder, [recovery(2).row]);
    expect(slots.open(only('host'), host.privateKey).equals(localKey)).toBe(true);
  });

  test('keeps its shares on record', async () => {
    const { recipient } = createRecoveryKit(random, { threshold: 2, count: 3 });
    await slots.setRecovery(holder, [{ generation: 2, ...recipient }]);
    const [row] = recoveryRows((await KeySlots.open(vault, OWNER, tools)).list());
    expect(row).toEqual({ generation: 2, ...recipient });
  });
});

describe('the slot file', () => {
  test('is refused when any byte was changed or the end is missing', async () => {
    const whole = file();
    for (let place = 0; place < whole.length; place += 97) {
      const changed = Uint8Array.from(whole);
      changed[place] = (changed[place] as number) ^ 1;
      expect(() => decodeSlots(changed)).toThrow(expect.objectContaining({ kind: 'corrupt' }));
    }
    for (const size of [0, 1, 5, 36, whole.length - 1]) {
      expect(() => decodeSlots(whole.slice(0, size))).toThrow(
        expect.objectContaining({ code: 'CV_LOG_DAMAGED' }),
      );
    }
    vault.files.delete('keys/slots');
    await expect(KeySlots.open(vault, OWNER, tools)).rejects.toMatchObject({
      code: 'CV_LOG_DAMAGED',
    });
  });

  test('has the bytes that version 1 has', () => {
    const slot: Slot = {
      id: 'slot',
      kind: 'command',
      createdAtMs: 2 ** 40 + 1,
      detail: '/bin/é',
      publicKey: Uint8Array.of(1, 2, 3),
      data: new Uint8Array(0),
      sealed: Uint8Array.of(255),
    };
    const bytes = encodeSlots([slot]);
    expect(Buffer.from(bytes).toString('hex')).toBe(
      '435653460100000004736c6f7400000007636f6d6d616e64000000080000010000000001' +
        '000000072f62696e2fc3a90000000301020300000000' +
        '00000001ff' +
        'e8d33204ab286cdc9360229810d4b3d8ca60f7caed746e0e108258852e9f4e84',
    );
    expect(decodeSlots(bytes)).toEqual([slot]);
  });
});
