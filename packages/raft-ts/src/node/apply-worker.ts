import { decodeConfChange, RaftError } from '../index.js';
import type {
  ConfState,
  Entry,
  EntryId,
  Index,
  MsgStorageApply,
  Snapshot,
  Term,
} from '../index.js';
import type { MemberContext } from './context.js';
import { DriverError } from './driver-error.js';
import { unwrapContext, unwrapPayload } from './proposal-ids.js';

/** Who wants to know what was applied. */
export interface ApplySink {
  /** A command was applied; `value` is what the state machine returned. */
  readonly applied: (entry: Entry, value: unknown) => void;
  /** A change of the configuration took effect. */
  readonly confChanged: (entry: Entry, confState: ConfState) => void;
  /** Everything up to `index` is applied. */
  readonly advanced: (index: Index) => void;
  /** The state was replaced; nobody knows what became of entries up to the index. */
  readonly restored: (index: Index) => void;
  /** Between two pieces of work: the state machine may be asked for a snapshot. */
  readonly idle: () => void;
}

type ApplyJob =
  | { readonly kind: 'apply'; readonly message: MsgStorageApply }
  | { readonly kind: 'restore'; readonly snapshot: Snapshot }
  | { readonly kind: 'pause' };

/**
 * Feeds committed entries to the state machine, in log order, each exactly once per life.
 *
 * Commands between two changes of the configuration are one call. A change is applied to the core
 * before any later entry is applied.
 */
export class ApplyWorker {
  readonly #context: MemberContext;
  readonly #sink: ApplySink;
  readonly #queue: ApplyJob[] = [];
  #running: Promise<void> | undefined;
  #applied: EntryId;
  #lastCommand: Index;
  #bytes = 0;
  #acceptedSnapshot: Index = 0;

  /**
   * @param context the member
   * @param sink who is told
   * @param start what the state machine was restored to
   */
  constructor(context: MemberContext, sink: ApplySink, start: EntryId) {
    this.#context = context;
    this.#sink = sink;
    this.#applied = { index: start.index, term: start.term };
    this.#lastCommand = start.index;
  }

  /** Last index the state machine has taken in. */
  get applied(): Index {
    return this.#applied.index;
  }

  /** Term of the entry at `applied`. */
  get appliedTerm(): Term {
    return this.#applied.term;
  }

  /** Index of the last entry the state machine has seen; at most `applied`. */
  get lastCommand(): Index {
    return this.#lastCommand;
  }

  /** Payload bytes applied in this life of the member; only ever grows. */
  get bytes(): number {
    return this.#bytes;
  }

  /** The configuration at `applied`. */
  get confState(): ConfState {
    return this.#context.storage.confState;
  }

  /** Takes over committed entries and the responses that acknowledge them. */
  apply(message: MsgStorageApply): void {
    this.#enqueue({ kind: 'apply', message });
  }

  /** Takes over a snapshot that is durable. */
  restore(snapshot: Snapshot): void {
    this.#enqueue({ kind: 'restore', snapshot });
  }

  /** Asks for a call of `idle` behind everything that is queued. */
  pause(): void {
    this.#enqueue({ kind: 'pause' });
  }

  /**
   * The core has switched to a snapshot, with its configuration. Entries it covers must not reach
   * the core or the state machine any more, although they are queued: a change among them would
   * be made to a configuration that contains it already.
   */
  snapshotAccepted(index: Index): void {
    this.#acceptedSnapshot = Math.max(this.#acceptedSnapshot, index);
  }

  /** Pieces of work that are queued or being done. */
  get length(): number {
    return this.#queue.length + (this.#running === undefined ? 0 : 1);
  }

  /** Resolves when no call of the state machine is open. */
  async idle(): Promise<void> {
    await this.#running;
  }

