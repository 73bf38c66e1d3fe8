import { ConclaveError, limits } from '@conclave/kernel';
import type { Clock, Logger, Random, TimerHandle, Timers } from '@conclave/kernel';
import { encodeCommand } from '@conclave/state';
import type { Command, CommandResult, State } from '@conclave/state';
import type { ConfChange, ConfState, NetworkMessage, Status } from 'raft-ts';
import { Node } from 'raft-ts/node';
import type { LogStore, NodeLimits, RoleChange, Transport } from 'raft-ts/node';
import { LEADER_WAIT_MS, LeaderPresence } from './leader-presence.js';
import type { ReplicatedState } from './replicated-state.js';

/** Milliseconds a client is told to wait before a retry. */
const RETRY_AFTER_MS = 300;

/** What a consensus host is made of. */
export interface RaftHostOptions {
  readonly raftId: number;
  /** True on the manager that founds the cluster, the first time only. */
  readonly isFounder: boolean;
  readonly log: LogStore;
  readonly replicated: ReplicatedState;
  readonly transport: Transport;
  readonly clock: Clock;
  readonly timers: Timers;
  readonly random: Random;
  readonly logger: Logger;
  readonly limits?: Partial<NodeLimits>;
  readonly onRole: (change: RoleChange) => void;
  /** Runs once, soon, after the input that is already waiting. */
  readonly schedule: (run: () => void) => void;
}

/** How a proposal ended, seen from the manager that made it. */
export interface ProposedResult {
  readonly index: number;
  readonly result: CommandResult;
}

/**
 * Entries after which a manager takes a snapshot. Each has a number of its own: all at once would
 * slow down all of a quorum.
 */
const SNAPSHOT_ENTRIES = 10_000;
const SNAPSHOT_TURNS = 5;
const SNAPSHOT_TURN_ENTRIES = 1_500;

const TICK_MS = 100;
const RANDOM_BELOW_MAX = 2 ** 32;

/** One manager's part in consensus: proposals, reads and membership over the Raft driver. */
export class RaftHost {
  /**
   * True once the tables have taken in all that was committed before this life began, false when it
   * ended first. Until then they may be any older state, and stay one while there is no quorum:
   * what destroys or gives up something on their word would do so on an old word.
   */
  readonly confirmed: Promise<boolean>;
  readonly #node: Node;
  readonly #options: RaftHostOptions;
  /** Who waits for a leader; called at every change of the role. */
  readonly #leaderWaiters: Set<() => void>;
  readonly #presence: LeaderPresence;

  private constructor(
    node: Node,
    options: RaftHostOptions,
    leaders: { readonly waiters: Set<() => void>; readonly presence: LeaderPresence },
  ) {
    this.#node = node;
    this.#options = options;
    this.#leaderWaiters = leaders.waiters;
    this.#presence = leaders.presence;
    this.confirmed = node.linearizableRead().then(
      () => true,
      () => false,
    );
  }

  /** Loads what is stored, replays it and starts to take part. */
  static async start(options: RaftHostOptions): Promise<RaftHost> {
    const { clock, timers, random, raftId } = options;
    const waiters = new Set<() => void>();
    const presence = new LeaderPresence(clock);
    const node = await Node.start({
      id: raftId,
      store: options.log,
      stateMachine: options.replicated,
      transport: options.transport,
      clock: {
        now: () => clock.monotonic(),
        setInterval: (f, ms): Disposable => {
          const timer = timers.every(ms, f);
          return { [Symbol.dispose]: () => timer.cancel() };
        },
      },
      random: (n) => random.below(Math.min(n, RANDOM_BELOW_MAX)),
      tickMs: TICK_MS,
      schedule: options.schedule,
      onSnapshotStored: (snapshot) => options.replicated.snapshotStored(snapshot),
      onRoleChange: (change) => {
        presence.see(change.leader);
        options.onRole(change);
        for (const wake of waiters) wake();
      },
      limits: {
        proposalSizeMax: limits.PROPOSAL_BYTES_MAX,
        snapshotEntries: SNAPSHOT_ENTRIES + (raftId % SNAPSHOT_TURNS) * SNAPSHOT_TURN_ENTRIES,
        ...options.limits,
      },
      ...(options.isFounder ? { bootstrap: [{ id: raftId }] } : {}),
      logger: {
        enabled: (level) => level !== 'DEBUG',
        log: (level, message) => {
          if (level === 'ERROR' || level === 'FATAL') options.logger.error('raft', { message });
          else if (level === 'WARN') options.logger.warn('raft', { message });
          else options.logger.debug('raft', { message });
        },
      },
    });
    return new RaftHost(node, options, { waiters, presence });
  }

