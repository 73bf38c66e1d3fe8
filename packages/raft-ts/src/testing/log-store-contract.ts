import type { Entry } from '../index.js';
import {
  entriesAt,
  entryAt,
  expectEntries,
  expectHardState,
  expectSnapshot,
  expectThat,
  hardStateAt,
  LogStoreTrial,
  snapshotAt,
} from './log-store-trial.js';
import type { LogStoreHarness } from './log-store-trial.js';

/** One thing that every `LogStore` must do. */
export interface LogStoreCheck {
  /** For people, unique. */
  readonly name: string;
  /**
   * Tries it on a store of its own.
   *
   * @param create a harness with an empty store
   * @throws LogStoreContractError when the store does something else, or what the store throws
   */
  readonly run: (create: () => Promise<LogStoreHarness>) => Promise<void>;
}

const NO_SYNC = { sync: false };

function check(name: string, act: (trial: LogStoreTrial) => Promise<void>): LogStoreCheck {
  return {
    name,
    run: async (create) => {
      const harness = await create();
      try {
        const trial = new LogStoreTrial(harness, await harness.open());
        await trial.store.load();
        await act(trial);
        await harness.close();
      } finally {
        await harness.dispose();
      }
    },
  };
}

const BASICS: readonly LogStoreCheck[] = [
  check('a new store is empty', async (trial) => {
    const loaded = await trial.reopen();
    expectThat(loaded.hardState === undefined, 'there is a hard state');
    expectThat(loaded.snapshot === undefined, 'there is a snapshot');
    expectEntries(loaded.entries, []);
    expectThat((loaded.appliedIndex ?? 0) === 0, 'something was applied');
  }),
  check('everything in a batch comes back after a restart', async (trial) => {
    const nothing = new Uint8Array(0);
    const entries: Entry[] = [
      entryAt(1, 1),
      { ...entryAt(2, 1), data: nothing },
      { ...entryAt(3, 2), type: 'EntryConfChange' },
      { ...entryAt(4, 2), type: 'EntryConfChangeV2', data: nothing },
    ];
    await trial.write({ entries, hardState: hardStateAt(2, 3), appliedIndex: 2 });
    const loaded = await trial.reopen();
    expectEntries(loaded.entries, entries);
    expectHardState(loaded, hardStateAt(2, 3));
    expectThat([undefined, 2].includes(loaded.appliedIndex), 'another applied index');
  }),
  check('large numbers are kept exactly', async (trial) => {
    const state = hardStateAt(2 ** 52 + 1, 0, Number.MAX_SAFE_INTEGER - 2);
    await trial.write({ hardState: state });
    expectHardState(await trial.reopen(), state);
  }),
  check('absent fields stay unchanged', async (trial) => {
    await trial.write({ entries: entriesAt(1, 2, 1), hardState: hardStateAt(1, 1) });
    await trial.write({ entries: entriesAt(3, 3, 1) });
    await trial.write({ hardState: hardStateAt(1, 3) }, NO_SYNC);
    const loaded = await trial.reopen();
    expectEntries(loaded.entries, entriesAt(1, 3, 1));
    expectHardState(loaded, hardStateAt(1, 3));
  }),
  check('new entries discard everything from their first index on', async (trial) => {
    await trial.write({ entries: entriesAt(1, 9, 1), hardState: hardStateAt(1, 2) });
    await trial.write({ entries: entriesAt(4, 5, 2), hardState: hardStateAt(2, 2) });
    const { entries } = await trial.reopen();
    expectEntries(entries, [...entriesAt(1, 3, 1), ...entriesAt(4, 5, 2)]);
  }),
  check('discarded entries do not come back behind later ones', async (trial) => {
    await trial.write({ entries: entriesAt(1, 9, 1), hardState: hardStateAt(1, 2) });
    await trial.write({ entries: entriesAt(3, 3, 2), hardState: hardStateAt(2, 2) });
    await trial.write({ entries: entriesAt(4, 5, 2) });
    const { entries } = await trial.reopen();
    expectEntries(entries, [...entriesAt(1, 2, 1), ...entriesAt(3, 5, 2)]);
  }),
  check('payloads of all sizes are kept', async (trial) => {
    const sizes = [0, 1, 255, 256, 65_537, 1_200_000];
    const entries = sizes.map((size, i): Entry => {
      const data = Uint8Array.from({ length: size }, (_, at) => (at * 31 + i) % 256);
      return { ...entryAt(i + 1, 1), data };
    });
    await trial.write({ entries, hardState: hardStateAt(1, 0) });
    expectEntries((await trial.reopen()).entries, entries);
  }),
  check('many small batches are kept in order', async (trial) => {
    for (let index = 1; index <= 300; index++) {
      const batch = { entries: [entryAt(index, 1)], hardState: hardStateAt(1, index - 1) };
      await trial.write(batch, { sync: index % 50 === 0 });
    }
    const loaded = await trial.reopen();
    expectEntries(loaded.entries, entriesAt(1, 300, 1));
    expectHardState(loaded, hardStateAt(1, 299));
  }),
];

