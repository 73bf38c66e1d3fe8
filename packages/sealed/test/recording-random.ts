import type { Random } from '@conclave/kernel';

/** Passes on another source and keeps a copy of all it gave: keys, seeds and nonces. */
export class RecordingRandom implements Random {
  readonly given: Uint8Array[] = [];
  readonly #source: Random;

  constructor(source: Random) {
    this.#source = source;
  }

  bytes(count: number): Uint8Array {
    const bytes = this.#source.bytes(count);
    this.given.push(Uint8Array.from(bytes));
    return bytes;
  }

  below(limit: number): number {
    return this.#source.below(limit);
  }
}
