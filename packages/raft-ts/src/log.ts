import type { Bytes, Index, Term } from './numbers.js';
import { isUint, MAX_INDEX } from './numbers.js';
import { NO_ENTRIES } from './messages.js';
import type { Reporter } from './reporter.js';
import { entriesSize, fittingCount } from './sizes.js';
import type { Compacted, Storage, Unavailable } from './storage.js';
import type { Entry, EntryId, Snapshot } from './types.js';
import { Unstable } from './unstable.js';

/** Entries of a leader with the entry they follow. */
export interface LogSlice {
  readonly previous: EntryId;
  readonly entries: readonly Entry[];
}

/**
 * The log of a node: a stored part and an unstable end, with the marks of how far it is committed,
 * being applied and applied. `applied <= applying <= committed <= lastIndex`.
 */
export class RaftLog {
  readonly unstable: Unstable;
  committed: Index;
  /** Entries up to here were handed out for application. */
  applying: Index;
  applied: Index;
  /** Quota for entries that are handed out and not yet applied. */
  readonly applyingSizeMax: Bytes;
  #applyingSize: Bytes = 0;
  #isApplyingPaused = false;
  readonly #storage: Storage;
  readonly #reporter: Reporter;

  /**
   * @param storage the stored part
   * @param reporter receiver of log lines
   * @param applyingSizeMax greater than 0; one entry always passes
   */
  constructor(storage: Storage, reporter: Reporter, applyingSizeMax: Bytes) {
    this.#storage = storage;
    this.#reporter = reporter;
    this.applyingSizeMax = applyingSizeMax;
    const first = this.#checked(storage.firstIndex(), 'firstIndex');
    const last = this.#checked(storage.lastIndex(), 'lastIndex');
    if (first < 1 || last < first - 1) reporter.fail(`storage has entries [${first}, ${last}]`);
    this.unstable = new Unstable(last + 1, reporter);
    this.committed = first - 1;
    this.applying = first - 1;
    this.applied = first - 1;
  }

  /** Index of the first entry that is still there. */
  firstIndex(): Index {
    return this.unstable.firstIndex() ?? this.#checked(this.#storage.firstIndex(), 'firstIndex');
  }

  /** Index of the last entry, or of the snapshot if there is none. */
  lastIndex(): Index {
    return this.unstable.lastIndex() ?? this.#checked(this.#storage.lastIndex(), 'lastIndex');
  }

  /** Term of an entry; defined on [firstIndex - 1, lastIndex]. */
  term(index: Index): Term | Compacted | Unavailable {
    const known = this.unstable.term(index);
    if (known !== undefined) return known;
    if (index + 1 < this.firstIndex()) return 'compacted';
    if (index > this.lastIndex()) return 'unavailable';
    const term = this.#storage.term(index);
    return typeof term === 'string' ? term : this.#checked(term, 'term');
  }

  /** Term of an entry, 0 where it is not known. */
  termOrZero(index: Index): Term {
    const term = this.term(index);
    return typeof term === 'number' ? term : 0;
  }

  /** Place and term of the last entry. */
  lastId(): EntryId {
    const index = this.lastIndex();
    const term = this.term(index);
    if (typeof term === 'string') {
      this.#reporter.fail(`unexpected error when getting the last term at ${index}: ${term}`);
    }
    return { term, index };
  }

  /** Whether the log has exactly this entry. */
  matches(index: Index, term: Term): boolean {
    return this.term(index) === term;
  }

  /** Whether a log that ends with this entry is at least as up-to-date as this one. */
  isUpToDate(theirs: EntryId): boolean {
    const ours = this.lastId();
    return theirs.term > ours.term || (theirs.term === ours.term && theirs.index >= ours.index);
  }

  /**
   * Takes over entries of a leader: only from the first conflict on, so that late messages cannot
   * remove acknowledged entries.
   *
   * @returns index of the last entry the slice confirms; undefined if it does not connect
   */
  maybeAppend(slice: LogSlice, committed: Index): Index | undefined {
    const { previous, entries } = slice;
    if (!this.matches(previous.index, previous.term)) return undefined;
    const last = previous.index + entries.length;
    const conflict = this.#findConflict(entries);
    if (conflict !== 0) {
      const skip = conflict - previous.index - 1;
      this.append(skip === 0 ? entries : entries.slice(skip));
    }
    this.commitTo(Math.min(committed, last));
    return last;
  }

