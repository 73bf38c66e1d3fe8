import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import type { Entry, HardState, Snapshot } from '../../src/index.js';
import type { LogBatch, LogStore } from '../../src/node/index.js';

/** One store of the implementation under test, across restarts. */
export interface LogStoreHarness {
  /** Opens the store, the first time empty. */
  readonly open: () => Promise<LogStore>;
  /** Ends the use of the store that is open, as a clean end of the process does. */
  readonly close: () => Promise<void>;
  /**
   * Ends the use of the store that is open as a loss of power does: what was not synced is gone.
   * Absent: the implementation cannot simulate it.
   */
  readonly loseUnsynced?: () => Promise<void>;
  /** Removes everything. */
  readonly dispose: () => Promise<void>;
}

const SYNC = { sync: true };
const NO_SYNC = { sync: false };

function entry(index: number, term: number, text = `${term}.${index}`): Entry {
  return { type: 'EntryNormal', term, index, data: new TextEncoder().encode(text) };
}

function range(from: number, to: number, term: number): Entry[] {
  return Array.from({ length: to - from + 1 }, (_, i) => entry(from + i, term));
}

function snapshot(index: number, term: number, text = 'state'): Snapshot {
  const confState = {
    voters: [1, 2, Number.MAX_SAFE_INTEGER - 2],
    votersOutgoing: [1, 2],
    learners: [4],
    learnersNext: [2],
    autoLeave: true,
  };
  return { data: new TextEncoder().encode(text), metadata: { index, term, confState } };
}

function hardState(term: number, commit: number, vote = 1): HardState {
  return { term, vote, commit };
}

/** Buffers and other subclasses count as equal bytes. */
function plain(entries: readonly Entry[]): unknown[] {
  return entries.map(({ type, term, index, data }) => ({ type, term, index, data: [...data] }));
}

/**
 * The tests every implementation of `LogStore` must pass.
 *
 * @param name of the implementation
 * @param create a harness with an empty store
 */
