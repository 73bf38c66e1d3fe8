import { createHash } from 'node:crypto';

import type { Random } from '@conclave/kernel';

/** SHA-256 in counter mode over a seed text: the same bytes in every run. */
export class DeterministicRandom implements Random {
  readonly #seed: string;
  #counter = 0;

  constructor(seed: string) {
    this.#seed = seed;
  }

  bytes(count: number): Uint8Array {
    const output = new Uint8Array(new ArrayBuffer(count));
    for (let offset = 0; offset < count; offset += 32) {
      const block = createHash('sha256').update(`${this.#seed}/${this.#counter}`).digest();
      this.#counter += 1;
      output.set(block.subarray(0, Math.min(32, count - offset)), offset);
    }
    return output;
  }

  below(limit: number): number {
    return Number(Buffer.from(this.bytes(6)).readUIntBE(0, 6) % limit);
  }
}