  /** Resolves when this member cannot go on. */
  get fatal(): Promise<Error> {
    return this.#node.fatal;
  }

  get raftId(): number {
    return this.#options.raftId;
  }

  get state(): State {
    return this.#options.replicated.state;
  }

  status(): Status {
    return this.#node.status();
  }

  /** Raft id of the leader this member knows of; 0: none. */
  get leaderRaftId(): number {
    return this.#node.basicStatus().lead;
  }

  get isLeader(): boolean {
    const status = this.#node.basicStatus();
    return status.raftState === 'StateLeader' && status.lead === this.raftId;
  }

  /** Hands in a message of another member whose identity was checked. */
  receive(message: NetworkMessage): void {
    this.#node.receive(message);
  }

  /** Tells what became of a snapshot that was on its way. */
  reportSnapshot(to: number, status: 'finish' | 'failure'): void {
    this.#node.reportSnapshot(to, status);
  }

  /** Tells that messages to a member do not arrive. */
  reportUnreachable(to: number): void {
    this.#node.reportUnreachable(to);
  }

  /** Makes the founder leader without waiting for a timeout. */
  campaign(): void {
    this.#node.campaign();
  }

  /**
   * Puts a command into the log. On the leader only.
   * @throws CV_NOT_LEADER when another member leads: certainly not done
   * @throws CV_OUTCOME_UNKNOWN when leadership was lost meanwhile: done, or not, or later
   * @throws CV_QUEUE_FULL, CV_LIMIT_EXCEEDED when a bound is reached: certainly not done
   */
  async propose(command: Command, signal?: AbortSignal): Promise<ProposedResult> {
    const outcome = await this.#node.propose(encodeCommand(command), signal ? { signal } : {});
    switch (outcome.outcome) {
      case 'applied':
        return { index: outcome.index, result: outcome.value as CommandResult };
      case 'rejected':
        throw rejected(outcome.reason);
      case 'unknown':
        throw new ConclaveError(
          'CV_OUTCOME_UNKNOWN',
          'leadership was lost before the write was confirmed: it may or may not be done',
          { retryAfterMs: RETRY_AFTER_MS, details: { reason: outcome.reason } },
        );
    }
  }

  /** Changes who takes part. On the leader only. */
  async proposeConfChange(change: ConfChange): Promise<void> {
    await this.#node.proposeConfChange(change);
  }

