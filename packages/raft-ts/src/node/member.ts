import { RaftError, StepError } from '../index.js';
import type { LogLevel, Message, NetworkMessage, RawNode, Ticks } from '../index.js';
import { AppendWorker } from './append-worker.js';
import { ApplyWorker } from './apply-worker.js';
import { Compaction } from './compaction.js';
import type { MemberContext } from './context.js';
import { DriverError } from './driver-error.js';
import { LeadershipGuard } from './leadership-guard.js';
import type { ResolvedOptions } from './options.js';
import { ProposalIds } from './proposal-ids.js';
import { Proposals } from './proposals.js';
import { ReadyLoop } from './ready-loop.js';
import { Reads } from './reads.js';
import type { StartState } from './startup.js';
import { Ticker } from './ticker.js';
import { Transfers } from './transfers.js';

/**
 * The parts of a running member, wired together, and their common end.
 *
 * `isOpen` becomes false at a failure or after the drain, `isAccepting` already when the drain
 * begins. Every call of the core goes through here or the Ready loop, so that an error of the core
 * always ends the member.
 */
export class Member {
  readonly options: ResolvedOptions;
  readonly raw: RawNode;
  readonly append: AppendWorker;
  readonly apply: ApplyWorker;
  readonly proposals: Proposals;
  readonly reads: Reads;
  readonly transfers: Transfers;
  readonly fatal: Promise<RaftError>;
  readonly #compaction: Compaction;
  readonly #guard: LeadershipGuard;
  readonly #loop: ReadyLoop;
  readonly #ticker: Ticker;
  #resolveFatal!: (error: RaftError) => void;
  #isOpen = true;
  #isAccepting = true;
  #isScheduled = false;
  #isRunning = false;
  #wantsElection = false;
  #stopping: Promise<void> | undefined;

