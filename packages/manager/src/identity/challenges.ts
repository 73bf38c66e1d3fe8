import { toHex } from '@conclave/kernel';
import type { Clock, Random } from '@conclave/kernel';

const NONCE_BYTES = 32;
/** Milliseconds in which a challenge must come back. */
const LIFE_MS = 30_000;
/** Open challenges: more than the transport lets all callers ask for in that time. The oldest go. */
const OPEN_MAX = 10_000;

/** Nonces that were handed out and may come back once. */
export class Challenges {
  readonly #clock: Clock;
  readonly #random: Random;
  readonly #open = new Map<string, number>();

  constructor(clock: Clock, random: Random) {
    this.#clock = clock;
    this.#random = random;
  }

  /** A new nonce. */
  issue(): Uint8Array {
    const nonce = this.#random.bytes(NONCE_BYTES);
    for (const oldest of this.#open.keys()) {
      if (this.#open.size < OPEN_MAX) break;
      this.#open.delete(oldest);
    }
    this.#open.set(toHex(nonce), this.#clock.monotonic() + LIFE_MS);
    return nonce;
  }

  /** True once for each nonce that is still good. */
  redeem(nonce: Uint8Array): boolean {
    const name = toHex(nonce);
    const until = this.#open.get(name);
    this.#open.delete(name);
    return until !== undefined && this.#clock.monotonic() <= until;
  }
}