  /**
   * Waits until this member has applied all that was committed anywhere before the call.
   * @throws CV_NO_LEADER when nobody can confirm that in time
   */
  async readIndex(timeoutMs: number = LEADER_WAIT_MS): Promise<number> {
    const waitMs = Math.min(timeoutMs, this.#presence.patienceMs);
    if (waitMs === 0) throw noLeader();
    const gaveUp = new AbortController();
    const timer = this.#options.timers.after(waitMs, () => gaveUp.abort());
    try {
      return await this.#node.linearizableRead({ signal: gaveUp.signal });
    } catch (error) {
      throw noLeader(error);
    } finally {
      timer.cancel();
    }
  }

  /**
   * Resolves with the leader's Raft id, waiting for an election that is under way.
   * @throws CV_NO_LEADER when there was none for 2.5 s, at once when that is so already
   */
  async awaitLeader(signal?: AbortSignal): Promise<number> {
    const known = this.leaderRaftId;
    if (known !== 0) return known;
    const waitMs = this.#presence.patienceMs;
    if (waitMs === 0) throw noLeader();
    await this.#within(waitMs, signal, (done) => {
      const look = (): void => {
        if (this.leaderRaftId !== 0) done();
      };
      this.#leaderWaiters.add(look);
      return () => this.#leaderWaiters.delete(look);
    });
    const leader = this.leaderRaftId;
    if (leader === 0) throw noLeader();
    return leader;
  }

  /**
   * Resolves when this member has applied `index`, or after the same wait as for a leader: the
   * write is done then, and only this member lags.
   */
  async awaitApplied(index: number): Promise<void> {
    if (this.state.appliedIndex >= index) return;
    await this.#within(LEADER_WAIT_MS, undefined, (done) =>
      this.#options.replicated.whenApplied(index, done),
    );
  }

  /** Hands leadership to this voter, or to the most advanced other one, when it is there. */
  async transferLeadership(to?: number): Promise<boolean> {
    const { progress, config } = this.#node.status();
    let best: { id: number; match: number } | undefined;
    for (const [id, view] of progress) {
      if (id === this.raftId || !config.voters[0].has(id) || !view.recentActive) continue;
      if (to !== undefined && id !== to) continue;
      if (best === undefined || view.match > best.match) best = { id, match: view.match };
    }
    if (best === undefined) return false;
    const gaveUp = new AbortController();
    const timer = this.#options.timers.after(TICK_MS * 20, () => gaveUp.abort());
    try {
      await this.#node.transferLeadership(best.id, { signal: gaveUp.signal });
      return true;
    } catch {
      return false;
    } finally {
      timer.cancel();
    }
  }

  /** On the leader: the voters that were heard of within the last election timeout, and itself. */
  activeVoters(): ReadonlySet<number> {
    const { progress, config } = this.#node.status();
    const voters = [...config.voters[0]];
    return new Set(
      voters.filter((id) => id === this.raftId || progress.get(id)?.recentActive === true),
    );
  }

  /** The configuration in force on this member. */
  confState(): ConfState {
    const { config } = this.#node.status();
    return {
      voters: [...config.voters[0]],
      votersOutgoing: [...config.voters[1]],
      learners: [...config.learners],
      learnersNext: [...config.learnersNext],
      autoLeave: config.autoLeave,
    };
  }

  /** Ends taking part; what waits gets an honest answer. */
  stop(): Promise<void> {
    return this.#node.stop();
  }

  /** Resolves when `begin` says that it is done, when the wait is over, or with the signal. */
  #within(
    waitMs: number,
    signal: AbortSignal | undefined,
    begin: (done: () => void) => () => void,
  ): Promise<void> {
    return new Promise((resolve) => {
      const done = (): void => {
        timer.cancel();
        signal?.removeEventListener('abort', done);
        stop();
        resolve();
      };
      const timer: TimerHandle = this.#options.timers.after(waitMs, done);
      signal?.addEventListener('abort', done, { once: true });
      let stop = (): void => undefined;
      stop = begin(done);
      if (signal?.aborted === true) done();
    });
  }
}

function noLeader(cause?: unknown): ConclaveError {
  return new ConclaveError('CV_NO_LEADER', 'the managers have no leader or no quorum', {
    retryAfterMs: RETRY_AFTER_MS,
    cause,
  });
}

function rejected(reason: string): ConclaveError {
  switch (reason) {
    case 'noLeader':
    case 'transferInProgress':
    case 'notMember':
    case 'forwardingDisabled':
    case 'superseded':
    case 'stopped':
      return new ConclaveError('CV_NOT_LEADER', 'this manager is not the leader', {
        retryAfterMs: RETRY_AFTER_MS,
        details: { reason },
      });
    case 'tooLarge':
      return new ConclaveError('CV_LIMIT_EXCEEDED', 'the change is too large for one entry');
    case 'tooManyPending':
    case 'uncommittedLimit':
      return new ConclaveError('CV_QUEUE_FULL', 'too many writes are waiting', {
        retryAfterMs: RETRY_AFTER_MS,
      });
    default:
      return new ConclaveError('CV_CANCELLED', `the write was not made: ${reason}`, {
        retryAfterMs: RETRY_AFTER_MS,
      });
  }
}
