import type { LoadedLog, LogBatch, LogStore, WriteOptions } from '../../node/index.js';
import { LogImage } from '../../node/log-image.js';
import type { Prng } from '../prng.js';
import type { DiskIo } from './disk-queue.js';
import { SimFiles } from './sim-files.js';
import { encodeRecord, readRecords, replay } from './wal-records.js';
import type { WalRecord } from './wal-records.js';

const LOG = 'log';
const NEW_LOG = 'log.new';

/** What stays of a member when it is down: the medium under its log store. */
export interface SimulatedStorage {
  /** The log store of a life that begins. */
  open(io: DiskIo): LogStore;
  /** The life ends: what was not synced is lost, or not. */
  crash(): void;
  /** Damages something that is durable. @returns false if there is nothing, or it cannot */
  rot(): boolean;
}

/** A {@link WalLogStore} per life, on the same files. */
export class WalStorage implements SimulatedStorage {
  readonly #files: SimFiles;

  /** @param prng decides what survives */
  constructor(prng: Prng) {
    this.#files = new SimFiles(prng);
  }

  open(io: DiskIo): LogStore {
    return new WalLogStore(this.#files, io);
  }

  crash(): void {
    this.#files.crash();
  }

  rot(): boolean {
    // The first record was synced before anybody relied on it.
    const [first] = readRecords(this.#files.read(LOG));
    if (first === undefined) return false;
    this.#files.rot(LOG, first.end);
    return true;
  }
}

/**
 * A log store on simulated files: one log of records with a running checksum.
 *
 * Reading the log back writes it anew under another name before anything is believed: what a sync
 * did not bring to the disk may still be readable, and a torn end must not stand before new records.
 * Compaction does the same, to get rid of what is gone.
 */
export class WalLogStore implements LogStore {
  readonly #files: SimFiles;
  readonly #io: DiskIo;
  readonly #image = new LogImage();
  #end = 0;
  #checksum = 0;
  /** Ends when what was begun last has ended: a compaction and a write never overlap. */
  #turn: Promise<unknown> = Promise.resolve();

  /**
   * @param files where the log is
   * @param io does the work
   */
  constructor(files: SimFiles, io: DiskIo) {
    this.#files = files;
    this.#io = io;
  }

  async load(): Promise<LoadedLog> {
    const file = await this.#io.work(() => this.#files.read(LOG));
    for (const { record } of readRecords(file)) replay(this.#image, record);
    await this.#rewrite();
    return this.#image.copy();
  }

  write(batch: LogBatch, { sync }: WriteOptions): Promise<void> {
    return this.#inTurn(() => this.#append({ kind: 'write', batch }, sync));
  }

  compact(index: number): Promise<void> {
    return this.#inTurn(async () => {
      this.#image.change({ kind: 'compact', index });
      await this.#rewrite();
    });
  }

  #inTurn(act: () => Promise<void>): Promise<void> {
    const mine = this.#turn.then(act);
    this.#turn = mine;
    return mine;
  }

  async #append(record: WalRecord, sync: boolean): Promise<void> {
    replay(this.#image, record);
    const { bytes, checksum } = encodeRecord(record, this.#checksum);
    const at = this.#end;
    this.#end += bytes.length;
    this.#checksum = checksum;
    await this.#io.work(() => {
      this.#files.write(LOG, at, bytes);
    });
    if (sync) await this.#sync(LOG);
  }

  async #rewrite(): Promise<void> {
    const { bytes, checksum } = encodeRecord({ kind: 'whole', image: this.#image }, 0);
    await this.#io.work(() => {
      this.#files.create(NEW_LOG);
      this.#files.write(NEW_LOG, 0, bytes);
    });
    await this.#sync(NEW_LOG);
    await this.#io.work(() => {
      this.#files.rename(NEW_LOG, LOG);
    });
    await this.#io.work(() => {
      this.#files.syncDirectory();
    });
    this.#end = bytes.length;
    this.#checksum = checksum;
  }

  #sync(name: string): Promise<void> {
    return this.#io.work(
      () => {
        this.#files.sync(name);
      },
      () => {
        this.#files.failSync(name);
      },
    );
  }
}
