import type { LogDatabase, LogOperation, LogWitness, StoreCipher } from '@conclave/store';
import { LevelLogStore } from '@conclave/store';
import type { LogStore } from 'raft-ts/node';
import type { DiskIo, Prng, SimulatedStorage } from 'raft-ts/sim';

type Content = ReadonlyMap<string, Uint8Array>;

const keyText = (key: Uint8Array): string => Buffer.from(key).toString('hex');

function change(content: Content, operations: readonly LogOperation[]): Content {
  const changed = new Map(content);
  for (const operation of operations) {
    if (operation.type === 'put') changed.set(keyText(operation.key), operation.value);
    else changed.delete(keyText(operation.key));
  }
  return changed;
}

/** Notes that may be what is found after a loss of power. */
const NOTES_MAX = 4;

/**
 * The disk under the product's log store: level as it behaves, not as it works. A batch is there as
 * a whole or not at all; batches that were not synced are lost from some point on; opening makes
 * durable what is found. The witness has a file of its own, which is never synced.
 */
export class LevelDisk implements SimulatedStorage {
  readonly #prng: Prng;
  readonly #cipher: StoreCipher;
  #durable: Content = new Map();
  #current: Content = this.#durable;
  #unsynced: (readonly LogOperation[])[] = [];
  /** What the witness noted, newest last. */
  #notes: number[] = [0];

  /**
   * @param prng decides what survives
   * @param cipher of the member
   */
  constructor(prng: Prng, cipher: StoreCipher) {
    this.#prng = prng;
    this.#cipher = cipher;
  }

  open(io: DiskIo): LogStore {
    this.#durable = this.#current;
    this.#unsynced = [];
    return new LevelLogStore(this.#database(io), this.#cipher, this.#witness());
  }

  crash(): void {
    // Without a loss of power nothing that reached the system is lost.
    if (this.#prng.chance(0.5)) return;
    const kept = this.#prng.below(this.#unsynced.length + 1);
    this.#current = this.#unsynced.slice(0, kept).reduce(change, this.#durable);
    this.#notes = [this.#prng.pick(this.#notes)];
  }

  rot(): boolean {
    const [head] = [...this.#current].filter(([key]) => key === '68');
    if (head === undefined) return false;
    const value = Uint8Array.from(head[1]);
    const at = this.#prng.below(value.length);
    value[at] = value[at]! ^ (1 << this.#prng.below(8));
    this.#current = new Map([...this.#current, [head[0], value]]);
    return true;
  }

  #database(io: DiskIo): LogDatabase {
    return {
      get: (key) => io.work(() => this.#current.get(keyText(key))),
      batch: (operations, { sync }) => {
        // What arrives although the disk fails may still be found later.
        const arrive = (): void => {
          this.#current = change(this.#current, operations);
          this.#unsynced.push(operations);
        };
        const finish = (): void => {
          arrive();
          if (!sync) return;
          this.#durable = this.#current;
          this.#unsynced = [];
        };
        return io.work(finish, () => {
          if (this.#prng.chance(0.5)) arrive();
        });
      },
      iterator: ({ gte, lt }) => this.#range(io, keyText(gte), keyText(lt)),
    };
  }

  async *#range(io: DiskIo, gte: string, lt: string): AsyncGenerator<[Uint8Array, Uint8Array]> {
    const found = await io.work(() =>
      [...this.#current].filter(([key]) => key >= gte && key < lt).sort(byKey),
    );
    for (const [key, value] of found) yield [Buffer.from(key, 'hex'), value];
  }

  #witness(): LogWitness {
    return {
      read: () => Promise.resolve(this.#notes.at(-1)!),
      note: (counter) => {
        this.#notes = [...this.#notes.slice(1 - NOTES_MAX), counter];
      },
    };
  }
}

function byKey([one]: [string, Uint8Array], [other]: [string, Uint8Array]): number {
  return one < other ? -1 : 1;
}
