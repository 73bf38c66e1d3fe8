import { cp, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterEach, beforeAll, beforeEach, describe, expect, jest, test } from '@jest/globals';
import { openSealed, SecretBytes } from '@conclave/sealed';
import type { LoadedLog } from 'raft-ts/node';
import { EpochKeys } from '../src/epoch-keys.js';
import { LevelLogStore, LevelSnapshotStore } from '../src/index.js';
import type { LevelStore } from '../src/index.js';
import { CrashingDisk, CRASHES } from './crashing-disk.js';
import { entry, Fixture, RANDOM, snapshotAt } from './fixture.js';

type Stores = Pick<LevelStore, 'log' | 'snapshots'>;

const idAt = (index: number): string => `snapshot ${index}`;
const nameAt = (index: number): { id: string; index: number; term: number } => ({
  id: idAt(index),
  index,
  term: 1,
});

/** Five entries and the snapshot of them; of the log, `kept` entries stay. */
async function generation(
  { log, snapshots }: Stores,
  last: number,
  done: { kept: number; acknowledged?: (index: number) => void },
): Promise<void> {
  for (let index = last - 4; index <= last; index += 1) {
    await log.write({ entries: [entry(index)], appliedIndex: index }, { sync: true });
    done.acknowledged?.(index);
  }
  await snapshots.write(nameAt(last), [Buffer.from(idAt(last))]);
  await log.write({ entries: [], ownSnapshot: snapshotAt(last) }, { sync: true });
  await log.compact(last - done.kept);
  await snapshots.keepOnly([idAt(last)]);
}

async function contentOf(snapshots: Stores['snapshots'], index: number): Promise<string> {
  const chunks: Uint8Array[] = [];
  for await (const chunk of snapshots.read(nameAt(index))) chunks.push(chunk);
  return Buffer.concat(chunks).toString();
}

describe('an old copy of the log', () => {
  let fixture: Fixture;
  beforeEach(async () => {
    fixture = await Fixture.create();
  });
  afterEach(() => fixture.remove());

  const load = async (name: string): Promise<LoadedLog> => {
    const store = await fixture.open({ name });
    try {
      return await store.log.load();
    } finally {
      await store.close();
    }
  };

  // Attack row R11.
  test('opens with no key that is left after compaction, and did before', async () => {
    const store = await fixture.open();
    await store.log.load();
    await store.log.write({ entries: [entry(1, 1, 'deleted value')] }, { sync: true });
    await store.snapshots.write({ id: 'old', index: 1, term: 1 }, [Buffer.from('old')]);
    await store.close();
    for (const name of ['old', 'thief']) await fixture.copy('raft', name);
    expect(Buffer.from((await load('old')).entries[0]!.data).toString()).toBe('deleted value');

    const again = await fixture.open();
    await again.log.load();
    for (let index = 2; index <= 5; index += 1) {
      await again.log.write({ entries: [entry(index)] }, { sync: true });
    }
    await again.snapshots.write(nameAt(5), [Buffer.from('new')]);
    await again.log.write({ entries: [], ownSnapshot: snapshotAt(5) }, { sync: true });
    await again.log.compact(5);
    await again.snapshots.keepOnly([idAt(5)]);
    expect(again.epochs).toEqual([3]);
    await again.close();

    await cp(join(fixture.path(), 'epochs'), join(fixture.path('thief'), 'epochs'));
    await expect(load('thief')).rejects.toMatchObject({
      code: 'CV_LOG_DAMAGED',
      cause: { message: expect.stringContaining('the key of epoch 1 is gone') },
    });
    expect((await load('raft')).snapshot).toEqual(snapshotAt(5));
  });

  test('keys stay while a record needs them', async () => {
    const store = await fixture.open();
    await store.log.load();
    expect(store.epochs).toEqual([1]);
    await generation(store, 5, { kept: 2 });
    // Entries 4 and 5 are of epoch 1.
    expect(store.epochs).toEqual([1, 2]);
    await generation(store, 10, { kept: 2 });
    expect(store.epochs).toEqual([2, 3]);
    await generation(store, 15, { kept: 0 });
    expect(store.epochs).toEqual([4]);
    await store.close();
    const again = await fixture.open();
    expect((await again.log.load()).entries).toEqual([]);
    expect(await contentOf(again.snapshots, 15)).toBe(idAt(15));
    await again.close();
  });

  test('the keys of another member, changed keys and missing keys are refused', async () => {
    await (await fixture.open({ name: 'other', nodeId: 'other' })).close();
    const store = await fixture.open();
    await store.log.load();
    await store.log.write({ entries: [entry(1)] }, { sync: true });
    await store.close();
    const foreign = await readFile(join(fixture.path('other'), 'epochs'));
    const own = await readFile(join(fixture.path(), 'epochs'));
    const cut = own.subarray(0, -1);
    for (const content of [foreign, cut, own.map((byte, at) => (at === 60 ? byte ^ 1 : byte))]) {
      await fixture.put('raft', 'epochs', content);
      await expect(fixture.open()).rejects.toMatchObject({ code: 'CV_LOG_DAMAGED' });
    }
    await fixture.put('raft', 'epochs', undefined);
    await expect(fixture.open()).rejects.toMatchObject({
      code: 'CV_LOG_DAMAGED',
      message: expect.stringContaining('missing'),
    });
    await fixture.put('raft', 'epochs', own);
    expect((await load('raft')).entries).toHaveLength(1);
  });
});

