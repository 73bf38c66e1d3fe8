import type { Index, Term } from './numbers.js';
import type { Reporter } from './reporter.js';
import { endOf } from './sizes.js';
import type { Entry, EntryId, Snapshot } from './types.js';

/**
 * The end of the log that is not yet known to be durable: entries from `offset` on, and at most one
 * snapshot before them. What was handed out to be written is "in progress".
 *
 * `offset <= offsetInProgress <= offset + length`.
 */
export class Unstable {
  /** Index of the first entry here. */
  offset: Index;
  /** Entries before this index are being written. */
  offsetInProgress: Index;
  snapshot: Snapshot | undefined = undefined;
  #snapshotInProgress = false;
  #entries: Entry[] = [];
  readonly #reporter: Reporter;

  /**
   * @param offset index after the last stored entry
   * @param reporter receiver of log lines
   */
  constructor(offset: Index, reporter: Reporter) {
    this.offset = offset;
    this.offsetInProgress = offset;
    this.#reporter = reporter;
  }

  /** Number of entries here. */
  get length(): number {
    return this.#entries.length;
  }

  /** First index of the whole log, if a snapshot here decides it. */
  firstIndex(): Index | undefined {
    return this.snapshot === undefined ? undefined : this.snapshot.metadata.index + 1;
  }

  /** Last index of the whole log, if it is decided here. */
  lastIndex(): Index | undefined {
    if (this.#entries.length > 0) return this.offset + this.#entries.length - 1;
    return this.snapshot?.metadata.index;
  }

  /** Term of the entry at an index, if it is known here. */
  term(index: Index): Term | undefined {
    if (index >= this.offset) return this.#entries[index - this.offset]?.term;
    const metadata = this.snapshot?.metadata;
    return metadata?.index === index ? metadata.term : undefined;
  }

  /** Whether there are entries that nobody writes yet. */
  hasNextEntries(): boolean {
    return this.offsetInProgress - this.offset < this.#entries.length;
  }

  /** The entries that nobody writes yet, as a list of its own. */
  nextEntries(): Entry[] {
    return this.#entries.slice(this.offsetInProgress - this.offset);
  }

  /** The snapshot that nobody writes yet. */
  nextSnapshot(): Snapshot | undefined {
    return this.#snapshotInProgress ? undefined : this.snapshot;
  }

  /** Marks everything as being written. */
  acceptInProgress(): void {
    this.offsetInProgress = this.offset + this.#entries.length;
    if (this.snapshot !== undefined) this.#snapshotInProgress = true;
  }

  /**
   * Releases entries that became durable. Nothing happens if the entry was replaced meanwhile: what
   * is stored then is going to be overwritten.
   *
   * @param id the last durable entry
   */
  stableTo(id: EntryId): void {
    const term = this.term(id.index);
    const { offset } = this;
    if (term === id.term && id.index >= offset) {
      this.#entries.splice(0, id.index + 1 - offset);
      this.offset = id.index + 1;
      this.offsetInProgress = Math.max(this.offsetInProgress, this.offset);
      return;
    }
    if (!this.#reporter.wants('INFO')) return;
    const text =
      term === undefined
        ? `entry at index ${id.index} missing from unstable log; ignoring`
        : id.index < offset
          ? `entry at index ${id.index} matched unstable snapshot; ignoring`
          : `entry at (index,term)=(${id.index},${id.term}) mismatched with entry at ` +
            `(${id.index},${term}) in unstable log; ignoring`;
    this.#reporter.write('INFO', text);
  }

  /** Releases the snapshot, if it is the one at this index. */
  stableSnapshotTo(index: Index): void {
    if (this.snapshot?.metadata.index !== index) return;
    this.snapshot = undefined;
    this.#snapshotInProgress = false;
  }

  /** Replaces everything by a snapshot. */
  restore(snapshot: Snapshot): void {
    this.offset = snapshot.metadata.index + 1;
    this.offsetInProgress = this.offset;
    this.#entries = [];
    this.snapshot = snapshot;
    this.#snapshotInProgress = false;
  }

  /**
   * Appends entries; those at and after the first of them are given up.
   *
   * @param entries nonempty and contiguous, from at most one after the last index
   */
  truncateAndAppend(entries: readonly Entry[]): void {
    const from = (entries[0] as Entry).index;
    const end = this.offset + this.#entries.length;
    if (from <= this.offset && from !== end) {
      this.#note(`replace the unstable entries from index ${from}`);
      this.#entries = [];
      this.offset = from;
      this.offsetInProgress = from;
    } else if (from < end) {
      this.#note(`truncate the unstable entries before index ${from}`);
      this.#entries.length = from - this.offset;
      this.offsetInProgress = Math.min(this.offsetInProgress, from);
    } else if (from > end) {
      this.#reporter.fail(`unstable entries end before ${end}, cannot append at ${from}`);
    }
    for (const entry of entries) this.#entries.push(entry);
    if (endOf(entries) !== this.offset + this.#entries.length) {
      this.#reporter.fail(`appended entries from ${from} are not contiguous`);
    }
  }

  /** Entries in [lo, hi) as a list of its own; the bounds must be here. */
  slice(lo: Index, hi: Index): Entry[] {
    const end = this.offset + this.#entries.length;
    if (lo > hi || lo < this.offset || hi > end) {
      const bounds = `[${this.offset},${end}]`;
      this.#reporter.fail(`unstable.slice[${lo},${hi}) out of bound ${bounds}`);
    }
    return this.#entries.slice(lo - this.offset, hi - this.offset);
  }

  #note(text: string): void {
    if (this.#reporter.wants('INFO')) this.#reporter.write('INFO', text);
  }
}
