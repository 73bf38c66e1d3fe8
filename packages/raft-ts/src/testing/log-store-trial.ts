import type { Entry, HardState, Index, Snapshot, Term } from '../index.js';
import type { LoadedLog, LogBatch, LogStore, WriteOptions } from '../node/index.js';

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

/** A log store does not keep the contract of `LogStore`. */
export class LogStoreContractError extends Error {
  override readonly name = 'LogStoreContractError';
}

/** A store that is being tried, with what the checks do to it. */
export class LogStoreTrial {
  readonly harness: LogStoreHarness;
  store: LogStore;

  /**
   * @param harness of the implementation
   * @param store that is open
   */
  constructor(harness: LogStoreHarness, store: LogStore) {
    this.harness = harness;
    this.store = store;
  }

  /** Writes a batch. */
  async write(batch: Partial<LogBatch>, options: WriteOptions = { sync: true }): Promise<void> {
    await this.store.write({ entries: [], ...batch }, options);
  }

  /** Ends the process and starts it again. @returns what is found then */
  async reopen(): Promise<LoadedLog> {
    await this.harness.close();
    this.store = await this.harness.open();
    return this.store.load();
  }

  /** Loses the power. @returns what is found then; undefined: the harness cannot */
  async losePower(): Promise<LoadedLog | undefined> {
    if (this.harness.loseUnsynced === undefined) return undefined;
    await this.harness.loseUnsynced();
    this.store = await this.harness.open();
    return this.store.load();
  }
}

/** An entry whose payload says where it belongs. */
export function entryAt(index: Index, term: Term, text: string = `${term}.${index}`): Entry {
  return { type: 'EntryNormal', term, index, data: bytesOf(text) };
}

/** Entries of one term. */
export function entriesAt(from: Index, to: Index, term: Term): Entry[] {
  return Array.from({ length: to - from + 1 }, (_, i) => entryAt(from + i, term));
}

/** A snapshot with a configuration that uses every field. */
export function snapshotAt(index: Index, term: Term, text: string = 'state'): Snapshot {
  const confState = {
    voters: [1, 2, Number.MAX_SAFE_INTEGER - 2],
    votersOutgoing: [1, 2],
    learners: [4],
    learnersNext: [2],
    autoLeave: true,
  };
  return { data: bytesOf(text), metadata: { index, term, confState } };
}

/** A hard state. */
export function hardStateAt(term: Term, commit: Index, vote: number = 1): HardState {
  return { term, vote, commit };
}

/** @throws LogStoreContractError unless it holds */
export function expectThat(holds: boolean, what: string): asserts holds {
  if (!holds) throw new LogStoreContractError(what);
}

/** @throws LogStoreContractError unless exactly these entries are there */
export function expectEntries(found: readonly Entry[], expected: readonly Entry[]): void {
  const indexes = found.map(({ index }) => index).join(', ');
  expectThat(found.length === expected.length, `${expected.length} entries expected: ${indexes}`);
  for (const [i, entry] of expected.entries()) {
    const other = found[i];
    const isSame =
      other?.index === entry.index && other.term === entry.term && other.type === entry.type;
    expectThat(isSame, `entry ${entry.term}/${entry.index} expected: ${indexes}`);
    expectThat(isSameBytes(other.data, entry.data), `entry ${entry.index} has another payload`);
  }
}

/** @throws LogStoreContractError unless this is the hard state */
export function expectHardState({ hardState: found }: LoadedLog, expected: HardState): void {
  const { term, vote, commit } = expected;
  const isSame = found?.term === term && found.vote === vote && found.commit === commit;
  expectThat(isSame, `hard state ${JSON.stringify(found)} instead of ${JSON.stringify(expected)}`);
}

/** @throws LogStoreContractError unless this is the snapshot */
export function expectSnapshot({ snapshot: found }: LoadedLog, expected: Snapshot): void {
  const { data, metadata } = expected;
  expectThat(found !== undefined, 'there is no snapshot');
  const isSame =
    found.metadata.index === metadata.index &&
    found.metadata.term === metadata.term &&
    JSON.stringify(ordered(found)) === JSON.stringify(ordered(expected));
  expectThat(isSame, `snapshot ${found.metadata.index} instead of ${metadata.index}`);
  expectThat(isSameBytes(found.data, data), 'the snapshot has another content');
}

function ordered({ metadata: { confState } }: Snapshot): unknown[] {
  const { voters, votersOutgoing, learners, learnersNext, autoLeave } = confState;
  return [voters, votersOutgoing, learners, learnersNext, autoLeave];
}

function bytesOf(text: string): Uint8Array {
  return Uint8Array.from(text, (character) => character.charCodeAt(0));
}

function isSameBytes(one: Uint8Array, other: Uint8Array): boolean {
  return one.length === other.length && one.every((byte, i) => byte === other[i]);
}
