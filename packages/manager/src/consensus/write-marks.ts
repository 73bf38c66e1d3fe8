import { ConclaveError } from '@conclave/kernel';
import type { Logger } from '@conclave/kernel';

/** How often a log was written, over all its lives. */
export interface WriteCounters {
  /** Batches in it, synced or not. */
  readonly writeCounter: number;
  /** The last batch known to survive a loss of power; 0: none was synced in this life. */
  readonly syncedCounter: number;
}

/** How often the log of a manager was written, as another manager knows it. */
export interface WriteMark {
  readonly raftId: number;
  readonly counter: number;
}

/** Managers whose counters are kept; far more than a cluster has. */
const MARKS_MAX = 64;

/**
 * Notices that the disk of this manager is an older copy, put back or cloned. Raft is not safe with a
 * voter that has forgotten a vote.
 *
 * Managers tell each other, in every batch of messages, how often the log of each of them was
 * synced. A counter of one's own that is higher than one's log can only come from a later state of
 * it. The marks of a batch are looked at before its messages: a vote is not given to somebody who
 * knows better. What everybody has forgotten, because all were restarted, is not noticed.
 */
export class WriteMarks {
  /** Resolves, and only then, when the disk is an older copy. */
  readonly rolledBack: Promise<ConclaveError>;
  readonly #selfRaftId: number;
  readonly #log: () => WriteCounters | undefined;
  readonly #logger: Logger;
  readonly #known = new Map<number, number>();
  #failure: ConclaveError | undefined;
  #resolve!: (error: ConclaveError) => void;

  /**
   * @param selfRaftId of this manager
   * @param log of this manager; undefined until it is loaded
   * @param logger is told of an older copy
   */
  constructor(selfRaftId: number, log: () => WriteCounters | undefined, logger: Logger) {
    this.#selfRaftId = selfRaftId;
    this.#log = log;
    this.#logger = logger;
    this.rolledBack = new Promise((resolve) => {
      this.#resolve = resolve;
    });
  }

  /** What this manager knows, itself included. */
  current(): WriteMark[] {
    const marks: WriteMark[] = [];
    for (const [raftId, counter] of this.#known) marks.push({ raftId, counter });
    const counter = this.#log()?.syncedCounter ?? 0;
    if (counter > 0) marks.push({ raftId: this.#selfRaftId, counter });
    return marks;
  }

  /**
   * Takes what another manager knows.
   * @throws CV_DISK_ROLLED_BACK when that is more about this manager than its own log holds
   */
  learn(marks: readonly WriteMark[]): void {
    if (this.#failure !== undefined) throw this.#failure;
    for (const { raftId, counter } of marks) {
      if (raftId === this.#selfRaftId) this.#compare(counter);
      else if (this.#known.has(raftId) || this.#known.size < MARKS_MAX) {
        this.#known.set(raftId, Math.max(counter, this.#known.get(raftId) ?? 0));
      }
    }
  }

  #compare(counter: number): void {
    const writeCounter = this.#log()?.writeCounter;
    if (writeCounter === undefined || counter <= writeCounter) return;
    this.#failure = new ConclaveError(
      'CV_DISK_ROLLED_BACK',
      `the log of this manager ends at write ${writeCounter}, others have seen write ${counter}`,
    );
    this.#logger.error('raft.disk-rolled-back', { writeCounter, seen: counter });
    this.#resolve(this.#failure);
    throw this.#failure;
  }
}