  /** Appends entries, giving up what was there from the first of them on. */
  append(entries: readonly Entry[]): void {
    if (entries.length === 0) return;
    const after = (entries[0] as Entry).index - 1;
    if (after < this.committed) {
      this.#reporter.fail(`after(${after}) is out of range [committed(${this.committed})]`);
    }
    if (after + entries.length > MAX_INDEX) {
      this.#reporter.fail(`the log would grow beyond index ${MAX_INDEX}`);
    }
    this.unstable.truncateAndAppend(entries);
  }

  /** Index of the first entry that is missing here or differs; 0 if there is none. */
  #findConflict(entries: readonly Entry[]): Index {
    for (const { index, term } of entries) {
      const ours = this.term(index);
      if (ours === term) continue;
      if (index <= this.lastIndex() && this.#reporter.wants('INFO')) {
        const terms = `[existing term: ${this.termOrZero(index)}, conflicting term: ${term}]`;
        this.#reporter.write('INFO', `found conflict at index ${index} ${terms}`);
      }
      return index;
    }
    return 0;
  }

  /**
   * The largest place up to `index` whose term is at most `term`: logs that disagree there cannot
   * agree after it. The term is 0 where it is not known.
   */
  findConflictByTerm(index: Index, term: Term): EntryId {
    for (let at = index; at > 0; at--) {
      const ours = this.term(at);
      if (typeof ours === 'string') return { term: 0, index: at };
      if (ours <= term) return { term: ours, index: at };
    }
    return { term: 0, index: 0 };
  }

  /** Raises the commit index; never lowers it. */
  commitTo(index: Index): void {
    if (index <= this.committed) return;
    const last = this.lastIndex();
    if (index > last) {
      this.#reporter.fail(
        `tocommit(${index}) is out of range [lastIndex(${last})]. ` +
          'Was the raft log corrupted, truncated, or lost?',
      );
    }
    this.committed = index;
  }

  /** Raises the commit index if the entry there is of the given term. */
  maybeCommit(index: Index, term: Term): boolean {
    if (index <= this.committed || term === 0 || !this.matches(index, term)) return false;
    this.commitTo(index);
    return true;
  }

  /** Whether a snapshot waits to be written or is being written. */
  hasUnstableSnapshot(): boolean {
    return this.unstable.snapshot !== undefined;
  }

  /** Last index that may be handed out for application. */
  #appliableIndex(allowUnstable: boolean): Index {
    return allowUnstable ? this.committed : Math.min(this.committed, this.unstable.offset - 1);
  }

  /** Whether `nextCommitted` has anything. */
  hasNextCommitted(allowUnstable: boolean): boolean {
    if (this.#isApplyingPaused || this.hasUnstableSnapshot()) return false;
    return this.applying < this.#appliableIndex(allowUnstable);
  }

  /** Committed entries that may be applied next, as far as the quota allows. */
  nextCommitted(allowUnstable: boolean): readonly Entry[] {
    if (!this.hasNextCommitted(allowUnstable)) return NO_ENTRIES;
    const quota = this.applyingSizeMax - this.#applyingSize;
    const lo = this.applying + 1;
    const hi = this.#appliableIndex(allowUnstable) + 1;
    const entries = this.slice(lo, hi, quota);
    if (entries === 'compacted') {
      this.#reporter.fail(`unexpected error when getting unapplied entries [${lo}, ${hi})`);
    }
    return entries;
  }

  /** Notes that entries up to `index` were handed out. */
  acceptApplying(index: Index, size: Bytes, allowUnstable: boolean): void {
    if (index > this.committed) {
      const range = `[prevApplying(${this.applying}), committed(${this.committed})]`;
      this.#reporter.fail(`applying(${index}) is out of range ${range}`);
    }
    this.applying = index;
    this.#applyingSize += size;
    // Entries that were left out did not fit: wait until some of the quota is free again.
    this.#isApplyingPaused =
      this.#applyingSize >= this.applyingSizeMax || index < this.#appliableIndex(allowUnstable);
  }

  /** Notes that entries up to `index` were applied, and frees their part of the quota. */
  appliedTo(index: Index, size: Bytes): void {
    if (index > this.committed || index < this.applied) {
      const range = `[prevApplied(${this.applied}), committed(${this.committed})]`;
      this.#reporter.fail(`applied(${index}) is out of range ${range}`);
    }
    this.applied = index;
    this.applying = Math.max(this.applying, index);
    this.#applyingSize = Math.max(0, this.#applyingSize - size);
    this.#isApplyingPaused = this.#applyingSize >= this.applyingSizeMax;
  }

  /** Replaces the log by a snapshot. */
  restore(snapshot: Snapshot): void {
    const { index, term } = snapshot.metadata;
    if (this.#reporter.wants('INFO')) {
      this.#reporter.write(
        'INFO',
        `log [${this.describe()}] starts to restore snapshot [index: ${index}, term: ${term}]`,
      );
    }
    this.committed = index;
    this.unstable.restore(snapshot);
  }

  /** The most recent snapshot of this node. */
  snapshot(): Snapshot | 'temporarilyUnavailable' {
    return this.unstable.snapshot ?? this.#storage.snapshot();
  }

  /** Entries from `lo` to the end, at least one of them, as many as fit. */
  entriesFrom(lo: Index, sizeMax: Bytes): readonly Entry[] | Compacted {
    const end = this.lastIndex() + 1;
    return lo >= end ? NO_ENTRIES : this.slice(lo, end, sizeMax);
  }

  /** Entries in [lo, hi), nonempty: at least one of them, as many as fit. */
  slice(lo: Index, hi: Index, sizeMax: Bytes): readonly Entry[] | Compacted {
    if (lo >= hi) this.#reporter.fail(`invalid slice ${lo} >= ${hi}`);
    if (lo < this.firstIndex()) return 'compacted';
    const last = this.lastIndex();
    if (hi > last + 1) this.#reporter.fail(`slice[${lo},${hi}) out of bound [..,${last}]`);
    const { offset } = this.unstable;
    if (lo >= offset) return this.#fitting(this.unstable.slice(lo, hi), sizeMax);

    const cut = Math.min(hi, offset);
    const stored = this.#storage.entries(lo, cut, sizeMax);
    if (stored === 'compacted') return stored;
    if (stored === 'unavailable' || !isStretch(stored, lo, cut)) {
      this.#reporter.fail(`entries[${lo}:${cut}) is unavailable from storage`);
    }
    if (hi <= offset || stored.length < cut - lo) return stored;
    const size = sizeMax === Number.POSITIVE_INFINITY ? 0 : entriesSize(stored);
    if (size >= sizeMax) return stored;
    const rest = this.#fitting(this.unstable.slice(offset, hi), sizeMax - size);
    // The first of the rest is always in the list, also when it does not fit.
    if (rest.length === 1 && size + entriesSize(rest) > sizeMax) return stored;
    return stored.concat(rest);
  }

  /** The marks of this log as log lines show them. */
  describe(): string {
    return (
      `committed=${this.committed}, applied=${this.applied}, applying=${this.applying}, ` +
      `unstable.offset=${this.unstable.offset}, ` +
      `unstable.offsetInProgress=${this.unstable.offsetInProgress}, ` +
      `len(unstable.Entries)=${this.unstable.length}`
    );
  }

  #fitting(entries: readonly Entry[], sizeMax: Bytes): readonly Entry[] {
    const count = fittingCount(entries, sizeMax);
    return count === entries.length ? entries : entries.slice(0, count);
  }

  #checked(value: number, what: string): number {
    if (!isUint(value)) this.#reporter.fail(`storage answered ${String(value)} for ${what}`);
    return value;
  }
}

/** Whether a storage answered with a nonempty start of what it was asked for. */
function isStretch(entries: readonly Entry[], lo: Index, hi: Index): boolean {
  const { length } = entries;
  return length > 0 && length <= hi - lo && entries[0]?.index === lo;
}