  /**
   * @param options the member's surroundings
   * @param raw its core
   * @param start what was loaded
   */
  constructor(options: ResolvedOptions, raw: RawNode, start: StartState) {
    this.options = options;
    this.raw = raw;
    this.fatal = new Promise((resolve) => {
      this.#resolveFatal = resolve;
    });
    const context = this.#createContext(start);
    const ids = new ProposalIds(options.id, options.random);
    this.proposals = new Proposals(context, ids);
    this.reads = new Reads(context, ids, () => this.apply.applied);
    this.transfers = new Transfers(context);
    this.apply = this.#createApplyWorker(context, start);
    this.append = this.#createAppendWorker(context, start);
    this.#compaction = new Compaction(context, this.append, this.apply);
    this.#guard = new LeadershipGuard(context, () => this.oldestWriteAgeMs());
    this.#loop = new ReadyLoop(context, {
      append: this.append,
      apply: this.apply,
      proposals: this.proposals,
      reads: this.reads,
      transfers: this.transfers,
      guard: this.#guard,
    });
    this.#ticker = new Ticker(options, (ticks) => {
      this.#tick(ticks);
    });
    this.wake();
  }

  /** Whether input of other members and the host is taken. */
  get isAccepting(): boolean {
    return this.#isAccepting;
  }

  /** Whether so much waits for the disk that nothing may be added. */
  get isOverloaded(): boolean {
    const { appendQueueLengthMax, appendQueueSizeMax } = this.options.limits;
    return this.append.length >= appendQueueLengthMax || this.append.size >= appendQueueSizeMax;
  }

  /** Milliseconds since the oldest unfinished log write was queued; 0: none. */
  oldestWriteAgeMs(): number {
    return this.append.oldestAgeMs(this.options.clock.now());
  }

  /** Schedules a round. */
  wake(): void {
    if (this.#isScheduled || !this.#isOpen) return;
    this.#isScheduled = true;
    this.options.schedule(() => {
      this.#isScheduled = false;
      this.run();
    });
  }

  /** A round now. */
  run(): void {
    if (this.#isRunning) {
      this.wake();
      return;
    }
    this.#isRunning = true;
    this.guarded(() => {
      this.#loop.run();
    });
    this.#isRunning = false;
  }

  /**
   * Calls the core. A refused message is dropped; any other error ends the member.
   *
   * @param f must use the core only
   */
  guarded(f: () => void): void {
    if (!this.#isOpen) return;
    try {
      f();
    } catch (error) {
      if (error instanceof StepError) this.#log('DEBUG', () => error.message);
      else this.#fail(asRaftError(error));
    }
  }

  /** Starts an election as soon as the core does not refuse it for what is not applied yet. */
  campaign(): void {
    this.#wantsElection = true;
    this.#campaignWhenApplied();
  }

  /** Writes a line of the driver. */
  log(level: LogLevel, text: () => string): void {
    this.#log(level, text);
  }

  /** See `Node.stop`. */
  stop(): Promise<void> {
    this.#stopping ??= this.#drain();
    return this.#stopping;
  }

  #createContext({ storage }: StartState): MemberContext {
    return {
      options: this.options,
      raw: this.raw,
      storage,
      isOpen: () => this.#isOpen,
      isAccepting: () => this.#isAccepting,
      wake: () => {
        this.wake();
      },
      guarded: (f) => {
        this.guarded(f);
      },
      stepLocal: (message) => {
        this.#stepLocal(message);
      },
      fail: (error) => {
        this.#fail(error);
      },
      notify: (observer) => {
        this.#notify(observer);
      },
      log: (level, text) => {
        this.#log(level, text);
      },
    };
  }

  #createApplyWorker(context: MemberContext, start: StartState): ApplyWorker {
    const sink = {
      applied: this.proposals.applied.bind(this.proposals),
      confChanged: this.proposals.confChanged.bind(this.proposals),
      advanced: (index: number): void => {
        this.proposals.advanced(index);
        this.reads.advanced(index);
      },
      restored: (index: number): void => {
        this.proposals.restored(index);
        this.#compaction.restored(index);
      },
      idle: (): void => {
        this.#compaction.check();
        this.#campaignWhenApplied();
      },
    };
    return new ApplyWorker(context, sink, start);
  }

  #createAppendWorker(context: MemberContext, start: StartState): AppendWorker {
    const sink = {
      send: (messages: readonly NetworkMessage[]): void => {
        this.#loop.send(messages);
      },
      restore: this.apply.restore.bind(this.apply),
      applied: (): number => this.apply.applied,
    };
    const { index: snapshotIndex, commit, applied } = start;
    return new AppendWorker(context, sink, { snapshotIndex, commit, applied });
  }

  #campaignWhenApplied(): void {
    if (!this.#wantsElection) return;
    this.guarded(() => {
      const { applied, commit } = this.raw.basicStatus();
      if (applied < commit) return;
      this.#wantsElection = false;
      this.raw.campaign();
    });
    this.wake();
  }

  #stepLocal(message: Message): void {
    // A member that was removed is no peer of its own any more: its own answer is refused.
    this.guarded(() => {
      this.raw.step(message);
    });
    this.wake();
  }

  #tick(ticks: Ticks): void {
    for (let i = 0; i < ticks && this.#isAccepting; i++) {
      // Elections write too; they cannot help while writes do not end.
      if (!this.isOverloaded) {
        this.guarded(() => {
          this.raw.tick();
        });
      }
      this.proposals.tick();
      this.reads.tick();
      this.transfers.tick();
    }
    this.guarded(() => {
      this.#guard.check();
    });
    this.append.flush();
    this.wake();
  }

  async #drain(): Promise<void> {
    this.#isAccepting = false;
    this.#ticker[Symbol.dispose]();
    this.proposals.closeQueue();
    do {
      this.run();
      this.append.flush();
      await Promise.all([this.append.idle(), this.apply.idle(), this.#compaction.idle()]);
    } while (this.#isOpen && this.#hasWork());
    this.#close();
  }

  #hasWork(): boolean {
    const { append, apply, raw } = this;
    return append.length > 0 || append.hasUnwritten || apply.length > 0 || raw.hasReady();
  }

  #fail(error: RaftError): void {
    if (!this.#isOpen) return;
    this.#log('FATAL', () => `member failed: ${error.message}`);
    this.#close();
    this.#resolveFatal(error);
  }

  #close(): void {
    this.#isOpen = false;
    this.#isAccepting = false;
    this.#ticker[Symbol.dispose]();
    this.proposals.close();
    this.reads.close();
    this.transfers.close();
  }

  #notify(observer: () => void): void {
    try {
      observer();
    } catch (error) {
      this.#log('ERROR', () => `an observer failed: ${String(error)}`);
    }
  }

  #log(level: LogLevel, text: () => string): void {
    const { logger, id } = this.options;
    if (logger?.enabled(level) === true) logger.log(level, `driver ${id}: ${text()}`);
  }
}

function asRaftError(error: unknown): RaftError {
  if (error instanceof RaftError) return error;
  return new DriverError('CONTRACT_BROKEN', 'an unexpected error reached the driver', {
    cause: error,
  });
}
