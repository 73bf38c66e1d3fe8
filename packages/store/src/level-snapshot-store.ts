import { ConclaveError } from '@conclave/kernel';
import { PURPOSE, RunningHash, storageSeal, storageUnseal } from '@conclave/sealed';
import { epochOf } from './cipher.js';
import type { EpochKey, StoreCipher } from './cipher.js';
import { storeFailure } from './errors.js';
import { CHUNK_RANGE, chunkKey, snapshotTag, snapshotTagOfKey } from './key-space.js';

/** What snapshots need of a database of bytes; level is one. */
export interface SnapshotDatabase {
  get(key: Uint8Array): Promise<Uint8Array | undefined>;
  put(key: Uint8Array, value: Uint8Array, options: { readonly sync: boolean }): Promise<void>;
  /** All of them or none. */
  batch(removed: { readonly type: 'del'; readonly key: Uint8Array }[]): Promise<void>;
  /** In order. */
  keys(range: { readonly gte: Uint8Array; readonly lt: Uint8Array }): AsyncIterable<Uint8Array>;
}

/** Names one snapshot: its id travels in Raft's descriptor, the position binds its chunks. */
export interface SnapshotName {
  readonly id: string;
  readonly index: number;
  readonly term: number;
}

/** The content of snapshots, in chunks of at most 1 MiB. */
export interface SnapshotStore {
  /** Writes all chunks; durable when it resolves. A failure leaves nothing that could be read. */
  write(
    name: SnapshotName,
    chunks: AsyncIterable<Uint8Array> | Iterable<Uint8Array>,
  ): Promise<void>;
  /**
   * The chunks in order.
   * @throws CV_SNAPSHOT_DAMAGED when a chunk is missing, changed or from elsewhere
   */
  read(name: SnapshotName): AsyncIterable<Uint8Array>;
  /** Removes every snapshot whose id is not in `ids`. */
  keepOnly(ids: readonly string[]): Promise<void>;
}

const NO_HASH = new Uint8Array(0);
/** Layout of a record: one byte that says whether it is the last, then the envelope. */
export const CHUNK_ENVELOPE_OFFSET = 1;
const MORE = 0;
const LAST = 1;

/**
 * Snapshot contents on level, each chunk sealed and bound to its snapshot and number. Each snapshot
 * begins a new epoch of the storage keys.
 */
export class LevelSnapshotStore implements SnapshotStore {
  readonly #database: SnapshotDatabase;
  readonly #cipher: StoreCipher;

  constructor(database: SnapshotDatabase, cipher: StoreCipher) {
    this.#database = database;
    this.#cipher = cipher;
  }

  /** @inheritdoc */
  async write(
    name: SnapshotName,
    chunks: AsyncIterable<Uint8Array> | Iterable<Uint8Array>,
  ): Promise<void> {
    await this.#newEpoch();
    const { held, release } = this.#cipher.keys.hold();
    try {
      const whole = new RunningHash();
      let number = 0;
      for await (const content of chunks) {
        whole.update(content);
        const record = this.#seal({ name, number, content, digest: NO_HASH }, held);
        await this.#put(name, number, record);
        number += 1;
      }
      // The final record has no content: it closes the snapshot with the digest of all of it.
      const digest = whole.digest();
      const record = this.#seal({ name, number, content: NO_HASH, digest }, held);
      await this.#put(name, number, record, true);
    } finally {
      release();
    }
  }

  /** @inheritdoc */
  async *read(name: SnapshotName): AsyncGenerator<Uint8Array> {
    const whole = new RunningHash();
    for (let number = 0; ; number += 1) {
      const record = await this.#database.get(chunkKey(name.id, number));
      if (record === undefined) throw this.#damaged(`chunk ${number} is missing`);
      if (record[0] === LAST) {
        this.#open({ name, number, record, digest: whole.digest() });
        return;
      }
      const content = this.#open({ name, number, record, digest: NO_HASH });
      whole.update(content);
      yield content;
    }
  }

  /** @inheritdoc */
  async keepOnly(ids: readonly string[]): Promise<void> {
    const kept = new Set(ids.map(snapshotTag));
    const gone: Uint8Array[] = [];
    for await (const key of this.#database.keys(CHUNK_RANGE)) {
      if (!kept.has(snapshotTagOfKey(key))) gone.push(key);
    }
    await this.#database.batch(gone.map((key) => ({ type: 'del' as const, key })));
    await this.#cipher.keys.retire();
  }

  #seal(part: SealPart, { epoch, key }: EpochKey): Uint8Array {
    const envelope = storageSeal({
      purpose: PURPOSE.snapshotChunk,
      key,
      keyId: epoch,
      fields: this.#place(part, epoch),
      plaintext: part.content,
      random: this.#cipher.random,
    });
    const record = new Uint8Array(CHUNK_ENVELOPE_OFFSET + envelope.length);
    record[0] = part.digest.length === 0 ? MORE : LAST;
    record.set(envelope, CHUNK_ENVELOPE_OFFSET);
    return record;
  }

  #open(part: Omit<SealPart, 'content'> & { readonly record: Uint8Array }): Uint8Array {
    try {
      const envelope = part.record.subarray(CHUNK_ENVELOPE_OFFSET);
      const { epoch, key } = epochOf(this.#cipher, envelope);
      return storageUnseal({
        purpose: PURPOSE.snapshotChunk,
        key,
        keyId: epoch,
        fields: this.#place(part, epoch),
        envelope,
      });
    } catch (cause) {
      throw this.#damaged(`chunk ${part.number} does not open`, cause);
    }
  }

  #place(
    part: Omit<SealPart, 'content'>,
    epoch: number,
  ): readonly (string | number | Uint8Array)[] {
    const { clusterId, nodeId } = this.#cipher;
    return [clusterId, nodeId, epoch, part.name.index, part.name.term, part.number, part.digest];
  }

  async #newEpoch(): Promise<void> {
    try {
      await this.#cipher.keys.advance();
    } catch (error) {
      throw storeFailure(error, 'beginning a storage epoch');
    }
  }

  async #put(name: SnapshotName, number: number, record: Uint8Array, sync = false): Promise<void> {
    try {
      await this.#database.put(chunkKey(name.id, number), record, { sync });
    } catch (error) {
      throw storeFailure(error, 'writing a snapshot');
    }
  }

  #damaged(what: string, cause?: unknown): ConclaveError {
    return new ConclaveError('CV_SNAPSHOT_DAMAGED', `a stored snapshot is damaged: ${what}`, {
      cause,
    });
  }
}

interface SealPart {
  readonly name: SnapshotName;
  readonly number: number;
  readonly content: Uint8Array;
  readonly digest: Uint8Array;
}
