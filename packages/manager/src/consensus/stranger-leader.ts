import type { Logger, Timers } from '@conclave/kernel';
import { StepLoop } from '../step-loop.js';

/** What giving leadership to somebody whom all know needs of the consensus host. */
export interface StrangerLeaderPort {
  selfRaftId(): number;
  /** Voters of the configuration in force. */
  voters(): readonly number[];
  /** Voters, this one included, that were heard of within the last election timeout. */
  activeVoters(): ReadonlySet<number>;
  /** Log index with which a member became a manager; undefined: not on record. */
  sinceIndexOf(raftId: number): number | undefined;
  /** True when a manager says that it does not know this one. */
  isStrangerTo(raftId: number): boolean;
  /** Hands leadership to this voter; resolves when it has been tried. */
  transferLeadership(to: number): Promise<void>;
}

/** Milliseconds between looks. */
const PERIOD_MS = 2_000;
/** Looks in a row: a manager that has just started may know this one in a moment. */
const LOOKS_BEFORE_TRANSFER = 3;

/**
 * Leader only. A voter that was away while this manager joined has no record of it, refuses its
 * messages, and could not learn of it: what would tell it comes from the leader. It knows an older
 * manager sooner than a younger one, so leadership goes to the oldest that answers. Nothing happens when this one is the oldest, so that it cannot go round in circles.
 */
export class StrangerLeader {
  readonly #port: StrangerLeaderPort;
  readonly #logger: Logger;
  readonly #loop: StepLoop;
  #looks = 0;

  constructor(port: StrangerLeaderPort, timers: Timers, logger: Logger) {
    this.#port = port;
    this.#logger = logger;
    this.#loop = new StepLoop({
      timers,
      periodMs: PERIOD_MS,
      step: () => this.#look(),
      onFailure: (error) => logger.warn('leader.transfer-failed', { error }),
    });
  }

  /** Begins, on winning leadership. */
  start(): void {
    this.#loop.start();
  }

  /** Ends, on losing leadership. */
  stop(): void {
    this.#loop.stop();
  }

  async #look(): Promise<boolean> {
    const port = this.#port;
    const self = port.selfRaftId();
    const refusing = port.voters().filter((id) => id !== self && port.isStrangerTo(id));
    this.#looks = refusing.length === 0 ? 0 : this.#looks + 1;
    if (this.#looks < LOOKS_BEFORE_TRANSFER) return false;
    const oldest = this.#oldestOf([...port.activeVoters()].filter((id) => !refusing.includes(id)));
    if (oldest === undefined || oldest === self) return false;
    this.#looks = 0;
    this.#logger.warn('leader.unknown-to-voter', { raftId: refusing[0] });
    await port.transferLeadership(oldest);
    return false;
  }

  #oldestOf(raftIds: readonly number[]): number | undefined {
    const age = (raftId: number): number => this.#port.sinceIndexOf(raftId) ?? Infinity;
    return raftIds.toSorted((left, right) => age(left) - age(right))[0];
  }
}
