import { ConclaveError } from '@conclave/kernel';
import { PURPOSE, RunningHash, storageSeal, storageUnseal } from '@conclave/sealed';
import type { StoreCipher } from './cipher.js';
import { storeFailure } from './errors.js';
import { CHUNK_RANGE, chunkKey, snapshotTag, snapshotTagOfKey } from './key-space.js';
import type { Database } from './database.js';

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
const MORE = 0;
const LAST = 1;

/** Snapshot contents on level, each chunk sealed and bound to its snapshot and number. */
export class LevelSnapshotStore implements SnapshotStore {
  readonly #database: Database;
  readonly #cipher: StoreCipher;

  constructor(database: Database, cipher: StoreCipher) {
    this.#database = database;
    this.#cipher = cipher;
  }

  /** @inheritdoc */
  async write(
    name: SnapshotName,
    chunks: AsyncIterable<Uint8Array> | Iterable<Uint8Array>,
  ): Promise<void> {
    const whole = new RunningHash();
    let number = 0;
    for await (const chunk of chunks) {
      whole.update(chunk);
      await this.#put(name, number, this.#seal({ name, number, content: chunk, digest: NO_HASH }));
      number += 1;
    }
    // The final record has no content: it closes the snapshot with the digest of all of it.
    const digest = whole.digest();
    const record = this.#seal({ name, number, content: NO_HASH, digest });
    await this.#put(name, number, record, true);
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
  }

  #seal(part: SealPart): Uint8Array {
    const envelope = storageSeal({
      purpose: PURPOSE.snapshotChunk,
      key: this.#cipher.key,
      keyId: this.#cipher.epoch,
      fields: this.#place(part),
      plaintext: part.content,
      random: this.#cipher.random,
    });
    const record = new Uint8Array(1 + envelope.length);
    record[0] = part.digest.length === 0 ? MORE : LAST;
    record.set(envelope, 1);
    return record;
  }

  #open(part: Omit<SealPart, 'content'> & { readonly record: Uint8Array }): Uint8Array {
    try {
      return storageUnseal({
        purpose: PURPOSE.snapshotChunk,
        key: this.#cipher.key,
        keyId: this.#cipher.epoch,
        fields: this.#place(part),
        envelope: part.record.subarray(1),
      });
    } catch (cause) {
      throw this.#damaged(`chunk ${part.number} does not open`, cause);
    }
  }

  #place(part: Omit<SealPart, 'content'>): readonly (string | number | Uint8Array)[] {
    const { clusterId, nodeId, epoch } = this.#cipher;
    return [clusterId, nodeId, epoch, part.name.index, part.name.term, part.number, part.digest];
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
