import { RaftInvariantError } from './errors.js';
import type { Bytes, Index } from './numbers.js';
import type { InflightsView } from './status-types.js';

/** Limits for what is sent to one follower and not yet acknowledged. */
export interface InflightLimits {
  /** Appends, at least 1. */
  readonly maxInflightMsgs: number;
  /** Payload bytes, default Infinity. The append that reaches the limit is still sent. */
  readonly maxInflightBytes?: Bytes;
}

const INITIAL_CAPACITY = 8;

/**
 * The window of unacknowledged appends of one follower: a ring of (last index, bytes), oldest
 * first. It grows on demand up to its limit, since limits are often much larger than what is used.
 */
export class Inflights implements InflightsView {
  count = 0;
  bytes: Bytes = 0;
  readonly #countMax: number;
  readonly #bytesMax: Bytes;
  #start = 0;
  #indexes: Index[] = [];
  #sizes: Bytes[] = [];

  /** @param limits of the window */
  constructor(limits: InflightLimits) {
    this.#countMax = limits.maxInflightMsgs;
    this.#bytesMax = limits.maxInflightBytes ?? Number.POSITIVE_INFINITY;
  }

  /** Whether nothing more may be sent until something is acknowledged. */
  get full(): boolean {
    return this.count >= this.#countMax || this.bytes >= this.#bytesMax;
  }

  /**
   * Notes an append.
   *
   * @param index index of its last entry, larger than all before
   * @param bytes size of its payloads
   * @throws RaftInvariantError if the window is full
   */
  add(index: Index, bytes: Bytes): void {
    if (this.full) throw new RaftInvariantError('cannot add into a Full inflights');
    if (this.count === this.#indexes.length) this.#grow();
    const at = (this.#start + this.count) % this.#indexes.length;
    this.#indexes[at] = index;
    this.#sizes[at] = bytes;
    this.count++;
    this.bytes += bytes;
  }

  /** Frees all appends up to an index: acknowledgments are cumulative. */
  freeTo(index: Index): void {
    const capacity = this.#indexes.length;
    while (this.count > 0 && (this.#indexes[this.#start] as Index) <= index) {
      this.bytes -= this.#sizes[this.#start] as Bytes;
      this.#start = (this.#start + 1) % capacity;
      this.count--;
    }
  }

  /** Frees everything. */
  reset(): void {
    this.count = 0;
    this.bytes = 0;
    this.#start = 0;
  }

  #grow(): void {
    const capacity = Math.min(this.#countMax, Math.max(INITIAL_CAPACITY, this.#indexes.length * 2));
    const indexes = this.#indexes.slice(this.#start).concat(this.#indexes.slice(0, this.#start));
    const sizes = this.#sizes.slice(this.#start).concat(this.#sizes.slice(0, this.#start));
    while (indexes.length < capacity) {
      indexes.push(0);
      sizes.push(0);
    }
    this.#indexes = indexes;
    this.#sizes = sizes;
    this.#start = 0;
  }
}
