import { RaftError } from '../index.js';
import type { Index, Snapshot } from '../index.js';
import type { AppendWorker } from './append-worker.js';
import type { ApplyWorker } from './apply-worker.js';
import type { MemberContext } from './context.js';
import { DriverError } from './driver-error.js';
import type { StateSnapshot } from './types.js';

/**
 * Takes snapshots after enough entries or bytes, and discards the log before them.
 *
 * The state machine is asked between two pieces of work, so that the state it captures belongs to a
 * known index and configuration. Applying and writing go on while it prepares the snapshot. The
 * log is discarded only after the snapshot is durable, except for a number of entries that lagging
 * members can be brought up to date with. A snapshot is also due when a member was added that the
 * log alone cannot bring up.
 */
export class Compaction {
  readonly #context: MemberContext;
  readonly #append: AppendWorker;
  readonly #apply: ApplyWorker;
  #baseIndex: Index;
  #baseBytes = 0;
  #running: Promise<void> | undefined;

  /**
   * @param context the member
   * @param append writes snapshots
   * @param apply knows how far the state machine is
   */
  constructor(context: MemberContext, append: AppendWorker, apply: ApplyWorker) {
    this.#context = context;
    this.#append = append;
    this.#apply = apply;
    this.#baseIndex = apply.applied;
  }

  /** To be called between two pieces of work of the state machine. */
  check(): void {
    if (this.#running !== undefined || !this.#context.isAccepting() || !this.#isDue()) return;
    this.#running = this.#run();
  }

  /** The state was replaced by a snapshot that is stored already. */
  restored(index: Index): void {
    this.#baseIndex = index;
    this.#baseBytes = this.#apply.bytes;
  }

  /** Resolves when neither the state machine nor the store is busy with a snapshot. */
  async idle(): Promise<void> {
    await this.#running;
  }

  #isDue(): boolean {
    const { snapshotEntries, snapshotBytes } = this.#context.options.limits;
    const entries = this.#apply.applied - this.#baseIndex;
    const bytes = this.#apply.bytes - this.#baseBytes;
    if (entries === 0) return false;
    if (entries >= snapshotEntries || bytes >= snapshotBytes) return true;
    return this.#context.storage.needsSnapshot();
  }

  async #run(): Promise<void> {
    const { storage, options } = this.#context;
    const { applied: index, appliedTerm: term, confState, lastCommand } = this.#apply;
    this.restored(index);
    try {
      const captured = await options.stateMachine.snapshot();
      if (!this.#context.isOpen()) return;
      this.#checkCaptured(captured, { from: lastCommand, to: index });
      const snapshot: Snapshot = { data: captured.data, metadata: { index, term, confState } };
      const stored = await this.#append.storeOwnSnapshot(snapshot);
      const discard = index - options.limits.keepEntries;
      if (!stored || discard <= 0 || !this.#context.isOpen()) return;
      storage.memory.compact(discard);
      await this.#compactStore(discard);
    } catch (error) {
      this.#context.fail(asSnapshotError(error));
    } finally {
      this.#running = undefined;
      // It may be due again by now.
      this.#apply.pause();
    }
  }

  async #compactStore(index: Index): Promise<void> {
    try {
      await this.#context.options.store.compact(index);
    } catch (error) {
      throw new DriverError('STORE_FAILED', 'the log store failed to compact', { cause: error });
    }
  }

  #checkCaptured({ data, index }: StateSnapshot, range: { from: Index; to: Index }): void {
    if (index < range.from || index > range.to) {
      const text = `snapshot of ${index} captured when ${range.to} was applied`;
      throw new DriverError('CONTRACT_BROKEN', text);
    }
    const sizeMax = this.#context.options.limits.snapshotDescriptorSizeMax;
    if (data.length > sizeMax) {
      throw new DriverError('CONTRACT_BROKEN', `snapshot descriptor of over ${sizeMax} bytes`);
    }
  }
}

function asSnapshotError(error: unknown): RaftError {
  if (error instanceof RaftError) return error;
  return new DriverError('STATE_MACHINE_FAILED', 'no snapshot could be taken', { cause: error });
}
