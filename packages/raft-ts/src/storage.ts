import type { Bytes, Index, Term } from './numbers.js';
import type { ConfState, Entry, HardState, Snapshot } from './types.js';

/** The index is before the first one that is kept. */
export type Compacted = 'compacted';
/** The index is after the last one that is stored. */
export type Unavailable = 'unavailable';

/** What a node reads from its storage when it is created. */
export interface InitialState {
  /** Undefined: nothing was stored yet. */
  readonly hardState: HardState | undefined;
  /** The configuration of the last snapshot; later changes come again as committed entries. */
  readonly confState: ConfState;
}

/**
 * The stored part of the log, as the core reads it.
 *
 * All methods answer at once: a disk-backed store keeps the entries since the last compaction in
 * memory. What a method returned must not change later. A compaction between two calls is seen
 * as `'compacted'`. An exception is a storage failure and makes the node unusable.
 */
export interface Storage {
  /** Called once, when the node is created. */
  initialState(): InitialState;
  /** First index for which `entries` can answer: one after the last compaction. */
  firstIndex(): Index;
  /** Last stored index; `firstIndex() - 1` if there are no entries. */
  lastIndex(): Index;
  /**
   * Term of an entry, defined on [firstIndex - 1, lastIndex]: the term of the last compacted
   * index stays known, because the first append after it names it.
   */
  term(index: Index): Term | Compacted | Unavailable;
  /**
   * Entries in [lo, hi), `firstIndex <= lo < hi <= lastIndex + 1`: at least one, then as many as
   * fit into `maxSize` bytes by `entrySize`. Never an empty list.
   */
  entries(lo: Index, hi: Index, maxSize: Bytes): readonly Entry[] | Compacted | Unavailable;
  /** The most recent snapshot, or the wish to be asked again later. */
  snapshot(): Snapshot | 'temporarilyUnavailable';
}
