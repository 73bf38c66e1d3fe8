import { RaftInvariantError } from './errors.js';
import type { Bytes, Index, Term } from './numbers.js';
import { NO_BYTES } from './messages.js';
import { fittingCount } from './sizes.js';
import type { Compacted, InitialState, Storage, Unavailable } from './storage.js';
import type { ConfState, Entry, HardState, Snapshot } from './types.js';

/** The configuration without any node. */
export const EMPTY_CONF_STATE: ConfState = Object.freeze({
  voters: [],
  votersOutgoing: [],
  learners: [],
  learnersNext: [],
  autoLeave: false,
});

/**
 * A `Storage` in memory: complete for tests, and the cache in front of a log on disk, which keeps
 * the entries since the last compaction.
 *
 * `snapshot.metadata.index <= compacted index < firstIndex`. Nothing is copied; what was handed in
 * and handed out must not be modified.
 */
export class MemoryStorage implements Storage {
  #hardState: HardState | undefined = undefined;
  #snapshot: Snapshot = {
    data: NO_BYTES,
    metadata: { index: 0, term: 0, confState: EMPTY_CONF_STATE },
  };
  /** Index and term of the last compacted entry: appends right after it name them. */
  #compactedIndex: Index = 0;
  #compactedTerm: Term = 0;
  #entries: Entry[] = [];

  initialState(): InitialState {
    return { hardState: this.#hardState, confState: this.#snapshot.metadata.confState };
  }

  firstIndex(): Index {
    return this.#compactedIndex + 1;
  }

  lastIndex(): Index {
    return this.#compactedIndex + this.#entries.length;
  }

  term(index: Index): Term | Compacted | Unavailable {
    if (index < this.#compactedIndex) return 'compacted';
    if (index === this.#compactedIndex) return this.#compactedTerm;
    return this.#entries[index - this.#compactedIndex - 1]?.term ?? 'unavailable';
  }

  entries(lo: Index, hi: Index, maxSize: Bytes): readonly Entry[] | Compacted | Unavailable {
    if (lo <= this.#compactedIndex) return 'compacted';
    if (hi > this.lastIndex() + 1 || lo >= hi) return 'unavailable';
    const start = lo - this.#compactedIndex - 1;
    const found = this.#entries.slice(start, hi - this.#compactedIndex - 1);
    const count = fittingCount(found, maxSize);
    return count === found.length ? found : found.slice(0, count);
  }

  snapshot(): Snapshot {
    return this.#snapshot;
  }

  /** Replaces the stored hard state. */
  setHardState(state: HardState): void {
    this.#hardState = state;
  }

  /**
   * Appends entries, giving up what is stored from the first of them on. Entries that are compacted
   * already are skipped.
   *
   * @param entries contiguous, from at most one after the last index
   * @throws RaftInvariantError if they would leave a gap
   */
  append(entries: readonly Entry[]): void {
    const skip = Math.max(0, this.#compactedIndex + 1 - (entries[0]?.index ?? 0));
    const first = entries[skip];
    if (first === undefined) return;
    const keep = first.index - this.#compactedIndex - 1;
    if (keep > this.#entries.length) {
      throw new RaftInvariantError(
        `missing log entry [last: ${this.lastIndex()}, append at: ${first.index}]`,
      );
    }
    this.#entries.length = keep;
    for (let i = skip; i < entries.length; i++) this.#entries.push(entries[i] as Entry);
  }

  /**
   * Replaces the whole log by a snapshot.
   *
   * @returns 'outOfDate' if there is one at the same or a later index already; nothing changes then
   */
  applySnapshot(snapshot: Snapshot): 'applied' | 'outOfDate' {
    const { index, term } = snapshot.metadata;
    if (this.#snapshot.metadata.index >= index) return 'outOfDate';
    this.#snapshot = snapshot;
    this.#compactedIndex = index;
    this.#compactedTerm = term;
    this.#entries = [];
    return 'applied';
  }

  /**
   * Makes a snapshot at a stored index; the log stays as it is.
   *
   * @param index an applied index, at most `lastIndex()`
   * @param confState the configuration there; undefined: that of the snapshot before
   * @param data the state of the application there
   * @returns the snapshot, or 'outOfDate' if there is one at the same or a later index already
   * @throws RaftInvariantError if the index is not stored
   */
  createSnapshot(
    index: Index,
    confState: ConfState | undefined,
    data: Uint8Array,
  ): Snapshot | 'outOfDate' {
    const before = this.#snapshot.metadata;
    if (index <= before.index) return 'outOfDate';
    const term = this.term(index);
    if (typeof term === 'string') {
      throw new RaftInvariantError(
        `snapshot ${index} is out of bound lastindex(${this.lastIndex()})`,
      );
    }
    const metadata = { index, term, confState: confState ?? before.confState };
    this.#snapshot = { data, metadata };
    return this.#snapshot;
  }

  /**
   * Discards entries up to and including an index. Its term stays known.
   *
   * @param index at most `lastIndex()`; the application must not need entries up to it any more
   * @returns 'alreadyCompacted' if it was done before; nothing changes then
   * @throws RaftInvariantError if the index is after the last one
   */
  compact(index: Index): 'compacted' | 'alreadyCompacted' {
    if (index <= this.#compactedIndex) return 'alreadyCompacted';
    const term = this.term(index);
    if (typeof term === 'string') {
      throw new RaftInvariantError(
        `compact ${index} is out of bound lastindex(${this.lastIndex()})`,
      );
    }
    // A list of its own: the discarded entries must become garbage.
    this.#entries = this.#entries.slice(index - this.#compactedIndex);
    this.#compactedIndex = index;
    this.#compactedTerm = term;
    return 'compacted';
  }
}
