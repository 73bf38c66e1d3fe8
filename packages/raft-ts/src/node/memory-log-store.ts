import type { Index } from '../index.js';
import { DriverError } from './driver-error.js';
import { LogImage } from './log-image.js';
import type { LogOperation } from './log-image.js';
import type { LoadedLog, LogBatch, LogStore, WriteOptions } from './types.js';

/** Where a test may delay or fail a store. A rejection makes the store unusable. */
export interface MemoryLogStoreHooks {
  /** Runs before a batch takes effect. */
  beforeWrite?: (batch: LogBatch, options: WriteOptions) => Promise<void> | void;
  /** Runs after a batch took effect, before the write resolves. */
  afterWrite?: (batch: LogBatch, options: WriteOptions) => Promise<void> | void;
  /** Runs before a compaction takes effect. */
  beforeCompact?: (index: Index) => Promise<void> | void;
  /** Runs before a load answers. */
  beforeLoad?: () => Promise<void> | void;
}

/** How often a store was asked for what. */
export interface MemoryLogStoreCounts {
  readonly writes: number;
  readonly syncs: number;
  readonly entries: number;
  readonly compactions: number;
}

/**
 * A log store for tests that models a loss of power.
 *
 * What is written without a sync is there until `crash`, and then lost from some point on. Hooks
 * make it slow or broken. It checks that the driver keeps its side of the contract.
 */
export class MemoryLogStore implements LogStore {
  /** May be changed at any time. */
  readonly hooks: MemoryLogStoreHooks;
  #durable: LogImage;
  #unsynced: LogOperation[] = [];
  #current: LogImage;
  #isWriting = false;
  #isCompacting = false;
  #brokenBy: string | undefined;
  #counts = { writes: 0, syncs: 0, entries: 0, compactions: 0 };

  /**
   * @param hooks delays and failures
   * @param image what is stored at the start; taken over
   */
  constructor(hooks: MemoryLogStoreHooks = {}, image: LogImage = new LogImage()) {
    this.hooks = hooks;
    this.#durable = image;
    this.#current = image.copy();
  }

  /** Calls that took effect so far. */
  get counts(): MemoryLogStoreCounts {
    return { ...this.#counts };
  }

  /** What survives a loss of power now. */
  get durable(): LoadedLog {
    return this.#durable.copy();
  }

  /** What is stored, synced or not. */
  get current(): LoadedLog {
    return this.#current.copy();
  }

  /**
   * Ends the use of this store as a loss of power would; a write that is open has no effect.
   *
   * @param keepUnsynced how many operations since the last sync survive by luck, default none
   * @returns the store after the restart, without hooks
   */
  crash(keepUnsynced = 0): MemoryLogStore {
    this.#brokenBy = 'the power is gone';
    const image = this.#durable.copy();
    for (const operation of this.#unsynced.slice(0, keepUnsynced)) image.change(operation);
    return new MemoryLogStore({}, image);
  }

  /** Ends the use of this store as a clean end of the process would. */
  reopen(): MemoryLogStore {
    return this.crash(this.#unsynced.length);
  }

  async load(): Promise<LoadedLog> {
    this.#checkUsable();
    await this.#run(() => this.hooks.beforeLoad?.());
    return this.current;
  }

  async write(batch: LogBatch, options: WriteOptions): Promise<void> {
    this.#checkUsable();
    if (this.#isWriting) throw new DriverError('CONTRACT_BROKEN', 'two writes at a time');
    this.#isWriting = true;
    await this.#run(() => this.hooks.beforeWrite?.(batch, options));
    this.#change({ kind: 'write', batch });
    this.#counts.writes += 1;
    this.#counts.entries += batch.entries.length;
    if (options.sync) this.#sync();
    await this.#run(() => this.hooks.afterWrite?.(batch, options));
    this.#isWriting = false;
  }

  async compact(index: Index): Promise<void> {
    this.#checkUsable();
    if (this.#isCompacting) throw new DriverError('CONTRACT_BROKEN', 'two compactions at a time');
    this.#isCompacting = true;
    await this.#run(() => this.hooks.beforeCompact?.(index));
    this.#change({ kind: 'compact', index });
    this.#counts.compactions += 1;
    this.#isCompacting = false;
  }

  /** After a hook failed or the power went, nothing takes effect any more. */
  async #run(hook: () => Promise<void> | void): Promise<void> {
    try {
      await hook();
    } catch (error) {
      this.#brokenBy = 'an earlier call failed';
      throw error;
    }
    this.#checkUsable();
  }

  #change(operation: LogOperation): void {
    this.#current.change(operation);
    this.#unsynced.push(operation);
  }

  #sync(): void {
    this.#durable = this.#current.copy();
    this.#unsynced = [];
    this.#counts.syncs += 1;
  }

  #checkUsable(): void {
    if (this.#brokenBy !== undefined) {
      throw new DriverError('STORE_FAILED', `memory log store: ${this.#brokenBy}`);
    }
  }
}
