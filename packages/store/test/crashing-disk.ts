import type { EpochFile, LogDatabase, LogOperation, SnapshotDatabase } from '../src/index.js';

type Content = ReadonlyMap<string, Uint8Array>;
type Range = { readonly gte: Uint8Array; readonly lt: Uint8Array };

const textOf = (key: Uint8Array): string => Buffer.from(key).toString('hex');

function changed(content: Content, operations: readonly LogOperation[]): Content {
  const next = new Map(content);
  for (const operation of operations) {
    if (operation.type === 'put') next.set(textOf(operation.key), operation.value);
    else next.delete(textOf(operation.key));
  }
  return next;
}

/** What a crash leaves. */
export const CRASHES = ['kill', 'power'] as const;

/**
 * A database and a key file in memory that end at a chosen change. A killed process leaves all that
 * it wrote; a loss of power takes what was not synced.
 */
export class CrashingDisk implements LogDatabase, SnapshotDatabase, EpochFile {
  /** Changes that are still made; the one after them fails, and all others. */
  left: number = Infinity;
  /** Changes made so far. */
  changes = 0;
  #current: Content = new Map();
  #durable: Content = new Map();
  #file: Uint8Array | undefined;

  /** The machine starts again. */
  restart(crash: (typeof CRASHES)[number]): void {
    this.left = Infinity;
    if (crash === 'power') this.#current = this.#durable;
    else this.#durable = this.#current;
  }

  get(key: Uint8Array): Promise<Uint8Array | undefined> {
    return Promise.resolve(this.#current.get(textOf(key)));
  }

  put(key: Uint8Array, value: Uint8Array, { sync }: { sync: boolean }): Promise<void> {
    return this.batch([{ type: 'put', key, value }], { sync });
  }

  async batch(operations: LogOperation[], options?: { sync: boolean }): Promise<void> {
    await this.#spend();
    this.#current = changed(this.#current, operations);
    if (options?.sync === true) this.#durable = this.#current;
  }

  async *iterator(range: Range): AsyncGenerator<[Uint8Array, Uint8Array]> {
    for await (const key of this.keys(range)) yield [key, this.#current.get(textOf(key))!];
  }

  async *keys({ gte, lt }: Range): AsyncGenerator<Uint8Array> {
    const keys = [...this.#current.keys()].filter((key) => key >= textOf(gte) && key < textOf(lt));
    for (const key of keys.sort()) yield await Promise.resolve(Buffer.from(key, 'hex'));
  }

  read(): Promise<Uint8Array | undefined> {
    return Promise.resolve(this.#file);
  }

  async write(content: Uint8Array): Promise<void> {
    await this.#spend();
    this.#file = content;
  }

  async #spend(): Promise<void> {
    await Promise.resolve();
    if (this.left <= 0) throw new Error('the machine is off');
    this.left -= 1;
    this.changes += 1;
  }
}