  #enqueue(job: ApplyJob): void {
    this.#queue.push(job);
    this.#running ??= this.#run();
  }

  async #run(): Promise<void> {
    // The caller has not stored the promise yet.
    await Promise.resolve();
    try {
      for (;;) {
        const job = this.#queue.shift();
        if (job === undefined || !this.#context.isOpen()) break;
        await this.#work(job);
      }
    } catch (error) {
      this.#context.fail(asApplyError(error));
    } finally {
      this.#running = undefined;
    }
  }

  async #work(job: ApplyJob): Promise<void> {
    if (job.kind === 'restore') {
      await this.#restore(job.snapshot);
    } else if (job.kind === 'apply') {
      await this.#applyEntries(job.message.entries);
      if (!this.#context.isOpen()) return;
      for (const response of job.message.responses) this.#context.stepLocal(response);
    }
    if (!this.#context.isOpen()) return;
    this.#sink.idle();
    this.#context.wake();
  }

  async #restore(snapshot: Snapshot): Promise<void> {
    const { stateMachine, onConfChange } = this.#context.options;
    await stateMachine.restore(snapshot);
    if (!this.#context.isOpen()) return;
    const { index, term, confState } = snapshot.metadata;
    this.#applied = { index, term };
    this.#lastCommand = index;
    this.#context.storage.confState = confState;
    await onConfChange?.({ index, term, change: undefined, confState });
    this.#sink.restored(index);
    this.#sink.advanced(index);
  }

  async #applyEntries(entries: readonly Entry[]): Promise<void> {
    let commands: Entry[] = [];
    for (const entry of entries) {
      if (entry.type === 'EntryNormal') {
        commands.push(entry);
        continue;
      }
      if (!(await this.#applyCommands(commands))) return;
      commands = [];
      if (!(await this.#applyConfChange(entry))) return;
    }
    await this.#applyCommands(commands);
  }

  /** @returns false if the rest must not be applied */
  async #applyCommands(entries: readonly Entry[]): Promise<boolean> {
    const last = entries.at(-1);
    if (last === undefined) return true;
    if (!this.#mayApply(last)) return false;
    this.#checkNext(entries[0]!);
    const commands = entries.filter((entry) => entry.data.length > 0);
    if (commands.length > 0) {
      const results = await this.#context.options.stateMachine.apply(commands.map(withoutId));
      if (!this.#context.isOpen()) return false;
      if (results.length !== commands.length) {
        throw new DriverError('CONTRACT_BROKEN', 'apply must return one result per entry');
      }
      this.#lastCommand = commands.at(-1)!.index;
      for (const [i, entry] of commands.entries()) {
        this.#bytes += entry.data.length;
        this.#sink.applied(entry, results[i]);
      }
    }
    this.#advance(last);
    return true;
  }

  async #applyConfChange(entry: Entry): Promise<boolean> {
    if (!this.#mayApply(entry)) return false;
    this.#checkNext(entry);
    const stored = decodeConfChange(entry);
    const change = unwrapContext(stored);
    if (change === undefined) throw foreignEntry(entry);
    const confState = this.#context.raw.applyConfChange(stored);
    this.#context.storage.confState = confState;
    this.#context.wake();
    const { index, term } = entry;
    await this.#context.options.onConfChange?.({ index, term, change, confState });
    if (!this.#context.isOpen()) return false;
    this.#sink.confChanged(entry, confState);
    this.#advance(entry);
    return true;
  }

  #mayApply(last: Entry): boolean {
    return this.#context.isOpen() && last.index > this.#acceptedSnapshot;
  }

  #checkNext(entry: Entry): void {
    if (entry.index === this.#applied.index + 1) return;
    const text = `entry ${entry.index} handed out after ${this.#applied.index} was applied`;
    throw new DriverError('CONTRACT_BROKEN', text);
  }

  #advance(entry: Entry): void {
    this.#applied = { index: entry.index, term: entry.term };
    this.#sink.advanced(entry.index);
  }
}

function withoutId(entry: Entry): Entry {
  const data = unwrapPayload(entry.data);
  if (data === undefined) throw foreignEntry(entry);
  return { type: entry.type, term: entry.term, index: entry.index, data };
}

function foreignEntry(entry: Entry): DriverError {
  return new DriverError('CONTRACT_BROKEN', `entry ${entry.index} was not proposed by this driver`);
}

function asApplyError(error: unknown): RaftError {
  if (error instanceof RaftError) return error;
  return new DriverError('STATE_MACHINE_FAILED', 'the state machine failed', { cause: error });
}
