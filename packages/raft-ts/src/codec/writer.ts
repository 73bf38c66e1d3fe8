import { RaftCodecError } from '../errors.js';
import { isUint } from '../numbers.js';

/**
 * Writes Protocol Buffers fields from the last to the first, so that the length of a nested message
 * is known when it is needed. Fields with a zero value are left out.
 */
export class BackwardWriter {
  #buffer: Uint8Array;
  #start: number;

  /** @param capacity expected size in bytes; more is possible */
  constructor(capacity: number) {
    this.#buffer = new Uint8Array(Math.max(16, capacity));
    this.#start = this.#buffer.length;
  }

  /** Number of bytes written; the difference of two values is the size of a nested message. */
  get size(): number {
    return this.#buffer.length - this.#start;
  }

  /** What was written. No further writing after this. */
  finish(): Uint8Array {
    return this.#buffer.subarray(this.#start);
  }

  /** @param value whole number in 0..2^53-1, otherwise RaftCodecError */
  uint(field: number, value: number): void {
    if (!isUint(value)) throw new RaftCodecError(`field ${field} is ${String(value)}`);
    if (value === 0) return;
    this.#varint(value);
    this.#varint(field * 8);
  }

  /** Writes a number also if it is zero. */
  uintAlways(field: number, value: number): void {
    if (!isUint(value)) throw new RaftCodecError(`field ${field} is ${String(value)}`);
    this.#varint(value);
    this.#varint(field * 8);
  }

  /** Writes a truth value. */
  bool(field: number, value: boolean): void {
    if (value) this.uint(field, 1);
  }

  /** Writes bytes. */
  bytes(field: number, value: Uint8Array): void {
    if (value.length === 0) return;
    this.#reserve(value.length);
    this.#start -= value.length;
    this.#buffer.set(value, this.#start);
    this.close(field, this.size - value.length);
  }

  /** Puts length and tag before what was written since `sizeBefore`, which makes it one field. */
  close(field: number, sizeBefore: number): void {
    this.#varint(this.size - sizeBefore);
    this.#varint(field * 8 + 2);
  }

  #varint(value: number): void {
    this.#reserve(10);
    let rest = value;
    let length = 1;
    for (let n = value; n >= 0x80; n = Math.floor(n / 0x80)) length++;
    let at = this.#start - length;
    this.#start = at;
    for (; rest >= 0x80; rest = Math.floor(rest / 0x80)) this.#buffer[at++] = (rest % 0x80) | 0x80;
    this.#buffer[at] = rest;
  }

  #reserve(count: number): void {
    if (this.#start >= count) return;
    const { size } = this;
    const grown = new Uint8Array((this.#buffer.length + count) * 2);
    grown.set(this.#buffer.subarray(this.#start), grown.length - size);
    this.#buffer = grown;
    this.#start = grown.length - size;
  }
}
