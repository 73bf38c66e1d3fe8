import { ConclaveError, delay } from '@conclave/kernel';
import type { Logger, Timers } from '@conclave/kernel';
import type { State } from '@conclave/state';
import { loadWire } from '@conclave/wire';
import type { Peers } from '../peers.js';
import { StepLoop } from '../step-loop.js';
import { FIRST_MARK } from './state-marks.js';
import type { StateMark, StateMarks } from './state-marks.js';

/** Milliseconds between two comparisons with all others; a change of the leader brings one forward. */
const PERIOD_MS = 30_000;
/** Milliseconds for one question to another manager. */
const CALL_MS = 2_000;
/** Times that all are asked before those who do not answer count for neither side. */
const ATTEMPTS_MAX = 3;
/** Milliseconds between two of them. */
const RETRY_MS = 1_000;

/** What comparing takes. */
export interface StateComparisonOptions {
  readonly nodeId: string;
  readonly marks: StateMarks;
  readonly state: () => State;
  readonly peers: Pick<Peers, 'byNodeId'>;
  readonly isLeader: () => boolean;
  readonly timers: Timers;
  readonly logger: Logger;
}

/**
 * Notices that this manager has another state than the others at the same index, which nothing but
 * a defect of memory, disk or Conclave can bring about. What is wrong cannot be known: the fewer
 * take no further part, of two equal sides the one without the leader.
 */
export class StateComparison {
  /** Resolves, and only then, when this manager must not take part any more. */
  readonly diverged: Promise<ConclaveError>;
  readonly #options: StateComparisonOptions;
  readonly #loop: StepLoop;
  /** Managers that had another state when they answered last. */
  readonly #others = new Set<string>();
  #failure: ConclaveError | undefined;
  #resolve!: (error: ConclaveError) => void;

  constructor(options: StateComparisonOptions) {
    this.#options = options;
    this.diverged = new Promise((resolve) => {
      this.#resolve = resolve;
    });
    this.#loop = new StepLoop({
      timers: options.timers,
      periodMs: PERIOD_MS,
      step: async () => {
        await this.#compareAll();
        return false;
      },
      onFailure: (error) => options.logger.warn('state.comparison-failed', { error }),
    });
  }

  /** Node ids of the managers that have another state than this one. */
  get others(): ReadonlySet<string> {
    return this.#others;
  }

  /** Begins to compare from time to time. */
  start(): void {
    this.#loop.start();
  }

  /** Ends. A comparison that is open ends by itself. */
  stop(): void {
    this.#loop.stop();
  }

  /** Compares with all now: another manager leads. */
  wake(): void {
    this.#loop.wake();
  }

  /**
   * Asks the leader: nothing is given out from a state that it does not have.
   * @param leader its Raft id
   * @throws CV_STATE_DIVERGED when it has another one
   * @throws CV_PEER_UNREACHABLE, CV_DEADLINE, ... when it does not answer
   */
  async confirm(leader: number): Promise<void> {
    if (this.#failure !== undefined) throw this.#failure;
    const { isLeader, state, nodeId } = this.#options;
    const id = state().nodeByRaftId(leader)?.id;
    if (isLeader() || id === undefined || id === nodeId) return;
    if (!(await this.#isOther(id))) return;
    await this.#compareAll();
    throw this.#failure ?? diverged(this.#options.marks.newest.index);
  }

  /**
   * Takes the mark of a manager that compares itself with this one, and answers the mark here. One
   * that differs is compared with all others at once: it may be the one that is right.
   */
  answer(managerId: string, theirs: StateMark): StateMark {
    const { marks } = this.#options;
    const isOther = this.#otherVoters().includes(managerId) ? marks.isOther(theirs) : undefined;
    if (this.#note(managerId, isOther)) this.wake();
    return marks.at(theirs.index) ?? FIRST_MARK;
  }

  /** A question that was lost must not tip the scales: who does not answer is asked again. */
  async #compareAll(): Promise<void> {
    const { logger, isLeader, marks, timers } = this.#options;
    for (let attempt = 1; ; attempt += 1) {
      const { sameCount, otherCount, silentCount } = await this.#askAll();
      if (otherCount === 0) return;
      const isCertain = Math.abs(sameCount - otherCount) > silentCount || silentCount === 0;
      if (isCertain || attempt >= ATTEMPTS_MAX) {
        if (otherCount < sameCount || (otherCount === sameCount && isLeader())) return;
        break;
      }
      await delay(timers, RETRY_MS);
    }
    this.#failure ??= diverged(marks.newest.index);
    logger.error('state.diverged', { index: marks.newest.index });
    this.#resolve(this.#failure);
  }

  /** How many voters, this manager among them, have the same state, another one, or did not answer. */
  async #askAll(): Promise<{ sameCount: number; otherCount: number; silentCount: number }> {
    const voters = this.#otherVoters();
    for (const id of this.#others) if (!voters.includes(id)) this.#others.delete(id);
    const answers = await Promise.all(
      voters.map(async (id) => {
        const isOther = await this.#isOther(id).catch(() => undefined);
        this.#note(id, isOther);
        return isOther;
      }),
    );
    const sameCount = 1 + answers.filter((isOther) => isOther === false).length;
    const otherCount = answers.filter((isOther) => isOther === true).length;
    return { sameCount, otherCount, silentCount: voters.length + 1 - sameCount - otherCount };
  }

  /** True when it is news that the manager has another state. */
  #note(managerId: string, isOther: boolean | undefined): boolean {
    if (isOther === false) this.#others.delete(managerId);
    if (isOther !== true || this.#others.has(managerId)) return false;
    this.#others.add(managerId);
    const { logger, marks } = this.#options;
    logger.error('state.differs', { managerId, index: marks.newest.index });
    return true;
  }

  /** Who does not vote yet is nobody's measure. */
  #otherVoters(): string[] {
    const { nodeId, state } = this.#options;
    return [...state().nodes()].flatMap(({ id, manager }) =>
      manager?.membership === 'voter' && id !== nodeId ? [id] : [],
    );
  }

  /** True when the other manager has another state; undefined when that cannot be told now. */
  async #isOther(nodeId: string): Promise<boolean | undefined> {
    const { peers, marks } = this.#options;
    const channel = peers.byNodeId(nodeId);
    const own = marks.newest;
    if (channel === undefined || own.index === 0) return undefined;
    const call = { timeoutMs: CALL_MS };
    return marks.isOther(await channel.unary(loadWire().Managers.CompareState, own, call));
  }
}

function diverged(index: number): ConclaveError {
  return new ConclaveError(
    'CV_STATE_DIVERGED',
    `the state of this manager at index ${index} is not that of the others`,
  );
}
