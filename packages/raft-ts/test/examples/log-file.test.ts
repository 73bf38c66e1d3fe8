import { appendFile, mkdtemp, readFile, rm, truncate, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { LogFile } from '../../examples/replicated-map/log-file.js';
import { LOG_STORE_CONTRACT } from '../../src/testing/index.js';
import type { LogStoreHarness } from '../../src/testing/index.js';

const newFolder = (): Promise<string> => mkdtemp(join(tmpdir(), 'raft-log-'));

const createHarness = async (): Promise<LogStoreHarness> => {
  const folder = await newFolder();
  let store: LogFile | undefined;
  return {
    open: () => Promise.resolve((store = new LogFile(join(folder, 'log')))),
    close: async () => store?.close(),
    dispose: () => rm(folder, { recursive: true }),
  };
};

test.each(LOG_STORE_CONTRACT)('LogFile: $name', ({ run }) => run(createHarness));

describe('LogFile after a crash', () => {
  const entryAt = (
    index: number,
  ): { type: 'EntryNormal'; term: number; index: number; data: Uint8Array } => ({
    type: 'EntryNormal',
    term: 1,
    index,
    data: Uint8Array.of(index),
  });
  let folder: string;
  let path: string;

  beforeEach(async () => {
    folder = await newFolder();
    path = join(folder, 'log');
    const store = new LogFile(path);
    await store.load();
    for (const index of [1, 2, 3]) {
      const hardState = { term: 1, vote: 1, commit: index - 1 };
      await store.write({ entries: [entryAt(index)], hardState });
    }
    await store.close();
  });
  afterEach(() => rm(folder, { recursive: true }));

  async function indexes(): Promise<number[]> {
    const store = new LogFile(path);
    try {
      return (await store.load()).entries.map(({ index }) => index);
    } finally {
      await store.close().catch(() => undefined);
    }
  }

  test('a torn last line gives up that line only, and writing goes on', async () => {
    const whole = await readFile(path);
    const lastStart = whole.lastIndexOf(0x0a, whole.length - 2) + 1;
    for (let size = lastStart; size < whole.length; size += 7) {
      await writeFile(path, whole);
      await truncate(path, size);
      const store = new LogFile(path);
      expect((await store.load()).entries).toHaveLength(2);
      await store.write({ entries: [entryAt(3), entryAt(4)] });
      await store.close();
      expect(await indexes()).toEqual([1, 2, 3, 4]);
    }
  });

  test('a last line with a wrong checksum is torn', async () => {
    await appendFile(path, '1 {}\n');
    expect(await indexes()).toEqual([1, 2, 3]);
  });

  test('damage before the last line is refused', async () => {
    const whole = await readFile(path);
    for (const at of [0, 20, 60]) {
      const damaged = Buffer.from(whole);
      damaged[at] = (damaged[at] as number) ^ 1;
      await writeFile(path, damaged);
      await expect(indexes()).rejects.toThrow('damaged');
    }
  });

  test('an own snapshot in the batch of a received one is kept', async () => {
    const confState = {
      voters: [1],
      votersOutgoing: [],
      learners: [],
      learnersNext: [],
      autoLeave: false,
    };
    const snapshot = (
      index: number,
    ): {
      data: Uint8Array;
      metadata: { index: number; term: number; confState: typeof confState };
    } => ({
      data: Uint8Array.of(index),
      metadata: { index, term: 1, confState },
    });
    const store = new LogFile(path);
    await store.load();
    await store.write({
      snapshot: snapshot(10),
      entries: [11, 12].map(entryAt),
      ownSnapshot: snapshot(12),
      hardState: { term: 1, vote: 0, commit: 12 },
    });
    await store.compact(11);
    await store.close();
    const reopened = new LogFile(path);
    const loaded = await reopened.load();
    await reopened.close();
    expect(loaded.snapshot?.metadata.index).toBe(12);
    expect(loaded.entries.map(({ index }) => index)).toEqual([12]);
    expect(loaded.hardState?.commit).toBe(12);
  });
});
