import { describe, expect, test } from '@jest/globals';
import type { ConfState, Entry, Snapshot } from '../src/index.js';
import { MemoryStorage, RaftInvariantError } from '../src/index.js';
import { bytes } from './support/bytes.js';

const NO_LIMIT = Number.POSITIVE_INFINITY;
const confState: ConfState = {
  voters: [1, 2],
  votersOutgoing: [],
  learners: [],
  learnersNext: [],
  autoLeave: false,
};

function entries(...ids: [number, number][]): Entry[] {
  return ids.map(([term, index]) => ({ term, index, type: 'EntryNormal', data: bytes('x') }));
}

function snapshot(index: number, term: number): Snapshot {
  return { data: bytes('s'), metadata: { index, term, confState } };
}

/** Entries 4, 5 and 6 after a compaction at 3. */
function filled(): MemoryStorage {
  const storage = new MemoryStorage();
  storage.append(entries([1, 1], [1, 2], [2, 3], [3, 4], [3, 5], [4, 6]));
  storage.compact(3);
  return storage;
}

describe('memory storage', () => {
  test('starts empty', () => {
    const storage = new MemoryStorage();
    expect([storage.firstIndex(), storage.lastIndex(), storage.term(0)]).toEqual([1, 0, 0]);
    expect(storage.initialState().hardState).toBeUndefined();
    expect(storage.snapshot().metadata.index).toBe(0);
  });

  test('the term of the compacted index stays known', () => {
    const storage = filled();
    expect([2, 3, 4, 6, 7].map((i) => storage.term(i))).toEqual([
      'compacted',
      2,
      3,
      4,
      'unavailable',
    ]);
  });

  test('entries come within bounds and size, at least one', () => {
    const storage = filled();
    expect(storage.entries(3, 5, NO_LIMIT)).toBe('compacted');
    expect(storage.entries(4, 8, NO_LIMIT)).toBe('unavailable');
    expect(storage.entries(4, 7, NO_LIMIT)).toHaveLength(3);
    expect(storage.entries(4, 7, 0)).toEqual(entries([3, 4]));
  });

  test('append replaces the tail and skips what is compacted', () => {
    const storage = filled();
    storage.append(entries([2, 3], [5, 4], [5, 5]));
    expect(storage.entries(4, 6, NO_LIMIT)).toEqual(entries([5, 4], [5, 5]));
    expect(storage.lastIndex()).toBe(5);
    storage.append(entries([1, 2], [2, 3]));
    storage.append([]);
    expect(storage.lastIndex()).toBe(5);
    expect(() => storage.append(entries([5, 7]))).toThrow(RaftInvariantError);
  });

  test('what was handed out does not change later', () => {
    const storage = filled();
    const before = storage.entries(4, 7, NO_LIMIT);
    storage.append(entries([9, 4]));
    storage.compact(4);
    expect(before).toEqual(entries([3, 4], [3, 5], [4, 6]));
  });

  test('compaction is for once, and not beyond the end', () => {
    const storage = filled();
    expect(storage.compact(3)).toBe('alreadyCompacted');
    expect(storage.compact(5)).toBe('compacted');
    expect([storage.firstIndex(), storage.lastIndex()]).toEqual([6, 6]);
    expect(() => storage.compact(7)).toThrow(RaftInvariantError);
  });

  test('a snapshot replaces everything, unless it is old', () => {
    const storage = filled();
    expect(storage.applySnapshot(snapshot(20, 7))).toBe('applied');
    expect([storage.firstIndex(), storage.lastIndex(), storage.term(20)]).toEqual([21, 20, 7]);
    expect(storage.initialState().confState).toEqual(confState);
    expect(storage.applySnapshot(snapshot(20, 8))).toBe('outOfDate');
    expect(storage.term(20)).toBe(7);
  });

  test('a snapshot can be made of a stored index', () => {
    const storage = filled();
    const made = storage.createSnapshot(5, confState, bytes('state'));
    expect(made).toEqual({ data: bytes('state'), metadata: { index: 5, term: 3, confState } });
    expect(storage.snapshot()).toEqual(made);
    expect(storage.createSnapshot(5, confState, bytes(''))).toBe('outOfDate');
    const later = storage.createSnapshot(6, undefined, bytes(''));
    expect(later).toMatchObject({ metadata: { index: 6, term: 4, confState } });
    expect(() => storage.createSnapshot(9, confState, bytes(''))).toThrow(RaftInvariantError);
    expect(storage.firstIndex()).toBe(4);
  });

  test('keeps the hard state', () => {
    const storage = filled();
    storage.setHardState({ term: 4, vote: 2, commit: 5 });
    expect(storage.initialState().hardState).toEqual({ term: 4, vote: 2, commit: 5 });
  });
});
