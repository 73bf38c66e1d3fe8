import { assert } from '@conclave/kernel';
import type { Random } from '@conclave/kernel';

const SHOWN = '[secret]';
/** The registered symbol by which Node asks an object for its printed form. */
const INSPECT = Symbol.for('nodejs.util.inspect.custom');

/**
 * Secret bytes in memory that can be wiped. The memory is made as an ArrayBuffer first: the engine
 * keeps small typed arrays inside its own heap and copies them about. Printing shows `[secret]`.
 * After `wipe` every use throws InvariantViolation.
 */
export class SecretBytes {
  readonly #view: Uint8Array;
  #isWiped = false;

  private constructor(view: Uint8Array) {
    this.#view = view;
  }

  /** `size` zero bytes; fill them through `use`. */
  static allocate(size: number): SecretBytes {
    return new SecretBytes(new Uint8Array(new ArrayBuffer(size)));
  }

  /** Moves `bytes` into memory of its own: copies, then wipes the source. */
  static take(bytes: Uint8Array): SecretBytes {
    const secret = SecretBytes.allocate(bytes.length);
    secret.#view.set(bytes);
    bytes.fill(0);
    return secret;
  }

  /**
   * Takes over memory that the caller owns alone and made as an ArrayBuffer first; no copy.
   * The caller must drop its own reference.
   */
  static adopt(owned: Uint8Array): SecretBytes {
    assert(owned.byteLength === owned.buffer.byteLength, 'secret memory is not owned as a whole');
    return new SecretBytes(owned);
  }

  /** `size` (0..65_536) fresh random bytes. */
  static random(random: Random, size: number): SecretBytes {
    return SecretBytes.take(random.bytes(size));
  }

  /** Number of bytes; stays readable after `wipe`. */
  get size(): number {
    return this.#view.length;
  }

  /** True after `wipe`. */
  get isWiped(): boolean {
    return this.#isWiped;
  }

  /** Lends the bytes to `borrow`, which must not keep the view. */
  use<T>(borrow: (view: Uint8Array) => T): T {
    assert(!this.#isWiped, 'secret bytes were used after their wipe');
    return borrow(this.#view);
  }

  /** An independent copy, to be wiped on its own. */
  copy(): SecretBytes {
    const twin = SecretBytes.allocate(this.size);
    this.use((view) => twin.#view.set(view));
    return twin;
  }

  /** True for equal content. Takes the same time wherever the first difference is. */
  equals(other: SecretBytes): boolean {
    return this.use((left) => other.use((right) => equalConstantTime(left, right)));
  }

  /** Overwrites the bytes with zero; may be called again. */
  wipe(): void {
    this.#view.fill(0);
    this.#isWiped = true;
  }

  [Symbol.dispose](): void {
    this.wipe();
  }

  toString(): string {
    return SHOWN;
  }

  toJSON(): string {
    return SHOWN;
  }

  static {
    Object.defineProperty(this.prototype, INSPECT, { value: (): string => SHOWN });
  }
}

/** True for equal bytes, in a time that depends on the length only. */
export function equalConstantTime(left: Uint8Array, right: Uint8Array): boolean {
  if (left.length !== right.length) return false;
  let difference = 0;
  for (let offset = 0; offset < left.length; offset += 1) {
    difference |= (left[offset] ?? 0) ^ (right[offset] ?? 0);
  }
  return difference === 0;
}

/** Runs `work` with `secret` and wipes it afterwards, also when `work` throws. */
export function spend<T>(secret: SecretBytes, work: (secret: SecretBytes) => T): T {
  try {
    return work(secret);
  } finally {
    secret.wipe();
  }
}
