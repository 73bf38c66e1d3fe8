import type {
  Bytes,
  HardState,
  Index,
  Message,
  MsgStorageAppend,
  NetworkMessage,
  Snapshot,
} from '../index.js';
import { LOCAL_APPEND_THREAD, RaftError } from '../index.js';
import type { MemberContext } from './context.js';
import { DriverError } from './driver-error.js';
import { hardStateOf, isEmptyBatch, isHardStateOnly, mergeAppends } from './merge-appends.js';
import type { AppendWork } from './merge-appends.js';
import type { LogBatch } from './types.js';

/** Where the results of writes go. */
export interface AppendSink {
  /** Messages whose promises are durable now, in order. */
  readonly send: (messages: readonly NetworkMessage[]) => void;
  /** A received snapshot is durable; the state machine must follow before later entries. */
  readonly restore: (snapshot: Snapshot) => void;
  /** Last index the state machine has taken in. */
  readonly applied: () => Index;
}

interface AppendJob {
  readonly work: AppendWork;
  readonly sync: boolean;
  readonly size: Bytes;
  readonly queuedAtMs: number;
  readonly done: (stored: boolean) => void;
}

/**
 * Writes storage work to the log store, one batch at a time, in the order in which it was queued.
 *
 * Whatever queued up during a write becomes the next batch, with one sync for all of it, so that
 * batches grow with the latency of the disk. Responses are released only after the write they
 * belong to, and everything queued before, is durable.
 *
 * A commit index alone promises nothing: it goes along with the next write, at the latest with the
 * one that `flush` asks for.
 */
export class AppendWorker {
  readonly #context: MemberContext;
  readonly #sink: AppendSink;
  readonly #queue: AppendJob[] = [];
  #writing: readonly AppendJob[] = [];
  #queueSize: Bytes = 0;
  #running: Promise<void> | undefined;
  #snapshotIndex: Index;
  #commit: Index;
  #appliedWritten: Index;
  /** A hard state whose only news is its commit index. */
  #unwritten: HardState | undefined;

  /**
   * @param context the member
   * @param sink where results go
   * @param stored what the store holds at the start
   */
  constructor(
    context: MemberContext,
    sink: AppendSink,
    stored: { readonly snapshotIndex: Index; readonly commit: Index; readonly applied: Index },
  ) {
    this.#context = context;
    this.#sink = sink;
    this.#snapshotIndex = stored.snapshotIndex;
    this.#commit = stored.commit;
    this.#appliedWritten = stored.applied;
  }

  /** Work that is queued or being written. */
  get length(): number {
    return this.#queue.length + this.#writing.length;
  }

  /** Payload bytes that are queued, without those being written. */
  get size(): Bytes {
    return this.#queueSize;
  }

  /** Index of the last snapshot that is durable; 0: none. */
  get snapshotIndex(): Index {
    return this.#snapshotIndex;
  }

  /** Milliseconds the oldest unfinished work has waited; 0: there is none. */
  oldestAgeMs(nowMs: number): number {
    const oldest = this.#writing[0] ?? this.#queue[0];
    return oldest === undefined ? 0 : nowMs - oldest.queuedAtMs;
  }

  /** @param sync whether the responses promise more than a commit index */
  append(message: MsgStorageAppend, sync: boolean): void {
    const mustSync = sync || message.snapshot !== undefined;
    this.#enqueue({ kind: 'append', message }, mustSync, noop);
  }

  /**
   * Stores a snapshot this member took of itself.
   *
   * @returns false if the stored one is not older
   */
  storeOwnSnapshot(snapshot: Snapshot): Promise<boolean> {
    return new Promise((resolve) => {
      this.#enqueue({ kind: 'ownSnapshot', snapshot }, true, resolve);
    });
  }

  /** Whether a commit index waits for company. */
  get hasUnwritten(): boolean {
    return this.#unwritten !== undefined;
  }

  /** Writes a commit index that still waits. */
  flush(): void {
    if (this.#unwritten === undefined || this.#queue.length > 0) return;
    this.#enqueue({ kind: 'flush' }, false, noop);
  }

  /** Resolves when nothing is being written; with `isOpen`, when the queue is empty too. */
  async idle(): Promise<void> {
    await this.#running;
  }

  #enqueue(work: AppendWork, sync: boolean, done: (stored: boolean) => void): void {
    const size = sizeOf(work);
    this.#queueSize += size;
    this.#queue.push({ work, sync, size, queuedAtMs: this.#context.options.clock.now(), done });
    this.#running ??= this.#run();
  }

