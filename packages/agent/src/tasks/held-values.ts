import { assert } from '@conclave/kernel';
import type { SecretBytes } from '@conclave/sealed';

interface Entry {
  readonly value: SecretBytes;
  loans: number;
  isWithdrawn: boolean;
}

/**
 * The values that live tasks of this agent use, in memory, each once however many tasks use it. A
 * withdrawn value is wiped at once, or when the last write that borrows it is done.
 */
export class HeldValues {
  readonly #entries = new Map<string, Entry>();

  /** Keys of all values that are held, by `id@version`. */
  keys(): string[] {
    return [...this.#entries.keys()];
  }

  has(key: string): boolean {
    return this.#entries.has(key);
  }

  /** Takes values over. One that is held already stays; its double is wiped. */
  add(values: ReadonlyMap<string, SecretBytes>): void {
    for (const [key, value] of values) {
      if (this.#entries.has(key)) value.wipe();
      else this.#entries.set(key, { value, loans: 0, isWithdrawn: false });
    }
  }

  /** Withdraws everything that is not in `keys`. */
  retain(keys: ReadonlySet<string>): void {
    for (const key of this.#entries.keys()) if (!keys.has(key)) this.#withdraw(key);
  }

  /** Lends values for the time of `work`. All keys must be held. */
  async borrow<T>(
    keys: readonly string[],
    work: (values: ReadonlyMap<string, SecretBytes>) => Promise<T>,
  ): Promise<T> {
    const lent = new Map<string, Entry>();
    for (const key of keys) {
      const entry = this.#entries.get(key);
      assert(entry !== undefined, 'a value that a task uses is held');
      lent.set(key, entry);
    }
    for (const entry of lent.values()) entry.loans += 1;
    try {
      return await work(new Map([...lent].map(([key, { value }]) => [key, value])));
    } finally {
      for (const entry of lent.values()) {
        entry.loans -= 1;
        if (entry.isWithdrawn && entry.loans === 0) entry.value.wipe();
      }
    }
  }

  /** Withdraws everything. */
  clear(): void {
    this.retain(new Set());
  }

  #withdraw(key: string): void {
    const entry = this.#entries.get(key);
    if (entry === undefined) return;
    this.#entries.delete(key);
    entry.isWithdrawn = true;
    if (entry.loans === 0) entry.value.wipe();
  }
}
