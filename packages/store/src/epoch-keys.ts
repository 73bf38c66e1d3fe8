import { required } from '@conclave/kernel';
import { envelopeKeyId, SecretBytes } from '@conclave/sealed';
import type { EpochKey, StorageKeys } from './cipher.js';
import { decodeEpochs, encodeEpochs, STORAGE_KEY_BYTES } from './epoch-file.js';
import type { EpochFile, EpochFilePlace } from './epoch-file.js';
import { ENTRY_ENVELOPE_OFFSET } from './entry-record.js';
import { damaged } from './errors.js';
import { HEAD_ENVELOPE_OFFSET } from './head-record.js';
import { CHUNK_RANGE, ENTRY_RANGE, HEAD_KEY, isFirstChunk } from './key-space.js';
import { CHUNK_ENVELOPE_OFFSET } from './level-snapshot-store.js';

/** Keys at a time; past it the current one goes on until old records are gone. */
const EPOCHS_MAX = 64;

interface Range {
  readonly gte: Uint8Array;
  readonly lt: Uint8Array;
}

/** Where the records are whose epochs decide which keys are needed. */
export interface EpochRecords {
  get(key: Uint8Array): Promise<Uint8Array | undefined>;
  /** In order. */
  keys(range: Range): AsyncIterable<Uint8Array>;
}

/** How the file is stored under another key, with other files. */
export interface ResealSteps {
  /** Keeps the content beside the file; when it fails nothing has changed. */
  readonly keep: (content: Uint8Array) => Promise<void>;
  /** Makes what was kept the file; after it has failed nobody knows which of the two is. */
  readonly put: () => Promise<void>;
}

/**
 * The storage keys E_1..E_m of one store, sealed in one small file. Each snapshot begins a new
 * epoch; when compaction has removed the last record of the oldest, its key is taken out of the
 * file. What is left of such records on the disk, in blocks that a file system or a database has not
 * used again, can then be opened by nobody.
 */
export class EpochKeys implements StorageKeys {
  readonly #file: EpochFile;
  #place: EpochFilePlace;
  readonly #records: EpochRecords;
  #keys: readonly EpochKey[];
  /** Epochs that records are being written under, and how often. */
  readonly #held = new Map<number, number>();
  /** Changes of the file happen one after the other. */
  #turn: Promise<unknown> = Promise.resolve();
  /** Why nobody knows under which key the file is sealed on the disk. */
  #failure: { readonly error: unknown } | undefined;

  private constructor(
    file: EpochFile,
    place: EpochFilePlace,
    from: { readonly records: EpochRecords; readonly keys: readonly EpochKey[] },
  ) {
    this.#file = file;
    this.#place = place;
    this.#records = from.records;
    this.#keys = from.keys;
  }

  /**
   * Reads the file, or begins the first epoch of a new store.
   * @throws CV_LOG_DAMAGED when the file does not open, or is missing although there are records
   */
  static async open(
    file: EpochFile,
    place: EpochFilePlace,
    records: EpochRecords,
  ): Promise<EpochKeys> {
    const content = await file.read();
    if (content !== undefined) {
      return new EpochKeys(file, place, { records, keys: decodeEpochs(place, content) });
    }
    if ((await records.get(HEAD_KEY)) !== undefined) {
      throw damaged('the file of its keys is missing');
    }
    const opened = new EpochKeys(file, place, { records, keys: [] });
    await opened.#replace([{ epoch: 1, key: opened.#fresh() }]);
    return opened;
  }

  get current(): EpochKey {
    return required(this.#keys.at(-1), 'the current storage key');
  }

  /** Numbers of the epochs whose keys exist, oldest first. */
  get epochs(): readonly number[] {
    return this.#keys.map(({ epoch }) => epoch);
  }

  /** @inheritdoc */
  keyOf(epoch: number): SecretBytes | undefined {
    return this.#keys.find((candidate) => candidate.epoch === epoch)?.key;
  }

  /** @inheritdoc */
  hold(): { readonly held: EpochKey; readonly release: () => void } {
    const held = this.current;
    this.#held.set(held.epoch, (this.#held.get(held.epoch) ?? 0) + 1);
    const release = (): void => {
      const left = (this.#held.get(held.epoch) ?? 1) - 1;
      if (left === 0) this.#held.delete(held.epoch);
      else this.#held.set(held.epoch, left);
    };
    return { held, release };
  }

  /** @inheritdoc */
  advance(): Promise<void> {
    return this.#inTurn(async () => {
      if (this.#keys.length >= EPOCHS_MAX) return;
      const next = { epoch: this.current.epoch + 1, key: this.#fresh() };
      await this.#replace([...this.#keys, next]);
    });
  }

  /** @inheritdoc */
  retire(): Promise<void> {
    return this.#inTurn(async () => {
      const oldest = await this.#oldestInUse();
      const gone = this.#keys.filter(({ epoch }) => epoch < oldest);
      if (gone.length === 0) return;
      await this.#replace(this.#keys.filter(({ epoch }) => epoch >= oldest));
      for (const { key } of gone) key.wipe();
    });
  }

  /**
   * Begins an epoch, whatever their number, and seals all keys under another key. After `put` has
   * failed the file is not changed any more; after `keep` has failed it can be tried again.
   */
  reseal(key: SecretBytes, { keep, put }: ResealSteps): Promise<void> {
    return this.#inTurn(async () => {
      const place = { ...this.#place, key };
      const next = { epoch: this.current.epoch + 1, key: this.#fresh() };
      const keys = [...this.#keys, next];
      try {
        await keep(encodeEpochs(place, keys));
        await put().catch((error: unknown) => {
          this.#failure = { error };
          throw error;
        });
      } catch (error) {
        next.key.wipe();
        throw error;
      }
      this.#place = place;
      this.#keys = keys;
    });
  }

  /** Overwrites every key in memory, after the last change of the file. */
  async close(): Promise<void> {
    await this.#turn;
    for (const { key } of this.#keys) key.wipe();
  }

  /**
   * The oldest epoch of any record. Entries are sealed in the order of their indexes, so the first
   * one is of the oldest epoch of all; so is the first chunk of a snapshot.
   */
  async #oldestInUse(): Promise<number> {
    const found = [this.current.epoch, ...this.#held.keys()];
    const look = async (key: Uint8Array, offset: number): Promise<void> => {
      const record = await this.#records.get(key);
      if (record !== undefined) found.push(envelopeKeyId(record.subarray(offset)));
    };
    await look(HEAD_KEY, HEAD_ENVELOPE_OFFSET);
    for await (const key of this.#records.keys(ENTRY_RANGE)) {
      await look(key, ENTRY_ENVELOPE_OFFSET);
      break;
    }
    for await (const key of this.#records.keys(CHUNK_RANGE)) {
      if (isFirstChunk(key)) await look(key, CHUNK_ENVELOPE_OFFSET);
    }
    return Math.min(...found);
  }

  #fresh(): SecretBytes {
    return SecretBytes.random(this.#place.random, STORAGE_KEY_BYTES);
  }

  async #replace(keys: readonly EpochKey[]): Promise<void> {
    await this.#file.write(encodeEpochs(this.#place, keys));
    this.#keys = keys;
  }

  #inTurn(act: () => Promise<void>): Promise<void> {
    const mine = this.#turn.then(() => {
      if (this.#failure !== undefined) throw this.#failure.error;
      return act();
    });
    this.#turn = mine.catch(() => undefined);
    return mine;
  }
}
