import { chmod, readdir, readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { entry, Fixture, snapshotAt } from './fixture.js';

describe('the store', () => {
  let fixture: Fixture;
  beforeEach(async () => {
    fixture = await Fixture.create();
  });
  afterEach(() => fixture.remove());

  test('one process per folder', async () => {
    const store = await fixture.open();
    await expect(fixture.open()).rejects.toMatchObject({ code: 'CV_DATA_DIR_IN_USE' });
    await store.close();
    await store.close();
    await (await fixture.open()).close();
  });

  test('a folder that others may read is refused', async () => {
    await (await fixture.open()).close();
    expect((await stat(fixture.path())).mode & 0o777).toBe(0o700);
    await chmod(fixture.path(), 0o750);
    await expect(fixture.open()).rejects.toMatchObject({ code: 'CV_DATA_DIR_LOOSE' });
  });

  test('compaction and a write that overlap both take place', async () => {
    const store = await fixture.open();
    await store.log.load();
    const entries = Array.from({ length: 10 }, (_, place) => entry(place + 1, 1, `e${place + 1}`));
    await store.log.write({ entries, ownSnapshot: snapshotAt(8) }, { sync: true });
    await Promise.all([
      store.log.write({ entries: [entry(11, 1, 'e11')] }, { sync: true }),
      store.log.compact(5),
      store.log.write({ entries: [entry(12, 1, 'e12')] }, { sync: true }),
    ]);
    await store.log.write({ entries: [entry(13, 1, 'e13')] }, { sync: true });
    await store.close();
    const again = await fixture.open();
    const loaded = await again.log.load();
    expect(loaded.entries.map(({ index }) => index)).toEqual([6, 7, 8, 9, 10, 11, 12, 13]);
    await again.close();
  });

  test('nothing of an entry is readable in its files', async () => {
    const store = await fixture.open();
    await store.log.load();
    const planted = 'planted-value-91f3';
    await store.log.write({ entries: [entry(1, 1, planted)] }, { sync: true });
    await store.snapshots.write({ id: planted, index: 1, term: 1 }, [Buffer.from(planted)]);
    await store.close();
    for (const folder of [fixture.path(), join(fixture.path(), 'log')]) {
      for (const name of await readdir(folder, { withFileTypes: true })) {
        if (!name.isFile()) continue;
        expect((await readFile(join(folder, name.name))).includes(planted)).toBe(false);
      }
    }
  });

  test('truncation and compaction leave exactly the rest, chained', async () => {
    const store = await fixture.open();
    await store.log.load();
    await store.log.write({ entries: [1, 2, 3, 4, 5].map((i) => entry(i)) }, { sync: true });
    await store.log.write({ entries: [entry(4, 2, 'new')] }, { sync: true });
    await store.log.write({ entries: [], ownSnapshot: snapshotAt(2) }, { sync: true });
    await store.log.compact(2);
    await store.log.write(
      { entries: [], hardState: { term: 2, vote: 0, commit: 4 } },
      { sync: true },
    );
    const before = store.log.hashAt(4);
    await store.close();
    const again = await fixture.open();
    const loaded = await again.log.load();
    expect(loaded.entries.map((one) => [one.index, one.term])).toEqual([
      [3, 1],
      [4, 2],
    ]);
    expect(loaded.snapshot).toEqual(snapshotAt(2));
    expect(again.log.hashAt(4)).toEqual(before);
    await again.close();
  });

  test('snapshot contents come back in order, changed ones are refused', async () => {
    const store = await fixture.open();
    const name = { id: 'one', index: 9, term: 2 };
    await store.snapshots.write(name, [Uint8Array.of(1), Uint8Array.of(2, 3), new Uint8Array(0)]);
    const chunks: number[][] = [];
    for await (const chunk of store.snapshots.read(name)) chunks.push([...chunk]);
    expect(chunks).toEqual([[1], [2, 3], []]);
    const drain = async (from: typeof name): Promise<void> => {
      for await (const chunk of store.snapshots.read(from)) void chunk;
    };
    await expect(drain({ ...name, index: 8 })).rejects.toMatchObject({
      code: 'CV_SNAPSHOT_DAMAGED',
    });
    await expect(drain({ ...name, id: 'two' })).rejects.toMatchObject({
      code: 'CV_SNAPSHOT_DAMAGED',
    });
    await store.snapshots.keepOnly([]);
    await expect(drain(name)).rejects.toMatchObject({ code: 'CV_SNAPSHOT_DAMAGED' });
    await store.close();
  });
});
