import { describe, expect, test } from '@jest/globals';
import type { Entry } from '../../src/index.js';
import type { DiskWrite } from '../../src/sim/disk.js';
import { SimDisk } from '../../src/sim/disk.js';
import { Prng } from '../../src/sim/index.js';

const entry = (index: number, term = 1): Entry => ({
  index,
  term,
  type: 'EntryNormal',
  data: new Uint8Array(0),
});
const work = (fields: Partial<DiskWrite>): DiskWrite => ({
  hardState: undefined,
  snapshot: undefined,
  entries: [],
  mustSync: true,
  responses: [],
  message: undefined,
  ...fields,
});
const confState = {
  voters: [1],
  votersOutgoing: [],
  learners: [],
  learnersNext: [],
  autoLeave: false,
};
const formatted = (): SimDisk => {
  const disk = new SimDisk();
  disk.format({ data: new Uint8Array(0), metadata: { index: 1, term: 1, confState } });
  return disk;
};

describe('a crash', () => {
  test('keeps everything that was synced', () => {
    const disk = formatted();
    disk.enqueue(work({ entries: [entry(2)], hardState: { term: 3, vote: 1, commit: 1 } }));
    disk.commit();
    for (let seed = 0; seed < 50; seed++) disk.crash(new Prng(seed), true);
    expect(disk.hardState).toEqual({ term: 3, vote: 1, commit: 1 });
    expect(disk.term(2)).toBe(1);
  });

  test('keeps a prefix of what was not synced, and never a gap', () => {
    const outcomes = new Set<string>();
    for (let seed = 0; seed < 300; seed++) {
      const disk = formatted();
      const first = { term: 2, vote: 0, commit: 1 };
      disk.enqueue(work({ entries: [entry(2, 2), entry(3, 2)], hardState: first }));
      disk.enqueue(work({ entries: [entry(3, 3)], hardState: { ...first, term: 3 } }));
      disk.crash(new Prng(seed), true);
      const last = disk.storage.lastIndex();
      outcomes.add(`${disk.hardState.term} ${last} ${disk.term(3)}`);
      expect(disk.length).toBe(0);
    }
    expect([...outcomes].toSorted()).toEqual([
      '1 1 undefined',
      '1 2 undefined',
      '1 3 2',
      '2 3 2',
      '2 3 3',
      '3 3 3',
    ]);
  });

  test('keeps whole writes, and all of what was not synced, where nothing is torn', () => {
    const outcomes = new Set<string>();
    for (let seed = 0; seed < 100; seed++) {
      const disk = formatted();
      disk.enqueue(work({ hardState: { term: 1, vote: 0, commit: 9 }, mustSync: false }));
      disk.commit();
      disk.enqueue(work({ entries: [entry(2), entry(3)] }));
      const { survivors, isExact } = disk.crash(new Prng(seed), false);
      expect(isExact).toBe(true);
      outcomes.add(`${survivors.length} ${disk.hardState.commit} ${disk.storage.lastIndex()}`);
    }
    expect([...outcomes].toSorted()).toEqual(['0 9 1', '1 9 3']);
  });

  test('tells whether it has kept a part of a write', () => {
    for (let seed = 0; seed < 100; seed++) {
      const disk = formatted();
      const hardState = { term: 2, vote: 0, commit: 1 };
      disk.enqueue(work({ entries: [entry(2), entry(3)], hardState }));
      const { isExact } = disk.crash(new Prng(seed), true);
      const isWhole = disk.hardState.term === 2 || disk.storage.lastIndex() === 1;
      expect([seed, isExact]).toEqual([seed, isWhole]);
    }
  });

  test('may lose a commit index that was written without a sync, and nothing else', () => {
    const commits = new Set<number>();
    for (let seed = 0; seed < 50; seed++) {
      const disk = formatted();
      disk.enqueue(work({ entries: [entry(2)], hardState: { term: 1, vote: 1, commit: 1 } }));
      disk.commit();
      const hardState = { term: 1, vote: 1, commit: 2 };
      disk.enqueue(work({ hardState, mustSync: false }));
      disk.commit();
      expect(disk.hardState.commit).toBe(1);
      disk.crash(new Prng(seed), true);
      commits.add(disk.hardState.commit);
      expect(disk.term(2)).toBe(1);
    }
    expect(commits).toEqual(new Set([1, 2]));
  });
});

test('a stored snapshot takes the commit index with it', () => {
  const disk = formatted();
  disk.enqueue(work({ entries: [entry(2)] }));
  disk.commit();
  disk.saveSnapshot({ data: new Uint8Array(1), metadata: { index: 2, term: 1, confState } });
  expect(disk.hardState.commit).toBe(2);
  expect(disk.load().metadata.index).toBe(2);
});
