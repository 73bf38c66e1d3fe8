import { equalBytes, required } from '@conclave/kernel';
import type { Entry, Snapshot } from 'raft-ts';
import type { LoadedLog, LogBatch, LogStore, WriteOptions } from 'raft-ts/node';
import type { StoreCipher } from './cipher.js';
import { CHAIN_START, chainHash, decodeEntryRecord, encodeEntryRecord } from './entry-record.js';
import { damaged, storeFailure } from './errors.js';
import { decodeHead, encodeHead } from './head-record.js';
import type { Head } from './head-record.js';
import { ENTRY_RANGE, entryKey, HEAD_KEY, indexOfKey } from './key-space.js';
import type { Witness } from './witness.js';

/** One change of a batch of the log. */
export type LogOperation =
  | { readonly type: 'put'; readonly key: Uint8Array; readonly value: Uint8Array }
  | { readonly type: 'del'; readonly key: Uint8Array };

/** What the log needs of a database of bytes; level is one. */
export interface LogDatabase {
  get(key: Uint8Array): Promise<Uint8Array | undefined>;
  /** All of it or nothing; with `sync` also everything before it, even if the power is lost. */
  batch(operations: LogOperation[], options: { readonly sync: boolean }): Promise<void>;
  /** Keys in order, with their values. */
  iterator(range: {
    readonly gte: Uint8Array;
    readonly lt: Uint8Array;
  }): AsyncIterable<[Uint8Array, Uint8Array]>;
}

/** What the log needs of a witness. */
export type LogWitness = Pick<Witness, 'note' | 'read'>;

const EMPTY: Head = {
  writeCounter: 0,
  hardState: undefined,
  appliedIndex: 0,
  snapshot: undefined,
  baseIndex: 0,
  baseHash: CHAIN_START,
  lastIndex: 0,
  lastHash: CHAIN_START,
};

/**
 * The Raft log on level: one batch per write with one sync, every record sealed and bound to its
 * place, entries chained. Passes the contract of `LogStore`.
 *
 * After any failed write the store refuses everything: nobody knows what reached the disk.
 */
export class LevelLogStore implements LogStore {
  readonly #database: LogDatabase;
  readonly #cipher: StoreCipher;
  readonly #witness: LogWitness;
  #head: Head = EMPTY;
  #synced = 0;
  /** Chain hash of each stored entry: position 0 is `baseIndex`. */
  #hashes: Uint8Array[] = [CHAIN_START];
  #failure: Error | undefined;
  /** Ends when what was begun last has ended: both kinds of change are made from the head. */
  #turn: Promise<unknown> = Promise.resolve();

  constructor(database: LogDatabase, cipher: StoreCipher, witness: LogWitness) {
    this.#database = database;
    this.#cipher = cipher;
    this.#witness = witness;
  }

  /** Chain hash at `index`; undefined outside the stored range. */
  hashAt(index: number): Uint8Array | undefined {
    return this.#hashes[index - this.#head.baseIndex];
  }

  /** Batches written in the life of this log. */
  get writeCounter(): number {
    return this.#head.writeCounter;
  }

  /** The last batch that survives a loss of power; 0: none was synced in this life. */
  get syncedCounter(): number {
    return this.#synced;
  }

  /** @inheritdoc */
  async load(): Promise<LoadedLog> {
    const record = await this.#guard('reading', () => this.#database.get(HEAD_KEY));
    const acknowledged = await this.#witness.read();
    this.#head = record === undefined ? EMPTY : decodeHead(this.#cipher, record);
    if (acknowledged > this.#head.writeCounter) {
      throw damaged(
        `it ends at write ${this.#head.writeCounter}, but write ${acknowledged} was acknowledged`,
      );
    }
    const entries = await this.#loadEntries();
    const { hardState, snapshot, appliedIndex } = this.#head;
    return { hardState, snapshot, entries, appliedIndex };
  }

  /** @inheritdoc */
  write(batch: LogBatch, options: WriteOptions): Promise<void> {
    return this.#inTurn(() => this.#write(batch, options));
  }

  /** @inheritdoc */
  compact(index: number): Promise<void> {
    return this.#inTurn(() => this.#compact(index));
  }

