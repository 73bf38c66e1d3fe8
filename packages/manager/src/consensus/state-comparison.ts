import { ConclaveError } from '@conclave/kernel';
import type { Logger, Timers } from '@conclave/kernel';
import type { State } from '@conclave/state';
import { loadWire } from '@conclave/wire';
import type { StateMark } from '@conclave/wire';
import type { Peers } from '../peers.js';
import { StepLoop } from '../step-loop.js';
import type { StateMarks } from './state-marks.js';

/** Milliseconds between two comparisons with all others; a change of the leader brings one forward. */
const PERIOD_MS = 30_000;
/** Milliseconds for one question to another manager. */
const CALL_MS = 2_000;

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

  async #compareAll(): Promise<void> {
    const { logger, isLeader, marks } = this.#options;
    const voters = this.#otherVoters();
    for (const id of this.#others) if (!voters.includes(id)) this.#others.delete(id);
    const answers = await Promise.all(
      voters.map(async (id) => ({ id, isOther: await this.#isOther(id).catch(() => undefined) })),
    );
    const sameCount = 1 + answers.filter(({ isOther }) => isOther === false).length;
    const other = answers.filter(({ isOther }) => isOther === true);
    for (const { id, isOther } of answers) if (isOther === false) this.#others.delete(id);
    if (other.length === 0) return;
    for (const { id } of other) {
      this.#others.add(id);
      logger.error('state.differs', { managerId: id, index: marks.newest.index });
    }
    if (other.length < sameCount || (other.length === sameCount && isLeader())) return;
    this.#failure ??= diverged(marks.newest.index);
    logger.error('state.diverged', { index: marks.newest.index, managers: other.length });
    this.#resolve(this.#failure);
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
    const { index } = marks.newest;
    if (channel === undefined || index === 0) return undefined;
    const request = { index };
    const call = { timeoutMs: CALL_MS };
    const theirs: StateMark = await channel.unary(loadWire().Managers.GetStateMark, request, call);
    return marks.isOther(theirs);
  }
}

function diverged(index: number): ConclaveError {
  return new ConclaveError(
    'CV_STATE_DIVERGED',
    `the state of this manager at index ${index} is not that of the others`,
  );
}
