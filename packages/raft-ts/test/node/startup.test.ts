import { describe, expect, test } from '@jest/globals';
import type { Entry, HardState, Snapshot } from '../../src/index.js';
import { loadStartState } from '../../src/node/startup.js';
import type { LoadedLog, LogStore } from '../../src/node/index.js';

const CONF = {
  voters: [1, 2],
  votersOutgoing: [],
  learners: [],
  learnersNext: [],
  autoLeave: false,
};

function entries(from: number, to: number, term: number): Entry[] {
  return Array.from({ length: to - from + 1 }, (_, i) => ({
    type: 'EntryNormal',
    term,
    index: from + i,
    data: new Uint8Array(0),
  }));
}

function snapshot(index: number, term: number): Snapshot {
  return { data: new Uint8Array(1), metadata: { index, term, confState: CONF } };
}

async function start(loaded: Partial<LoadedLog>): ReturnType<typeof loadStartState> {
  const whole = { hardState: undefined, snapshot: undefined, entries: [], ...loaded };
  const store = { load: () => Promise.resolve(whole) } as unknown as LogStore;
  return loadStartState(store);
}

describe('start from a log store', () => {
  test('an empty store is new', async () => {
    const state = await start({});
    expect(state).toMatchObject({ isNew: true, index: 0, term: 0, commit: 0, applied: 0 });
    expect(state.storage.lastIndex()).toBe(0);
  });

  test('a hard state alone is not new: a vote was given', async () => {
    expect((await start({ hardState: { term: 1, vote: 2, commit: 0 } })).isNew).toBe(false);
  });

  test('entries before the snapshot are left out, those after it are kept', async () => {
    const state = await start({
      hardState: { term: 2, vote: 1, commit: 7 },
      snapshot: snapshot(5, 1),
      entries: [...entries(3, 6, 1), ...entries(7, 8, 2)],
      appliedIndex: 6,
    });
    expect(state).toMatchObject({ isNew: false, index: 5, term: 1, commit: 7, applied: 6 });
    expect(state.storage.firstIndex()).toBe(6);
    expect(state.storage.lastIndex()).toBe(8);
    expect(state.storage.confState).toEqual(CONF);
  });

  test.each<[string, HardState | undefined, HardState]>([
    ['is missing', undefined, { term: 3, vote: 0, commit: 9 }],
    ['has an older commit index', { term: 3, vote: 2, commit: 4 }, { term: 3, vote: 2, commit: 9 }],
    ['has an older term', { term: 2, vote: 2, commit: 9 }, { term: 3, vote: 0, commit: 9 }],
    ['is newer', { term: 5, vote: 1, commit: 9 }, { term: 5, vote: 1, commit: 9 }],
  ])('a snapshot completes a hard state that %s', async (_, hardState, expected) => {
    const { storage } = await start({ hardState, snapshot: snapshot(9, 3) });
    expect(storage.initialState().hardState).toEqual(expected);
  });
});
