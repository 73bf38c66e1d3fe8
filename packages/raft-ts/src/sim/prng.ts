const GOLDEN = 0x9e37_79b9;
const TWO_32 = 0x1_0000_0000;

/** One step of splitmix32: spreads a weak seed over 32 bits. */
function mix(value: number): number {
  let z = (value + GOLDEN) | 0;
  z = Math.imul(z ^ (z >>> 16), 0x85eb_ca6b);
  z = Math.imul(z ^ (z >>> 13), 0xc2b2_ae35);
  return (z ^ (z >>> 16)) | 0;
}

/** FNV-1a over the characters of a label. */
function hashOf(label: string): number {
  let hash = 0x811c_9dc5;
  for (let i = 0; i < label.length; i++) {
    hash = Math.imul(hash ^ label.charCodeAt(i), 0x0100_0193);
  }
  return hash | 0;
}

function rotateLeft(value: number, bits: number): number {
  return (value << bits) | (value >>> (32 - bits));
}

/**
 * Repeatable random numbers: xoshiro128** on 32-bit integers. Not for secrets.
 *
 * `split` gives streams that depend on the seed and a label only, not on what was drawn before, so
 * that a change in one component of a simulation does not shift the others.
 *
 * @source Blackman and Vigna, "Scrambled linear pseudorandom number generators"
 */
export class Prng {
  readonly #low: number;
  readonly #high: number;
  #a: number;
  #b: number;
  #c: number;
  #d: number;

  /** @param seed 0..2^53-1 */
  constructor(seed: number) {
    this.#low = seed | 0;
    this.#high = Math.floor(seed / TWO_32) | 0;
    this.#a = mix(this.#low);
    this.#b = mix(this.#a ^ this.#high);
    this.#c = mix(this.#b);
    // The state must not be zero as a whole.
    this.#d = mix(this.#c) | 1;
  }

  /** An independent stream. */
  split(label: string): Prng {
    const hash = hashOf(label);
    const high = mix(this.#high ^ hash) >>> 12;
    return new Prng(high * TWO_32 + (mix(this.#low + hash) >>> 0));
  }

  /** A whole number in 0..2^32-1. */
  uint32(): number {
    const result = Math.imul(rotateLeft(Math.imul(this.#b, 5), 7), 9);
    const t = this.#b << 9;
    this.#c ^= this.#a;
    this.#d ^= this.#b;
    this.#b ^= this.#c;
    this.#a ^= this.#d;
    this.#c ^= t;
    this.#d = rotateLeft(this.#d, 11);
    return result >>> 0;
  }

  /** A whole number in [0, n); n in 1..2^32. */
  below(n: number): number {
    return Math.floor((this.uint32() / TWO_32) * n);
  }

  /** A whole number in [low, high]. */
  between(low: number, high: number): number {
    return low + this.below(high - low + 1);
  }

  /** True with a probability, 0..1. */
  chance(probability: number): boolean {
    return probability > 0 && this.uint32() < probability * TWO_32;
  }

  /** One of the items; the list must not be empty. */
  pick<T>(items: readonly T[]): T {
    return items[this.below(items.length)] as T;
  }
}