export function logStoreContract(name: string, create: () => Promise<LogStoreHarness>): void {
  describe(`${name} keeps the contract of LogStore`, () => {
    let harness: LogStoreHarness;
    let store: LogStore;

    beforeEach(async () => {
      harness = await create();
      store = await harness.open();
    });
    afterEach(async () => {
      await harness.close();
      await harness.dispose();
    });

    async function write(batch: Partial<LogBatch>, options = SYNC): Promise<void> {
      await store.write({ entries: [], ...batch }, options);
    }
    async function reopen(): Promise<Awaited<ReturnType<LogStore['load']>>> {
      await harness.close();
      store = await harness.open();
      return store.load();
    }

    test('a new store is empty', async () => {
      const loaded = await store.load();
      expect(loaded.hardState).toBeUndefined();
      expect(loaded.snapshot).toBeUndefined();
      expect(loaded.entries).toEqual([]);
      expect(loaded.appliedIndex ?? 0).toBe(0);
    });

    test('everything in a batch comes back after a restart', async () => {
      await store.load();
      const change: Entry = { ...entry(4, 2), type: 'EntryConfChangeV2', data: new Uint8Array(0) };
      const entries = [
        entry(1, 1),
        { ...entry(2, 1), data: new Uint8Array(0) },
        entry(3, 2),
        change,
      ];
      await write({ entries, hardState: hardState(2, 3), appliedIndex: 2 });
      const loaded = await reopen();
      expect(plain(loaded.entries)).toEqual(plain(entries));
      expect(loaded.hardState).toEqual(hardState(2, 3));
      expect([undefined, 2]).toContain(loaded.appliedIndex);
    });

    test('large numbers are kept exactly', async () => {
      await store.load();
      const state = { term: 2 ** 52 + 1, vote: Number.MAX_SAFE_INTEGER - 2, commit: 0 };
      await write({ hardState: state });
      expect((await reopen()).hardState).toEqual(state);
    });

    test('absent fields stay unchanged', async () => {
      await store.load();
      await write({ entries: range(1, 2, 1), hardState: hardState(1, 1) });
      await write({ entries: range(3, 3, 1) });
      await write({ hardState: hardState(1, 3) }, NO_SYNC);
      const loaded = await reopen();
      expect(plain(loaded.entries)).toEqual(plain(range(1, 3, 1)));
      expect(loaded.hardState).toEqual(hardState(1, 3));
    });

    test('new entries discard everything from their first index on', async () => {
      await store.load();
      await write({ entries: range(1, 9, 1), hardState: hardState(1, 2) });
      await write({ entries: range(4, 5, 2), hardState: hardState(2, 2) });
      const loaded = await reopen();
      expect(plain(loaded.entries)).toEqual(plain([...range(1, 3, 1), ...range(4, 5, 2)]));
    });

    test('discarded entries do not come back behind later ones', async () => {
      await store.load();
      await write({ entries: range(1, 9, 1), hardState: hardState(1, 2) });
      await write({ entries: range(3, 3, 2), hardState: hardState(2, 2) });
      await write({ entries: range(4, 5, 2) });
      const loaded = await reopen();
      expect(plain(loaded.entries)).toEqual(plain([...range(1, 2, 1), ...range(3, 5, 2)]));
    });

    test('a received snapshot replaces the whole log', async () => {
      await store.load();
      await write({ entries: range(1, 9, 1), hardState: hardState(1, 2) });
      await write({ snapshot: snapshot(5, 3), entries: [], hardState: hardState(3, 5) });
      let loaded = await reopen();
      expect(loaded.entries).toEqual([]);
      expect(loaded.snapshot?.metadata).toEqual(snapshot(5, 3).metadata);
      expect([...loaded.snapshot!.data]).toEqual([...snapshot(5, 3).data]);
      await write({ entries: range(6, 7, 3) });
      loaded = await reopen();
      expect(plain(loaded.entries)).toEqual(plain(range(6, 7, 3)));
    });

    test('a received snapshot and entries after it fit into one batch', async () => {
      await store.load();
      await write({ entries: range(1, 30, 1), hardState: hardState(1, 2) });
      await write({
        snapshot: snapshot(20, 3),
        entries: range(21, 22, 3),
        hardState: hardState(3, 20),
      });
      const loaded = await reopen();
      expect(loaded.snapshot?.metadata.index).toBe(20);
      expect(plain(loaded.entries)).toEqual(plain(range(21, 22, 3)));
    });

    test('an own snapshot keeps the entries until they are compacted', async () => {
      await store.load();
      await write({ entries: range(1, 9, 1), hardState: hardState(1, 9) });
      await write({ ownSnapshot: snapshot(6, 1) });
      let loaded = await reopen();
      expect(loaded.snapshot?.metadata).toEqual(snapshot(6, 1).metadata);
      expect(plain(loaded.entries).slice(-3)).toEqual(plain(range(7, 9, 1)));
      await store.compact(4);
      loaded = await reopen();
      expect(loaded.snapshot?.metadata.index).toBe(6);
      const kept = loaded.entries.map(({ index }) => index);
      expect(kept.slice(-5)).toEqual([5, 6, 7, 8, 9]);
    });

    test('a later own snapshot replaces an earlier one', async () => {
      await store.load();
      await write({ entries: range(1, 9, 1), hardState: hardState(1, 9) });
      await write({ ownSnapshot: snapshot(3, 1, 'early') });
      await write({ ownSnapshot: snapshot(8, 1, 'late'), entries: range(10, 10, 1) });
      const loaded = await reopen();
      expect(loaded.snapshot?.metadata.index).toBe(8);
      expect(new TextDecoder().decode(loaded.snapshot?.data)).toBe('late');
      expect(loaded.entries.at(-1)?.index).toBe(10);
    });

    test('compaction up to the snapshot leaves the entries after it', async () => {
      await store.load();
      await write({ entries: range(1, 9, 1), hardState: hardState(1, 9) });
      await write({ ownSnapshot: snapshot(6, 1) });
      await store.compact(6);
      await store.compact(6);
      await store.compact(2);
      await write({ entries: range(10, 11, 1) });
      const loaded = await reopen();
      expect(plain(loaded.entries.filter(({ index }) => index > 6))).toEqual(
        plain(range(7, 11, 1)),
      );
      expect(
        loaded.entries.every(({ index }, i, all) => i === 0 || index === all[i - 1]!.index + 1),
      ).toBe(true);
    });

    test('compaction may run while a write is open', async () => {
      await store.load();
      await write({ entries: range(1, 200, 1), hardState: hardState(1, 150) });
      await write({ ownSnapshot: snapshot(150, 1) });
      await Promise.all([
        store.compact(140),
        write({ entries: range(195, 300, 2), hardState: hardState(2, 190) }),
      ]);
      const loaded = await reopen();
      const after = loaded.entries.filter(({ index }) => index > 150);
      expect(plain(after)).toEqual(plain([...range(151, 194, 1), ...range(195, 300, 2)]));
    });

    test('a received snapshot may follow a compaction', async () => {
      await store.load();
      await write({ entries: range(1, 9, 1), hardState: hardState(1, 9) });
      await write({ ownSnapshot: snapshot(6, 1) });
      await store.compact(5);
      await write({ snapshot: snapshot(40, 2), hardState: hardState(2, 40) });
      await write({ entries: range(41, 42, 2) });
      const loaded = await reopen();
      expect(loaded.snapshot?.metadata.index).toBe(40);
      expect(plain(loaded.entries)).toEqual(plain(range(41, 42, 2)));
    });

    test('payloads of all sizes are kept', async () => {
      await store.load();
      const sizes = [0, 1, 255, 256, 65_537, 1_200_000];
      const entries = sizes.map((size, i): Entry => {
        const data = Uint8Array.from({ length: size }, (_, at) => (at * 31 + i) % 256);
        return { ...entry(i + 1, 1), data };
      });
      await write({ entries, hardState: hardState(1, 0) });
      const loaded = await reopen();
      expect(loaded.entries.map(({ data }) => data.length)).toEqual(sizes);
      for (const [i, { data }] of loaded.entries.entries()) {
        expect(Buffer.compare(data, entries[i]!.data)).toBe(0);
      }
    });

    test('many small batches are kept in order', async () => {
      await store.load();
      for (let index = 1; index <= 300; index++) {
        await write(
          { entries: [entry(index, 1)], hardState: hardState(1, index - 1) },
          {
            sync: index % 50 === 0,
          },
        );
      }
      const loaded = await reopen();
      expect(plain(loaded.entries)).toEqual(plain(range(1, 300, 1)));
      expect(loaded.hardState).toEqual(hardState(1, 299));
    });

    test('a synced write survives a loss of power, with all that was before it', async () => {
      if (harness.loseUnsynced === undefined) return;
      await store.load();
      await write({ entries: range(1, 3, 1), hardState: hardState(1, 1) });
      await write({ hardState: hardState(1, 2) }, NO_SYNC);
      await write({ entries: range(4, 5, 1) });
      await write({ hardState: hardState(1, 5) }, NO_SYNC);
      await harness.loseUnsynced();
      store = await harness.open();
      const loaded = await store.load();
      expect(plain(loaded.entries)).toEqual(plain(range(1, 5, 1)));
      expect([2, 5]).toContain(loaded.hardState?.commit);
    });
  });
}
