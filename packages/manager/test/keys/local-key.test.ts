import { beforeAll, beforeEach, describe, expect, jest, test } from '@jest/globals';
import {
  createRecipientKeyPair,
  createRecoveryKit,
  KeyRing,
  openSealed,
  parseRecoveryText,
  PURPOSE,
  sealEnvelope,
  SecretBytes,
  unsealEnvelope,
} from '@conclave/sealed';
import type { RecoveryRow } from '@conclave/state';
import type { ResealSteps } from '@conclave/store';
import type { FileVault } from '../../src/keys/file-vault.js';
import { EPOCH_FILE } from '../../src/keys/key-files.js';
import type { LocalKeyHolder } from '../../src/keys/local-key.js';
import { createFreshKeys, createLocalKey, ManagerKeys } from '../../src/keys/manager-keys.js';
import { KeySlots, recoveryDraft } from '../../src/keys/slots.js';
import type { Slot } from '../../src/keys/slot-file.js';
import { CLUSTER_ID, FOUNDER_ID, MemoryVault } from '../founded-cluster.js';
import { seededRandom } from '../scheduling/cluster.js';
import { SimulatedTime } from '../simulated-time.js';

const OWNER = { clusterId: CLUSTER_ID, nodeId: FOUNDER_ID };
const FORGED = { code: 'CV_ENVELOPE_FORGED' };
const random = seededRandom(33);
const tools = { clock: new SimulatedTime(), random };

/** The disk of a manager, which ends at a chosen change. */
class Disk implements FileVault {
  readonly vault: MemoryVault = new MemoryVault();
  /** Changes that are still made; the one after them fails, and all others. */
  left: number = Infinity;
  changes = 0;

  read(name: string): Promise<Uint8Array | undefined> {
    return this.vault.read(name);
  }

  async write(name: string, content: Uint8Array): Promise<void> {
    this.#spend();
    await this.vault.write(name, content);
  }

  async remove(name: string): Promise<void> {
    this.#spend();
    await this.vault.remove(name);
  }

  /** The same files, as somebody has copied them. */
  copy(): Disk {
    const copy = new Disk();
    for (const [name, content] of this.vault.files) copy.vault.files.set(name, content);
    return copy;
  }

  #spend(): void {
    if (this.left <= 0) throw new Error('the machine is off');
    this.left -= 1;
    this.changes += 1;
  }
}

/** What the store does with the file of its keys: its content is the number of the epoch. */
class Epochs {
  epoch: number;
  /** The keys that were to seal it. */
  readonly resealed: SecretBytes[] = [];
  readonly #disk: Disk;
  #key: SecretBytes;

  private constructor(disk: Disk, key: SecretBytes, epoch: number) {
    this.#disk = disk;
    this.#key = key;
    this.epoch = epoch;
  }

