import { assert } from '@conclave/kernel';
import type { Random } from '@conclave/kernel';
import { PURPOSE, sealEnvelope, SecretBytes, unsealEnvelope } from '@conclave/sealed';

const KEY_BYTES = 32;

/**
 * The values that live tasks of this agent use, each once however many tasks use it. They rest
 * sealed under a key of this object, so that the only clear copies are the files of the tasks and,
 * while files are written, what `borrow` lends. Who reads the whole memory of the agent finds the
 * key as well; a piece of it, such as what some library left behind, has no value in it.
 */
export class HeldValues {
  readonly #random: Random;
  readonly #key: SecretBytes;
  readonly #envelopes = new Map<string, Uint8Array>();

  constructor(random: Random) {
    this.#random = random;
    this.#key = SecretBytes.random(random, KEY_BYTES);
  }

  /** Keys of all values that are held, by `id@version`. */
  keys(): string[] {
    return [...this.#envelopes.keys()];
  }

  has(key: string): boolean {
    return this.#envelopes.has(key);
  }

  /** Takes values over; what was handed in is wiped, whatever happens. One that is held already stays. */
  add(values: ReadonlyMap<string, SecretBytes>): void {
    try {
      for (const [key, plaintext] of values) {
        if (this.#envelopes.has(key)) continue;
        const place = { ...this.#place(key), keyId: 0 };
        this.#envelopes.set(key, sealEnvelope({ ...place, plaintext, random: this.#random }));
      }
    } finally {
      for (const plaintext of values.values()) plaintext.wipe();
    }
  }

  /** Withdraws everything that is not in `keys`. */
  retain(keys: ReadonlySet<string>): void {
    for (const [key, envelope] of this.#envelopes) {
      if (keys.has(key)) continue;
      envelope.fill(0);
      this.#envelopes.delete(key);
    }
  }

  /** Lends values for the time of `work`. All keys must be held. */
  async borrow<T>(
    keys: readonly string[],
    work: (values: ReadonlyMap<string, SecretBytes>) => Promise<T>,
  ): Promise<T> {
    const lent = new Map<string, SecretBytes>();
    try {
      for (const key of new Set(keys)) lent.set(key, this.#open(key));
      return await work(lent);
    } finally {
      for (const value of lent.values()) value.wipe();
    }
  }

  /** Withdraws everything and wipes the key: no value can be taken or lent any more. */
  close(): void {
    this.retain(new Set());
    this.#key.wipe();
  }

  #open(key: string): SecretBytes {
    const envelope = this.#envelopes.get(key);
    assert(envelope !== undefined, 'a value that a task uses is held');
    return unsealEnvelope({ ...this.#place(key), envelope });
  }

  #place(key: string) {
    return { purpose: PURPOSE.heldValue, key: this.#key, fields: [key] } as const;
  }
}