  async #run(): Promise<void> {
    // The rest of this turn may queue more; besides, the caller has not stored the promise yet.
    await Promise.resolve();
    try {
      while (this.#queue.length > 0 && this.#context.isOpen()) await this.#writeNext();
    } catch (error) {
      this.#context.fail(asStoreError(error));
    } finally {
      this.#running = undefined;
      if (!this.#context.isOpen()) this.#abandon();
    }
  }

  #abandon(): void {
    for (const job of [...this.#writing, ...this.#queue]) job.done(false);
    this.#writing = [];
    this.#queue.length = 0;
    this.#queueSize = 0;
  }

  async #writeNext(): Promise<void> {
    const jobs = this.#take();
    this.#writing = jobs;
    const sync = jobs.some((job) => job.sync);
    const isFlush = jobs.some((job) => job.work.kind === 'flush');
    const batch = this.#withUnwritten(mergeAppends(jobs.map((job) => job.work)));
    if (!sync && !isFlush && isHardStateOnly(batch)) {
      this.#unwritten = batch.hardState;
    } else if (!isEmptyBatch(batch)) {
      this.#unwritten = undefined;
      await this.#context.options.store.write(this.#withApplied(batch), { sync });
    }
    this.#writing = [];
    if (this.#context.isOpen()) this.#complete(jobs);
  }

  /** At least one job, then as many as fit; drops own snapshots that came too late. */
  #take(): AppendJob[] {
    const taken: AppendJob[] = [];
    let size = 0;
    let snapshotIndex = this.#snapshotIndex;
    for (const job of this.#queue) {
      if (taken.length > 0 && size + job.size > this.#context.options.limits.writeSizeMax) break;
      taken.push(job);
      size += job.size;
    }
    this.#queue.splice(0, taken.length);
    this.#queueSize -= size;
    return taken.filter((job) => {
      const index = snapshotOf(job.work)?.metadata.index ?? 0;
      if (job.work.kind === 'ownSnapshot' && index <= snapshotIndex) {
        job.done(false);
        return false;
      }
      snapshotIndex = Math.max(snapshotIndex, index);
      return true;
    });
  }

  /** A newer hard state replaces the one that waits. */
  #withUnwritten(batch: LogBatch): LogBatch {
    const hardState = batch.hardState ?? this.#unwritten;
    return hardState === undefined ? batch : { ...batch, hardState };
  }

  /** The applied index must not get ahead of the commit index on disk. */
  #withApplied(batch: LogBatch): LogBatch {
    this.#commit = Math.max(this.#commit, batch.hardState?.commit ?? 0);
    const appliedIndex = Math.min(this.#sink.applied(), this.#commit);
    if (appliedIndex <= this.#appliedWritten) return batch;
    this.#appliedWritten = appliedIndex;
    return { ...batch, appliedIndex };
  }

  #complete(jobs: readonly AppendJob[]): void {
    const outgoing: NetworkMessage[] = [];
    for (const job of jobs) {
      if (job.work.kind === 'append') this.#completeAppend(job.work.message, outgoing);
      else if (job.work.kind === 'ownSnapshot') this.#completeOwnSnapshot(job.work.snapshot);
      job.done(true);
    }
    if (outgoing.length > 0) this.#sink.send(outgoing);
    this.#context.wake();
  }

  #completeAppend(message: MsgStorageAppend, outgoing: NetworkMessage[]): void {
    const { options } = this.#context;
    const { memory } = this.#context.storage;
    if (message.snapshot !== undefined) {
      if (memory.applySnapshot(message.snapshot) === 'outOfDate') {
        throw new DriverError(
          'CONTRACT_BROKEN',
          'a received snapshot is older than the stored one',
        );
      }
      this.#snapshotStored(message.snapshot);
      this.#sink.restore(message.snapshot);
    }
    const hardState = hardStateOf(message);
    if (hardState !== undefined) memory.setHardState(hardState);
    if (message.entries.length > 0) memory.append(message.entries);
    for (const response of message.responses) {
      if (isForThisMember(response, options.id)) this.#context.stepLocal(response);
      else outgoing.push(response as NetworkMessage);
    }
  }

  #completeOwnSnapshot(snapshot: Snapshot): void {
    const { index, confState } = snapshot.metadata;
    const { memory } = this.#context.storage;
    // The memory has already gone over to a received one that is newer.
    if (memory.createSnapshot(index, confState, snapshot.data) === 'outOfDate') return;
    this.#snapshotStored(snapshot);
  }

  #snapshotStored(snapshot: Snapshot): void {
    this.#snapshotIndex = snapshot.metadata.index;
    this.#context.notify(() => this.#context.options.onSnapshotStored?.(snapshot));
  }
}

function isForThisMember(message: Message, id: number): boolean {
  return message.to === id || message.to === LOCAL_APPEND_THREAD;
}

function snapshotOf(work: AppendWork): Snapshot | undefined {
  if (work.kind === 'ownSnapshot') return work.snapshot;
  return work.kind === 'append' ? work.message.snapshot : undefined;
}

function sizeOf(work: AppendWork): Bytes {
  let size = snapshotOf(work)?.data.length ?? 0;
  if (work.kind !== 'append') return size;
  for (const entry of work.message.entries) size += entry.data.length;
  return size;
}

function asStoreError(error: unknown): RaftError {
  if (error instanceof RaftError) return error;
  return new DriverError('STORE_FAILED', 'the log store failed', { cause: error });
}

function noop(): void {
  // Nobody waits.
}