  static async open(disk: Disk, key: SecretBytes): Promise<Epochs> {
    const envelope = await disk.read(EPOCH_FILE);
    if (envelope === undefined) return new Epochs(disk, key, 0);
    const plaintext = unsealEnvelope({ ...Epochs.#envelope(key), envelope });
    return new Epochs(
      disk,
      key,
      plaintext.use(([epoch]) => epoch ?? 0),
    );
  }

  static #envelope(key: SecretBytes) {
    const fields = [OWNER.clusterId, OWNER.nodeId];
    return { purpose: PURPOSE.epochFile, key, keyId: 1, fields };
  }

  advance(): Promise<void> {
    this.epoch += 1;
    return this.#disk.write(EPOCH_FILE, Epochs.#sealed(this.#key, this.epoch));
  }

  async reseal(fresh: SecretBytes, { keep, put }: ResealSteps): Promise<void> {
    this.resealed.push(fresh);
    await keep(Epochs.#sealed(fresh, this.epoch + 1));
    await put();
    this.#key = fresh;
    this.epoch += 1;
  }

  static #sealed(key: SecretBytes, epoch: number): Uint8Array {
    const plaintext = SecretBytes.take(Uint8Array.of(epoch));
    return sealEnvelope({ ...Epochs.#envelope(key), plaintext, random });
  }
}

/** A running manager, as far as its key files go. */
interface Running {
  readonly keys: ManagerKeys;
  readonly slots: KeySlots;
  readonly epochs: Epochs;
  readonly holder: LocalKeyHolder;
}

async function start(disk: Disk, privateKeys: readonly SecretBytes[]): Promise<Running> {
  const slots = await KeySlots.open(disk, OWNER, tools);
  const keys = await ManagerKeys.open(disk, OWNER, openAny(slots, privateKeys), random);
  const epochs = await Epochs.open(disk, keys.localKey);
  const holder: LocalKeyHolder = {
    get localKey() {
      return keys.localKey;
    },
    renew: (commit) =>
      keys.renewLocalKey({ commit, reseal: (fresh, steps) => epochs.reseal(fresh, steps) }),
  };
  return { keys, slots, epochs, holder };
}

function openAny(slots: KeySlots, privateKeys: readonly SecretBytes[]): SecretBytes {
  for (const slot of slots.list()) {
    const opened = privateKeys.map((key) => tryOpen(slots, slot, key));
    const found = opened.find((key) => key !== undefined);
    if (found !== undefined) return found;
  }
  throw new Error('none of the keys opens a slot');
}

function tryOpen(slots: KeySlots, slot: Slot, key: SecretBytes): SecretBytes | undefined {
  try {
    return slots.open(slot, key);
  } catch {
    return undefined;
  }
}

function recovery(generation: number): { row: RecoveryRow; key: SecretBytes } {
  const { recipient, texts } = createRecoveryKit(random);
  return { row: { generation, ...recipient }, key: texts[0]!.use(parseRecoveryText).secret };
}

let disk: Disk;
let first: ReturnType<typeof recovery>;
let second: ReturnType<typeof recovery>;
/** What the manager has to have, whatever happens. */
let mark: Uint8Array;

beforeAll(openSealed);

beforeEach(async () => {
  disk = new Disk();
  [first, second] = [recovery(1), recovery(2)];
  const localKey = createLocalKey(random);
  const tlsKey = SecretBytes.random(random, 100);
  const made = { fresh: createFreshKeys(random), tlsKey, localKey };
  const keys = await ManagerKeys.create(disk, OWNER, made, random);
  const ring = KeyRing.create(random);
  mark = ring.intakePublicKey();
  await keys.saveRing(ring);
  await (await Epochs.open(disk, localKey)).advance();
  const drafts = [recoveryDraft(first.row)];
  await KeySlots.create(disk, OWNER, { localKey, drafts, tools });
});

/** From the old recovery key to the new one, with a change of the ring after it. */
async function life(on: Disk): Promise<void> {
  const { keys, slots, epochs, holder } = await start(on, [first.key, second.key]);
  await slots.setRecovery(holder, [first.row, second.row]);
  await slots.setRecovery(holder, [second.row]);
  await keys.saveRing(keys.requireRing());
  await epochs.advance();
}

describe('a recovery key that is replaced', () => {
  test('takes the local key with it: the old one opens nothing that is stored afterwards', async () => {
    const stolen = disk.copy();
    const thief = await start(stolen, [first.key]);
    await life(disk);
    await expect(start(disk.copy(), [first.key])).rejects.toThrow('none of the keys');
    // Not with the key that the old slot gave either, in whichever file.
    const { localKey } = thief.keys;
    await expect(
      ManagerKeys.open(disk.copy(), OWNER, localKey.copy(), random),
    ).rejects.toMatchObject(FORGED);
    await expect(Epochs.open(disk, localKey)).rejects.toMatchObject(FORGED);
    expect(disk.vault.files.has('keys/next.sealed')).toBe(false);

    const again = await start(disk, [second.key]);
    expect(again.keys.requireRing().intakePublicKey()).toEqual(mark);
    expect(again.keys.witnessKey.equals(thief.keys.witnessKey)).toBe(true);
    // One for the change, one after it.
    expect(again.epochs.epoch).toBe(3);
    // The copy opens what was on it.
    expect((await start(stolen, [first.key])).epochs.epoch).toBe(1);
  });

  test('leaves a set of files that opens, wherever a crash comes', async () => {
    const whole = disk.copy();
    await life(whole);
    expect(whole.changes).toBeGreaterThanOrEqual(9);
    for (let left = 0; left < whole.changes; left += 1) {
      const broken = disk.copy();
      broken.left = left;
      await expect(life(broken)).rejects.toThrow('the machine is off');
      // And once more at the start after it, wherever that comes.
      for (let again = 0; ; again += 1) {
        const twice = broken.copy();
        twice.left = again;
        const isUp = await start(twice, [first.key, second.key]).then(
          () => true,
          () => false,
        );
        twice.left = Infinity;
        const running = await start(twice, [first.key, second.key]);
        expect(running.keys.requireRing().intakePublicKey()).toEqual(mark);
        expect(running.epochs.epoch).toBeGreaterThanOrEqual(1);
        await running.slots.setRecovery(running.holder, [second.row]);
        expect((await start(twice, [second.key])).keys.ring).toBeDefined();
        await expect(start(twice, [first.key])).rejects.toThrow('none of the keys');
        if (isUp) break;
      }
    }
  });

  test('that failed before the switch changed nothing, and is tried again', async () => {
    const { keys, slots, epochs, holder } = await start(disk, [first.key]);
    disk.left = 0;
    await expect(slots.setRecovery(holder, [second.row])).rejects.toThrow('the machine is off');
    disk.left = Infinity;
    expect(epochs.resealed.map(({ isWiped }) => isWiped)).toEqual([true]);
    await keys.saveRing(keys.requireRing());
    await epochs.advance();
    expect((await start(disk.copy(), [first.key])).epochs.epoch).toBe(2);
    expect(await slots.setRecovery(holder, [second.row])).toBe(true);
    const again = await start(disk, [second.key]);
    expect(again.epochs.epoch).toBe(3);
    expect(again.keys.requireRing().intakePublicKey()).toEqual(mark);
    await expect(start(disk, [first.key])).rejects.toThrow('none of the keys');
  });

  test('that failed half way lets nothing be changed before a restart', async () => {
    const { keys, slots, epochs, holder } = await start(disk, [first.key]);
    // The slots are stored; what follows is not.
    disk.left = 2;
    await expect(slots.setRecovery(holder, [second.row])).rejects.toThrow('the machine is off');
    disk.left = Infinity;
    const torn = { code: 'CV_STORE_FAILED' };
    await expect(keys.saveRing(keys.requireRing())).rejects.toMatchObject(torn);
    const { publicKey } = createRecipientKeyPair(random);
    const draft = { kind: 'host', detail: '', publicKey, data: new Uint8Array(0) } as const;
    await expect(slots.add(holder, draft)).rejects.toMatchObject(torn);
    // Another try makes no other key, and the one that the first has made is gone.
    const drawn = jest.spyOn(random, 'bytes');
    const commit = (): Promise<void> => Promise.resolve();
    await expect(holder.renew(commit)).rejects.toMatchObject(torn);
    expect(drawn).not.toHaveBeenCalled();
    drawn.mockRestore();
    expect(epochs.resealed.map(({ isWiped }) => isWiped)).toEqual([true]);
    expect((await start(disk, [second.key])).keys.ring).toBeDefined();
  });
});

test('a slot that is removed takes the local key with it', async () => {
  const host = createRecipientKeyPair(random);
  const { slots, holder } = await start(disk, [first.key]);
  const detail = '';
  const data = Uint8Array.of(1);
  const { publicKey } = host;
  const { id } = await slots.add(holder, { kind: 'host', detail, publicKey, data });
  const stolen = await start(disk.copy(), [host.privateKey]);
  await slots.remove(holder, id);
  await expect(start(disk.copy(), [host.privateKey])).rejects.toThrow('none of the keys');
  const old = stolen.keys.localKey.copy();
  await expect(ManagerKeys.open(disk.copy(), OWNER, old, random)).rejects.toMatchObject(FORGED);
  expect((await start(disk, [first.key])).keys.requireRing().intakePublicKey()).toEqual(mark);
});

test('a kept set that was changed is refused', async () => {
  await disk.write('keys/next.sealed', Uint8Array.of(0, 0, 0, 9, 1));
  await expect(start(disk, [first.key])).rejects.toMatchObject({ code: 'CV_LOG_DAMAGED' });
});
