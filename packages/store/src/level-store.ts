import { mkdir, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { ConclaveError, isConclaveError } from '@conclave/kernel';
import type { SecretBytes } from '@conclave/sealed';
import { Level } from 'level';
import type { Database } from './database.js';
import type { EpochFile, EpochFilePlace } from './epoch-file.js';
import { EpochKeys } from './epoch-keys.js';
import type { ResealSteps } from './epoch-keys.js';
import { storeFailure } from './errors.js';
import { LevelLogStore } from './level-log-store.js';
import { LevelSnapshotStore } from './level-snapshot-store.js';
import { Witness } from './witness.js';

/** Where a store lives, whose it is, and what its keys are sealed with. */
export interface LevelStoreOptions extends EpochFilePlace {
  /** Created with mode 0700 when missing; refused when others may read it. */
  readonly directory: string;
  /** The keys of the records, sealed under `key`. */
  readonly epochFile: EpochFile;
  /** Marks the witness; stays the same for the life of the store. */
  readonly witnessKey: SecretBytes;
}

/**
 * Everything a manager keeps on its disk besides keys and identity: the Raft log and snapshot
 * contents, in one database that one process may open at a time.
 */
export class LevelStore {
  readonly log: LevelLogStore;
  readonly snapshots: LevelSnapshotStore;
  readonly #database: Database;
  readonly #witness: Witness;
  readonly #epochs: EpochKeys;
  #closing: Promise<void> | undefined;

  private constructor(
    database: Database,
    parts: {
      readonly witness: Witness;
      readonly epochs: EpochKeys;
      readonly place: EpochFilePlace;
    },
  ) {
    const { witness, epochs } = parts;
    const { clusterId, nodeId, random } = parts.place;
    const cipher = { clusterId, nodeId, random, keys: epochs };
    this.#database = database;
    this.#witness = witness;
    this.#epochs = epochs;
    this.log = new LevelLogStore(database, cipher, witness);
    this.snapshots = new LevelSnapshotStore(database, cipher);
  }

  /**
   * Opens or creates the store.
   * @throws CV_DATA_DIR_LOOSE when others may read the folder
   * @throws CV_DATA_DIR_IN_USE when another process has it open
   * @throws CV_LOG_DAMAGED when the database says that its files are damaged
   */
  static async open(options: LevelStoreOptions): Promise<LevelStore> {
    const { directory } = options;
    await mkdir(directory, { recursive: true, mode: 0o700 });
    if (((await stat(directory)).mode & 0o077) !== 0) {
      throw new ConclaveError('CV_DATA_DIR_LOOSE', 'others may read the folder of the log');
    }
    const database: Database = new Level<Uint8Array, Uint8Array>(join(directory, 'log'), {
      keyEncoding: 'view',
      valueEncoding: 'view',
      // Records are ciphertext: compressing them costs time and saves nothing.
      compression: false,
    });
    try {
      await database.open();
    } catch (error) {
      throw storeFailure(error, 'opening');
    }
    try {
      const epochs = await EpochKeys.open(options.epochFile, options, database);
      const witness = await Witness.open(join(directory, 'witness'), options.witnessKey);
      return new LevelStore(database, { witness, epochs, place: options });
    } catch (error) {
      // A database that stays open would be another process's to the next try.
      await database.close();
      throw isConclaveError(error) ? error : storeFailure(error, 'opening');
    }
  }

  /** Numbers of the epochs whose keys exist, oldest first. */
  get epochs(): readonly number[] {
    return this.#epochs.epochs;
  }

  /**
   * Begins an epoch and seals the keys of all epochs under another key, which the caller wipes after
   * this store is closed.
   */
  resealEpochs(key: SecretBytes, steps: ResealSteps): Promise<void> {
    return this.#epochs.reseal(key, steps);
  }

  /** Closes the database; idempotent. Writes that are open end first. */
  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  async #close(): Promise<void> {
    try {
      await this.#database.close();
    } finally {
      await this.#witness.close();
      await this.#epochs.close();
    }
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }
}