const SNAPSHOTS: readonly LogStoreCheck[] = [
  check('a received snapshot replaces the whole log', async (trial) => {
    await trial.write({ entries: entriesAt(1, 9, 1), hardState: hardStateAt(1, 2) });
    await trial.write({ snapshot: snapshotAt(5, 3), hardState: hardStateAt(3, 5) });
    const loaded = await trial.reopen();
    expectEntries(loaded.entries, []);
    expectSnapshot(loaded, snapshotAt(5, 3));
    await trial.write({ entries: entriesAt(6, 7, 3) });
    expectEntries((await trial.reopen()).entries, entriesAt(6, 7, 3));
  }),
  check('a received snapshot and entries after it fit into one batch', async (trial) => {
    await trial.write({ entries: entriesAt(1, 30, 1), hardState: hardStateAt(1, 2) });
    const snapshot = snapshotAt(20, 3);
    const hardState = hardStateAt(3, 20);
    await trial.write({ snapshot, entries: entriesAt(21, 22, 3), hardState });
    const loaded = await trial.reopen();
    expectSnapshot(loaded, snapshot);
    expectEntries(loaded.entries, entriesAt(21, 22, 3));
  }),
  check('an own snapshot keeps the entries until they are compacted', async (trial) => {
    await trial.write({ entries: entriesAt(1, 9, 1), hardState: hardStateAt(1, 9) });
    await trial.write({ ownSnapshot: snapshotAt(6, 1) });
    const loaded = await trial.reopen();
    expectSnapshot(loaded, snapshotAt(6, 1));
    expectEntries(loaded.entries.slice(-3), entriesAt(7, 9, 1));
    await trial.store.compact(4);
    const after = await trial.reopen();
    expectSnapshot(after, snapshotAt(6, 1));
    expectEntries(after.entries.slice(-5), entriesAt(5, 9, 1));
  }),
  check('a later own snapshot replaces an earlier one', async (trial) => {
    await trial.write({ entries: entriesAt(1, 9, 1), hardState: hardStateAt(1, 9) });
    await trial.write({ ownSnapshot: snapshotAt(3, 1, 'early') });
    await trial.write({ ownSnapshot: snapshotAt(8, 1, 'late'), entries: entriesAt(10, 10, 1) });
    const loaded = await trial.reopen();
    expectSnapshot(loaded, snapshotAt(8, 1, 'late'));
    expectEntries(loaded.entries.slice(-1), entriesAt(10, 10, 1));
  }),
  check('compaction up to the snapshot leaves the entries after it', async (trial) => {
    await trial.write({ entries: entriesAt(1, 9, 1), hardState: hardStateAt(1, 9) });
    await trial.write({ ownSnapshot: snapshotAt(6, 1) });
    for (const index of [6, 6, 2]) await trial.store.compact(index);
    await trial.write({ entries: entriesAt(10, 11, 1) });
    const { entries } = await trial.reopen();
    expectEntries(
      entries.filter(({ index }) => index > 6),
      entriesAt(7, 11, 1),
    );
    const isGapless = entries.every(({ index }, i) => index === entries[0]!.index + i);
    expectThat(isGapless, 'there is a gap in the log');
  }),
  check('compaction may run while a write is open', async (trial) => {
    await trial.write({ entries: entriesAt(1, 200, 1), hardState: hardStateAt(1, 150) });
    await trial.write({ ownSnapshot: snapshotAt(150, 1) });
    const tail = { entries: entriesAt(195, 300, 2), hardState: hardStateAt(2, 190) };
    await Promise.all([trial.store.compact(140), trial.write(tail)]);
    const { entries } = await trial.reopen();
    const after = entries.filter(({ index }) => index > 150);
    expectEntries(after, [...entriesAt(151, 194, 1), ...entriesAt(195, 300, 2)]);
  }),
  check('a received snapshot may follow a compaction', async (trial) => {
    await trial.write({ entries: entriesAt(1, 9, 1), hardState: hardStateAt(1, 9) });
    await trial.write({ ownSnapshot: snapshotAt(6, 1) });
    await trial.store.compact(5);
    await trial.write({ snapshot: snapshotAt(40, 2), hardState: hardStateAt(2, 40) });
    await trial.write({ entries: entriesAt(41, 42, 2) });
    const loaded = await trial.reopen();
    expectSnapshot(loaded, snapshotAt(40, 2));
    expectEntries(loaded.entries, entriesAt(41, 42, 2));
  }),
];

const CRASHES: readonly LogStoreCheck[] = [
  check('a synced write survives a loss of power, with all that was before it', async (trial) => {
    await trial.write({ entries: entriesAt(1, 3, 1), hardState: hardStateAt(1, 1) });
    await trial.write({ hardState: hardStateAt(1, 2) }, NO_SYNC);
    await trial.write({ entries: entriesAt(4, 5, 1) });
    await trial.write({ hardState: hardStateAt(1, 5) }, NO_SYNC);
    const loaded = await trial.losePower();
    if (loaded === undefined) return;
    expectEntries(loaded.entries, entriesAt(1, 5, 1));
    expectThat([2, 5].includes(loaded.hardState?.commit ?? 0), 'another commit index');
  }),
];

/**
 * What every implementation of `LogStore` must do, for any test runner: each check makes a store of
 * its own, and throws if it does something else.
 *
 * @example for (const { name, run } of LOG_STORE_CONTRACT) test(name, () => run(createHarness));
 */
export const LOG_STORE_CONTRACT: readonly LogStoreCheck[] = [...BASICS, ...SNAPSHOTS, ...CRASHES];