  /** Compaction may be asked for while a write is open, and the other way round. */
  #inTurn(act: () => Promise<void>): Promise<void> {
    const mine = this.#turn.then(act);
    this.#turn = mine.catch(() => undefined);
    return mine;
  }

  async #write(batch: LogBatch, options: WriteOptions): Promise<void> {
    if (this.#failure !== undefined) throw this.#failure;
    // What is being written cannot be seen in the database yet by whoever destroys old keys.
    const { release } = this.#cipher.keys.hold();
    const { head, hashes, operations } = this.#plan(batch);
    operations.push({ type: 'put', key: HEAD_KEY, value: encodeHead(this.#cipher, head) });
    await this.#guard('writing', async () => {
      await this.#database.batch(operations, { sync: options.sync });
      if (options.sync) this.#witness.note(head.writeCounter);
    });
    release();
    if (options.sync) this.#synced = head.writeCounter;
    this.#head = head;
    this.#hashes = hashes;
  }

  async #compact(index: number): Promise<void> {
    if (this.#failure !== undefined) throw this.#failure;
    const { baseIndex, lastIndex } = this.#head;
    const until = Math.min(index, lastIndex);
    if (until <= baseIndex) return;
    const hashes = this.#hashes.slice(until - baseIndex);
    const head: Head = {
      ...this.#head,
      writeCounter: this.#head.writeCounter + 1,
      baseIndex: until,
      baseHash: required(hashes[0], 'the chain at the new base'),
    };
    const operations: LogOperation[] = [
      { type: 'put', key: HEAD_KEY, value: encodeHead(this.#cipher, head) },
    ];
    for (let gone = baseIndex + 1; gone <= until; gone += 1) {
      operations.push({ type: 'del', key: entryKey(gone) });
    }
    await this.#guard('compacting', async () => {
      // Synced: an older head that comes back after a loss of power would need destroyed keys.
      await this.#database.batch(operations, { sync: true });
      this.#witness.note(head.writeCounter);
      await this.#cipher.keys.retire();
    });
    this.#synced = head.writeCounter;
    this.#head = head;
    this.#hashes = hashes;
  }

  #plan(batch: LogBatch): { head: Head; hashes: Uint8Array[]; operations: LogOperation[] } {
    const operations: LogOperation[] = [];
    let head = this.#head;
    let hashes = this.#hashes;
    if (batch.snapshot !== undefined) {
      this.#discardFrom(head, head.baseIndex + 1, operations);
      const base = chainOfSnapshot(batch.snapshot);
      const { index } = batch.snapshot.metadata;
      head = { ...head, baseIndex: index, baseHash: base, lastIndex: index, lastHash: base };
      head = { ...head, snapshot: batch.snapshot };
      hashes = [base];
    }
    if (batch.ownSnapshot !== undefined) head = { ...head, snapshot: batch.ownSnapshot };
    const first = batch.entries[0];
    if (first !== undefined) {
      if (first.index <= head.baseIndex || first.index > head.lastIndex + 1) {
        throw damaged(`entry ${first.index} does not continue the log at ${head.lastIndex}`);
      }
      this.#discardFrom(head, first.index + batch.entries.length, operations);
      // In place: nobody reads them before the write has succeeded, nor ever after a failed one.
      hashes.length = first.index - head.baseIndex;
      this.#append(batch.entries, hashes, operations);
      const lastIndex = first.index + batch.entries.length - 1;
      head = { ...head, lastIndex, lastHash: required(hashes.at(-1), 'the last hash') };
    }
    head = {
      ...head,
      writeCounter: head.writeCounter + 1,
      hardState: batch.hardState ?? head.hardState,
      appliedIndex: batch.appliedIndex ?? head.appliedIndex,
    };
    return { head, hashes, operations };
  }

  /** Deletes what the new entries do not overwrite themselves. */
  #discardFrom(head: Head, from: number, operations: LogOperation[]): void {
    for (let index = from; index <= head.lastIndex; index += 1) {
      operations.push({ type: 'del', key: entryKey(index) });
    }
  }

  #append(entries: readonly Entry[], hashes: Uint8Array[], operations: LogOperation[]): void {
    for (const entry of entries) {
      const previous = required(hashes.at(-1), 'the hash before an entry');
      const value = encodeEntryRecord(this.#cipher, entry, previous);
      operations.push({ type: 'put', key: entryKey(entry.index), value });
      hashes.push(chainHash(previous, entry));
    }
  }

  async #loadEntries(): Promise<Entry[]> {
    const { baseIndex, baseHash, lastIndex, lastHash } = this.#head;
    const entries: Entry[] = [];
    const hashes = [baseHash];
    await this.#guard('reading', async () => {
      for await (const [key, record] of this.#database.iterator(ENTRY_RANGE)) {
        const index = indexOfKey(key);
        const previous = required(hashes.at(-1), 'the hash before an entry');
        if (index !== baseIndex + entries.length + 1) {
          throw damaged(`entry ${baseIndex + entries.length + 1} is missing`);
        }
        const entry = decodeEntryRecord(this.#cipher, index, record, previous);
        entries.push(entry);
        hashes.push(chainHash(previous, entry));
      }
    });
    if (baseIndex + entries.length !== lastIndex) {
      throw damaged(`it has ${baseIndex + entries.length} entries instead of ${lastIndex}`);
    }
    if (!equalBytes(required(hashes.at(-1), 'the last hash'), lastHash)) {
      throw damaged('its last entry is not the one that was written');
    }
    this.#hashes = hashes;
    return entries;
  }

  async #guard<T>(during: string, act: () => Promise<T>): Promise<T> {
    try {
      return await act();
    } catch (error) {
      const failure = storeFailure(error, during);
      this.#failure ??= failure;
      throw (error as { code?: string }).code === 'CV_LOG_DAMAGED' ? error : failure;
    }
  }
}

/** Where the chain starts after a snapshot: bound to its descriptor, index and term. */
function chainOfSnapshot(snapshot: Snapshot): Uint8Array {
  const { index, term } = snapshot.metadata;
  return chainHash(CHAIN_START, { index, term, type: 'EntryNormal', data: snapshot.data });
}
