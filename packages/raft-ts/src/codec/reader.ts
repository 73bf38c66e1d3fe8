import { RaftCodecError } from '../errors.js';

const VARINT = 0;
const FIXED64 = 1;
const BYTES = 2;
const FIXED32 = 5;

/** Longest encoding of a number: 64 bits in groups of 7. */
const VARINT_LENGTH_MAX = 10;

/** Reads Protocol Buffers fields. Bytes are handed out as views, not copies. */
export class Reader {
  readonly #buffer: Uint8Array;
  #at: number;
  readonly #end: number;
  #wireType = VARINT;

  /** @param buffer is kept: views of it are handed out */
  constructor(buffer: Uint8Array, start: number = 0, end: number = buffer.length) {
    this.#buffer = buffer;
    this.#at = start;
    this.#end = end;
  }

  /** Number of the next field; 0 at the end. */
  next(): number {
    if (this.#at >= this.#end) return 0;
    const tag = this.#varint();
    this.#wireType = tag % 8;
    const field = Math.floor(tag / 8);
    if (field === 0) throw new RaftCodecError('field number 0');
    return field;
  }

  /** The value of the present field, a whole number in 0..2^53-1. */
  uint(): number {
    this.#expect(VARINT);
    return this.#varint();
  }

  /** The value of the present field, a truth value. */
  bool(): boolean {
    return this.uint() !== 0;
  }

  /** The value of the present field, as a view. */
  bytes(): Uint8Array {
    this.#expect(BYTES);
    const length = this.#length();
    this.#at += length;
    return this.#buffer.subarray(this.#at - length, this.#at);
  }

  /** A reader for the present field, a nested message. */
  nested(): Reader {
    this.#expect(BYTES);
    const length = this.#length();
    this.#at += length;
    return new Reader(this.#buffer, this.#at - length, this.#at);
  }

  /**
   * Adds the present field to a list of numbers, which may be packed or not.
   *
   * @param list gets the numbers
   * @param countMax limit for the length of the list
   */
  uintsInto(list: number[], countMax: number): void {
    const isPacked = this.#wireType !== VARINT;
    const numbers = isPacked ? this.nested() : this;
    do {
      if (isPacked && numbers.#at >= numbers.#end) return;
      if (list.length >= countMax) throw new RaftCodecError('list too long');
      list.push(numbers.#varint());
    } while (isPacked);
  }

  /** Passes over a field of an unknown number. */
  skip(): void {
    switch (this.#wireType) {
      case VARINT:
        this.#skipVarint();
        return;
      case FIXED64:
        this.#advance(8);
        return;
      case BYTES:
        this.#advance(this.#length());
        return;
      case FIXED32:
        this.#advance(4);
        return;
      default:
        throw new RaftCodecError(`wire type ${this.#wireType}`);
    }
  }

  #expect(wireType: number): void {
    if (this.#wireType !== wireType) {
      throw new RaftCodecError(`wire type ${this.#wireType} instead of ${wireType}`);
    }
  }

  #advance(count: number): void {
    if (count > this.#end - this.#at) throw new RaftCodecError('truncated field');
    this.#at += count;
  }

  #length(): number {
    const length = this.#varint();
    if (length > this.#end - this.#at) throw new RaftCodecError('truncated field');
    return length;
  }

  #varint(): number {
    let value = 0;
    let scale = 1;
    for (let i = 0; i < VARINT_LENGTH_MAX; i++) {
      if (this.#at >= this.#end) throw new RaftCodecError('truncated number');
      const byte = this.#buffer[this.#at++] as number;
      // Above 2^53 the sum is rounded, but never down to a safe integer.
      value += (byte & 0x7f) * scale;
      if (value > Number.MAX_SAFE_INTEGER) throw new RaftCodecError('number above 2^53 - 1');
      if (byte < 0x80) return value;
      scale *= 0x80;
    }
    throw new RaftCodecError('number of more than 10 bytes');
  }

  #skipVarint(): void {
    for (let i = 0; i < VARINT_LENGTH_MAX; i++) {
      if (this.#at >= this.#end) throw new RaftCodecError('truncated number');
      if ((this.#buffer[this.#at++] as number) < 0x80) return;
    }
    throw new RaftCodecError('number of more than 10 bytes');
  }
}
