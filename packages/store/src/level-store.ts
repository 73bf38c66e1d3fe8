import { mkdir, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { ConclaveError } from '@conclave/kernel';
import { Level } from 'level';
import type { StoreCipher } from './cipher.js';
import { storeFailure } from './errors.js';
import { LevelLogStore } from './level-log-store.js';
import type { Database } from './database.js';
import { LevelSnapshotStore } from './level-snapshot-store.js';
import { Witness } from './witness.js';

/** Where a store lives and what it is sealed with. */
export interface LevelStoreOptions extends StoreCipher {
  /** Created with mode 0700 when missing; refused when others may read it. */
  readonly directory: string;
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
  #closing: Promise<void> | undefined;

  private constructor(database: Database, witness: Witness, cipher: StoreCipher) {
    this.#database = database;
    this.#witness = witness;
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
      const witness = await Witness.open(join(directory, 'witness'), options.key);
      return new LevelStore(database, witness, options);
    } catch (error) {
      // A database that stays open would be another process's to the next try.
      await database.close();
      throw storeFailure(error, 'opening');
    }
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
    }
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }
}