describe('a crash at any change', () => {
  beforeAll(openSealed);

  /** The stores of a manager that starts on this disk. */
  async function startOn(disk: CrashingDisk): Promise<Stores & { keys: EpochKeys }> {
    const key = SecretBytes.take(new Uint8Array(32).fill(7));
    const place = { clusterId: 'cluster', nodeId: 'node', key, random: RANDOM };
    const keys = await EpochKeys.open(disk, place, disk);
    const cipher = { clusterId: 'cluster', nodeId: 'node', keys, random: RANDOM };
    const witness = { note: () => undefined, read: () => Promise.resolve(0) };
    return {
      keys,
      log: new LevelLogStore(disk, cipher, witness),
      snapshots: new LevelSnapshotStore(disk, cipher),
    };
  }

  async function life(disk: CrashingDisk, acknowledged: (index: number) => void): Promise<void> {
    const stores = await startOn(disk);
    await stores.log.load();
    await generation(stores, 5, { kept: 2, acknowledged });
    await generation(stores, 10, { kept: 2, acknowledged });
    await generation(stores, 15, { kept: 2, acknowledged });
  }

  test.each(CRASHES)('%s: nothing acknowledged is lost, and old keys go later', async (crash) => {
    const whole = new CrashingDisk();
    await life(whole, () => undefined);
    expect(whole.changes).toBeGreaterThan(30);
    for (let left = 0; left < whole.changes; left += 1) {
      const disk = new CrashingDisk();
      disk.left = left;
      let last = 0;
      const died = await life(disk, (index) => (last = index)).then(
        () => false,
        () => true,
      );
      expect(died).toBe(true);
      disk.restart(crash);

      const stores = await startOn(disk);
      const loaded = await stores.log.load();
      const snapshotIndex = loaded.snapshot?.metadata.index ?? 0;
      const lastIndex = loaded.entries.at(-1)?.index ?? snapshotIndex;
      expect(lastIndex).toBeGreaterThanOrEqual(last);
      if (snapshotIndex > 0) {
        expect(await contentOf(stores.snapshots, snapshotIndex)).toBe(idAt(snapshotIndex));
      }
      for (let index = lastIndex + 1; index <= 20; index += 1) {
        await stores.log.write({ entries: [entry(index)] }, { sync: true });
      }
      await generation(stores, 25, { kept: 0 });
      const { current, epochs } = stores.keys;
      expect({ left, epochs }).toEqual({ left, epochs: [current.epoch] });
    }
  });
});

describe('another key for the file of the keys', () => {
  let fixture: Fixture;
  beforeEach(async () => {
    fixture = await Fixture.create();
  });
  afterEach(() => fixture.remove());

  test('begins an epoch, and the old one opens nothing that is written from then on', async () => {
    const store = await fixture.open();
    await store.log.load();
    await store.log.write({ entries: [entry(1)] }, { sync: true });
    await fixture.copy('raft', 'stolen');
    const fresh = SecretBytes.take(new Uint8Array(32).fill(8));
    let kept: Uint8Array | undefined;
    await store.resealEpochs(fresh, {
      keep: (content) => {
        kept = content;
        return Promise.resolve();
      },
      put: () => fixture.put('raft', 'epochs', kept),
    });
    expect(store.epochs).toEqual([1, 2]);
    await store.log.write({ entries: [entry(2)] }, { sync: true });
    await store.close();

    await expect(fixture.open()).rejects.toMatchObject({ code: 'CV_LOG_DAMAGED' });
    // With the keys of the copy, today's log does not open.
    const keys = await readFile(join(fixture.path('stolen'), 'epochs'));
    await fixture.copy('raft', 'mixed');
    await fixture.put('mixed', 'epochs', keys);
    const mixed = await fixture.open({ name: 'mixed' });
    await expect(mixed.log.load()).rejects.toMatchObject({
      cause: { message: expect.stringContaining('the key of epoch 2 is gone') },
    });
    await mixed.close();
    const again = await fixture.open({ fill: 8, witnessFill: 7 });
    expect((await again.log.load()).entries).toHaveLength(2);
    await again.close();
  });

  const done = (): Promise<void> => Promise.resolve();
  const fails = (): Promise<void> => Promise.reject(new Error('the disk is full'));

  test('when it cannot be put in force, no key changes any more', async () => {
    const store = await fixture.open();
    await store.log.load();
    const fresh = SecretBytes.take(new Uint8Array(32).fill(8));
    const steps = { keep: done, put: fails };
    await expect(store.resealEpochs(fresh, steps)).rejects.toThrow('the disk is full');
    const write = store.snapshots.write(nameAt(1), [Buffer.from('one')]);
    await expect(write).rejects.toMatchObject({ cause: { message: 'the disk is full' } });
    expect(store.epochs).toEqual([1]);
    await store.close();
  });

  test('when it cannot be kept beside, goes on under the old one and can be tried again', async () => {
    const store = await fixture.open();
    await store.log.load();
    const fresh = SecretBytes.take(new Uint8Array(32).fill(8));
    const put = jest.fn(done);
    await expect(store.resealEpochs(fresh, { keep: fails, put })).rejects.toThrow('is full');
    expect(put).not.toHaveBeenCalled();
    expect(store.epochs).toEqual([1]);
    await store.snapshots.write(nameAt(1), [Buffer.from('one')]);
    expect(store.epochs).toEqual([1, 2]);
    await store.resealEpochs(fresh, { keep: done, put });
    expect(store.epochs).toEqual([1, 2, 3]);
    await store.close();
    // What the snapshot began is under the old one: the put above stored nothing.
    const again = await fixture.open();
    expect(again.epochs).toEqual([1, 2]);
    expect(await contentOf(again.snapshots, 1)).toBe('one');
    await again.close();
  });
});
