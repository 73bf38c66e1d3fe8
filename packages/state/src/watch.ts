import type { ChangeBatch } from './changes.js';

/** Called with every batch, synchronously, after its entry is complete. It must not throw. */
export type WatchListener = (batch: ChangeBatch) => void;

/** Tells watchers of changes and keeps the newest ones for those that resume. */
export class Watchers {
  readonly #historyMax: number;
  readonly #listeners = new Set<WatchListener>();
  #batches: ChangeBatch[] = [];
  /** Offset of the oldest batch that is kept; what is before it goes in one sweep now and then. */
  #start = 0;
  #changeCount = 0;
  /** Changes up to this index are not known any more. */
  #compactedIndex: number;

  /** @param historyMax changes kept, 0: none; `compactedIndex`: where this state begins. */
  constructor(historyMax: number, compactedIndex: number) {
    this.#historyMax = historyMax;
    this.#compactedIndex = compactedIndex;
  }

  /** Adds a listener; the function that it returns takes it away again. */
  watch(listener: WatchListener): () => void {
    // Wrapped, so that a function that watches twice is called twice and stops one by one.
    const own: WatchListener = (batch) => {
      listener(batch);
    };
    this.#listeners.add(own);
    return () => {
      this.#listeners.delete(own);
    };
  }

  publish(batch: ChangeBatch): void {
    this.#batches.push(batch);
    this.#changeCount += batch.changes.length;
    this.#trim();
    const faults: unknown[] = [];
    for (const listener of this.#listeners) {
      try {
        listener(batch);
      } catch (error) {
        faults.push(error);
      }
    }
    if (faults.length > 0) throw faults[0];
  }

  /** The batches after `index`, or that some of them are gone. */
  changesSince(index: number): ChangeBatch[] | 'compacted' {
    if (index < this.#compactedIndex) return 'compacted';
    let low = this.#start;
    let high = this.#batches.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if ((this.#batches[middle]?.index ?? 0) <= index) low = middle + 1;
      else high = middle;
    }
    return this.#batches.slice(low);
  }

  #trim(): void {
    while (this.#changeCount > this.#historyMax) {
      const oldest = this.#batches[this.#start];
      if (oldest === undefined) break;
      this.#changeCount -= oldest.changes.length;
      this.#compactedIndex = oldest.index;
      this.#start += 1;
    }
    if (this.#start * 2 < this.#batches.length) return;
    this.#batches = this.#batches.slice(this.#start);
    this.#start = 0;
  }
}
