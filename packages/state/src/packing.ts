import { assert } from '@conclave/kernel';

const START_BYTES = 256;

/** Puts numbers, texts and bytes behind each other; for memory of this process only. */
export class PackWriter {
  #bytes: Uint8Array = new Uint8Array(START_BYTES);
  #used = 0;

  /** Forgets what a record that was not finished has left. */
  clear(): void {
    this.#used = 0;
  }

  /** A whole number from 0; 7 bits per byte, the lowest first. */
  number(value: number): void {
    assert(Number.isSafeInteger(value) && value >= 0, 'only whole numbers from 0 are packed');
    this.#reserve(8);
    let rest = value;
    while (rest > 0x7f) {
      this.#bytes[this.#used++] = (rest & 0x7f) | 0x80;
      rest = Math.floor(rest / 128);
    }
    this.#bytes[this.#used++] = rest;
  }

  /** Code units: one byte each when ASCII, and every text comes back as it was. */
  text(value: string): void {
    this.number(value.length);
    for (let offset = 0; offset < value.length; offset += 1) this.number(value.charCodeAt(offset));
  }

  bytes(value: Uint8Array): void {
    this.number(value.length);
    this.#reserve(value.length);
    this.#bytes.set(value, this.#used);
    this.#used += value.length;
  }

  /** Bytes that were packed before, as they are. */
  append(packed: Uint8Array): void {
    this.#reserve(packed.length);
    this.#bytes.set(packed, this.#used);
    this.#used += packed.length;
  }

  /** What was packed; a view that the next use of the writer changes. */
  finish(): Uint8Array {
    const packed = this.#bytes.subarray(0, this.#used);
    this.#used = 0;
    return packed;
  }

  #reserve(size: number): void {
    const wanted = this.#used + size;
    if (wanted <= this.#bytes.length) return;
    const larger = new Uint8Array(Math.max(wanted, this.#bytes.length * 2));
    larger.set(this.#bytes.subarray(0, this.#used));
    this.#bytes = larger;
  }
}

/** Reads what a {@link PackWriter} wrote, in the same order. */
export class PackReader {
  readonly #bytes: Uint8Array;
  #offset = 0;

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes;
  }

  number(): number {
    let value = 0;
    let scale = 1;
    for (;;) {
      const byte = this.#bytes[this.#offset++];
      assert(byte !== undefined, 'a packed record is too short');
      value += (byte & 0x7f) * scale;
      if (byte < 0x80) return value;
      scale *= 128;
    }
  }

  text(): string {
    const size = this.number();
    let value = '';
    for (let offset = 0; offset < size; offset += 1) value += String.fromCharCode(this.number());
    return value;
  }

  /** A copy, so that nobody can change the record. */
  bytes(): Uint8Array {
    const size = this.number();
    const value = this.#bytes.slice(this.#offset, this.#offset + size);
    this.#offset += size;
    return value;
  }

  /** A view of what was not read yet. */
  rest(): Uint8Array {
    return this.#bytes.subarray(this.#offset);
  }
}
