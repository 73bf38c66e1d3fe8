import type { Entry, HardState, Index, Snapshot } from '../index.js';
import { DriverError } from './driver-error.js';
import type { LoadedLog, LogBatch } from './types.js';

/** One change of a log store. */
export type LogOperation =
  | { readonly kind: 'write'; readonly batch: LogBatch }
  | { readonly kind: 'compact'; readonly index: Index };

/**
 * What a log store holds, as a value in memory: the meaning of `LogBatch` and `compact`.
 *
 * It refuses what the driver must never do, so that tests notice it.
 */
export class LogImage implements LoadedLog {
  hardState: HardState | undefined;
  snapshot: Snapshot | undefined;
  entries: readonly Entry[] = [];
  appliedIndex = 0;

  /** A copy that changes independently. */
  copy(): LogImage {
    const copy = new LogImage();
    copy.hardState = this.hardState;
    copy.snapshot = this.snapshot;
    copy.entries = this.entries;
    copy.appliedIndex = this.appliedIndex;
    return copy;
  }

  /** @throws DriverError CONTRACT_BROKEN when the driver must not do this */
  change(operation: LogOperation): void {
    if (operation.kind === 'compact') this.#compact(operation.index);
    else this.#write(operation.batch);
  }

  #write(batch: LogBatch): void {
    if (batch.snapshot !== undefined) {
      this.#checkSnapshot(batch.snapshot);
      this.snapshot = batch.snapshot;
      this.entries = [];
    }
    this.#append(batch.entries);
    if (batch.ownSnapshot !== undefined) {
      this.#checkSnapshot(batch.ownSnapshot);
      this.snapshot = batch.ownSnapshot;
    }
    this.hardState = batch.hardState ?? this.hardState;
    this.appliedIndex = batch.appliedIndex ?? this.appliedIndex;
    const commit = Math.max(this.hardState?.commit ?? 0, this.#snapshotIndex());
    if (this.appliedIndex > commit) throw broken('applied index after commit index');
  }

  #append(added: readonly Entry[]): void {
    const first = added[0];
    if (first === undefined) return;
    const kept = this.entries.filter((entry) => entry.index < first.index);
    const last = kept.at(-1)?.index ?? this.#snapshotIndex();
    if (first.index <= this.#snapshotIndex()) throw broken('entry before the snapshot');
    if (first.index > last + 1) throw broken(`gap before entry ${first.index}`);
    for (const [i, entry] of added.entries()) {
      if (entry.index !== first.index + i) throw broken(`entry ${entry.index} is out of order`);
    }
    this.entries = [...kept, ...added];
  }

  #compact(index: Index): void {
    if (index > this.#snapshotIndex()) throw broken('compaction after the snapshot');
    this.entries = this.entries.filter((entry) => entry.index > index);
  }

  #checkSnapshot(snapshot: Snapshot): void {
    if (snapshot.metadata.index < this.#snapshotIndex()) throw broken('the snapshot goes back');
  }

  #snapshotIndex(): Index {
    return this.snapshot?.metadata.index ?? 0;
  }
}

function broken(what: string): DriverError {
  return new DriverError('CONTRACT_BROKEN', `log store: ${what}`);
}
