import { ConclaveError, limits, toConclaveError } from '@conclave/kernel';
import type { Clock, Logger, TimerHandle, Timers } from '@conclave/kernel';
import type {
  ChangeBatch,
  CommandBody,
  CommandResult,
  NodeObservation,
  State,
} from '@conclave/state';
import { heartbeatPeriodMs } from './heartbeat-period.js';
import { ObservationQueue } from './observation-queue.js';

/** A new leader has not heard anything yet: nodes get this many times the usual grace. */
export const START_GRACE_FACTOR = 2;
/** Milliseconds by which a look is late, so that deadlines close together share one entry. */
const LOOK_DELAY_MS = 50;
/** Milliseconds after which a late look tells that this manager itself was held up. */
const LOOK_LATE_MS_MAX = 1_000;
/** Milliseconds after which a DOWN that could not be committed is tried again. */
const RETRY_DELAY_MS = 1_000;

/** What liveness works with. */
export interface LivenessOptions {
  readonly state: State;
  /** Commits a command as the system. Throws when not leading. */
  readonly propose: (body: CommandBody) => Promise<CommandResult>;
  readonly clock: Clock;
  readonly timers: Timers;
  readonly logger: Logger;
}

/** A session that an agent opened with some manager. */
export interface OpenedSession {
  readonly nodeId: string;
  readonly sessionId: string;
  readonly daemonVersion: string;
  readonly executors: readonly string[];
}

/** A heartbeat that some manager got. */
export interface SessionBeat {
  readonly nodeId: string;
  readonly sessionId: string;
}

/**
 * Knows on the leader which nodes are there: a node without a heartbeat for three periods is DOWN.
 * Runs between `start` and `stop`; deadlines live in memory, what they lead to is committed.
 */
export class Liveness {
  readonly #options: LivenessOptions;
  /** Node id to the monotonic time at which it counts as DOWN. READY nodes only. */
  readonly #deadlines = new Map<string, number>();
  /** Node id to the manager that its last heartbeat came through. */
  readonly #managerOf = new Map<string, string>();
  /** Manager id to the monotonic time at which it was heard of. */
  readonly #managerSeenMs = new Map<string, number>();
  /** Nodes that were given time to find another manager, since their last heartbeat. */
  readonly #excused = new Set<string>();
  #queue: ObservationQueue;
  #agentCount = 0;
  #unwatch: (() => void) | undefined;
  #timer: { readonly handle: TimerHandle; readonly atMs: number } | undefined;

  constructor(options: LivenessOptions) {
    this.#options = options;
    this.#queue = new ObservationQueue(options.propose);
  }

  /** Begins: every READY node gets a fresh grace, as nobody told this leader of them yet. */
  start(): void {
    if (this.#unwatch !== undefined) return;
    this.#queue = new ObservationQueue(this.#options.propose);
    this.#unwatch = this.#options.state.watch((batch) => {
      this.#follow(batch);
    });
    const nodes = [...this.#options.state.nodes()];
    this.#agentCount = nodes.filter((node) => node.role === 'worker').length;
    for (const node of nodes) {
      if (node.state === 'READY') this.#extend(node.id, START_GRACE_FACTOR);
    }
  }

  /** Stops; nothing is called DOWN any more. */
  stop(): void {
    this.#unwatch?.();
    this.#unwatch = undefined;
    this.#timer?.handle.cancel();
    this.#timer = undefined;
    for (const known of [this.#deadlines, this.#managerOf, this.#managerSeenMs, this.#excused]) {
      known.clear();
    }
  }

  /** Milliseconds between heartbeats that agents are told now. */
  get periodMs(): number {
    const settings = this.#options.state.cluster()?.settings;
    return heartbeatPeriodMs(settings?.heartbeatPeriodMs ?? 0, this.#agentCount);
  }

  /**
   * Notes a new session: it is the only valid one of its node from the index on that is answered.
   * @throws CV_NODE_NOT_FOUND, CV_QUEUE_FULL, CV_NOT_LEADER
   */
  async sessionOpened(session: OpenedSession): Promise<number> {
    this.#demandStarted();
    const { nodeId, sessionId, ...description } = session;
    if (this.#options.state.nodeById(nodeId) === undefined) {
      throw new ConclaveError('CV_NODE_NOT_FOUND', 'no node has this id');
    }
    const index = await this.#queue.add({
      id: nodeId,
      state: 'READY',
      message: '',
      session: { id: sessionId, ...description },
    });
    this.#extend(nodeId, 1);
    return index;
  }

  /**
   * Notes the end of a session. The node is not DOWN by that: its agent may open another one until
   * the deadline of its last heartbeat.
   */
  sessionClosed({ nodeId, sessionId }: SessionBeat): void {
    this.#options.logger.info('session-closed', { nodeId, sessionId });
  }

  /**
   * Notes heartbeats that came through `managerId` and answers the sessions that are not valid any
   * more: replaced by a newer one, of a removed node, or of a node that is DOWN and has to open a
   * new one.
   */
  heartbeats(beats: readonly SessionBeat[], managerId: string): string[] {
    this.#demandStarted();
    const invalid: string[] = [];
    for (const { nodeId, sessionId } of beats) {
      const node = this.#options.state.nodeById(nodeId);
      if (node?.state === 'READY' && node.sessionId === sessionId) {
        this.#managerOf.set(nodeId, managerId);
        this.#excused.delete(nodeId);
        this.#extend(nodeId, 1);
      } else invalid.push(sessionId);
    }
    return invalid;
  }

  /**
   * Notes that a node without a session, a manager, was heard of. READY is committed when it was
   * not so before.
   * @throws CV_QUEUE_FULL, CV_NOT_LEADER
   */
  async managerSeen(nodeId: string): Promise<void> {
    this.#demandStarted();
    const node = this.#options.state.nodeById(nodeId);
    if (node === undefined) return;
    this.#managerSeenMs.set(nodeId, this.#options.clock.monotonic());
    this.#extend(nodeId, 1);
    if (node.state === 'READY') return;
    await this.#queue.add({ id: nodeId, state: 'READY', message: '', session: undefined });
  }

  #demandStarted(): void {
    if (this.#unwatch !== undefined) return;
    throw new ConclaveError('CV_NOT_LEADER', 'this manager does not lead');
  }

  #follow(batch: ChangeBatch): void {
    for (const change of batch.changes) {
      if (change.kind !== 'node') continue;
      this.#agentCount += agents(change.after) - agents(change.before);
      if (change.after?.state !== 'READY') this.#forget(change.id);
      else if (!this.#deadlines.has(change.id)) this.#extend(change.id, 1);
    }
  }

  #extend(nodeId: string, factor: number): void {
    if (this.#unwatch === undefined) return;
    const graceMs = this.periodMs * limits.HEARTBEAT_MISSES_MAX * factor;
    const atMs = this.#options.clock.monotonic() + graceMs;
    // A late answer must not shorten what is known already.
    this.#deadlines.set(nodeId, Math.max(atMs, this.#deadlines.get(nodeId) ?? 0));
    this.#lookAt(atMs);
  }

  #lookAt(atMs: number): void {
    if (this.#timer !== undefined && this.#timer.atMs <= atMs) return;
    this.#timer?.handle.cancel();
    const delayMs = Math.max(1, atMs - this.#options.clock.monotonic()) + LOOK_DELAY_MS;
    const handle = this.#options.timers.after(delayMs, () => {
      this.#timer = undefined;
      const lateMs = this.#options.clock.monotonic() - atMs - LOOK_DELAY_MS;
      // What came meanwhile was not heard yet: nobody is silent because this process stood still.
      if (lateMs > LOOK_LATE_MS_MAX) for (const id of this.#deadlines.keys()) this.#extend(id, 1);
      this.#look();
    });
    this.#timer = { handle, atMs };
  }

  #look(): void {
    const nowMs = this.#options.clock.monotonic();
    let nextMs = Infinity;
    for (const [nodeId, atMs] of this.#deadlines) {
      if (atMs > nowMs) {
        nextMs = Math.min(nextMs, atMs);
        continue;
      }
      if (this.#mayBeCutOff(nodeId)) {
        this.#excused.add(nodeId);
        this.#extend(nodeId, 1);
        continue;
      }
      this.#deadlines.delete(nodeId);
      void this.#callDown(nodeId);
    }
    if (nextMs !== Infinity) this.#lookAt(nextMs);
  }

  /**
   * A manager that is gone takes the heartbeats of its sessions with it: nodes that are well are
   * given time, once, to notice and to open a session with another manager.
   */
  #mayBeCutOff(nodeId: string): boolean {
    const managerId = this.#managerOf.get(nodeId);
    if (managerId === undefined || this.#excused.has(nodeId)) return false;
    const seenMs = this.#managerSeenMs.get(managerId) ?? Number.NEGATIVE_INFINITY;
    return this.#options.clock.monotonic() - seenMs > this.periodMs;
  }

  #forget(nodeId: string): void {
    this.#deadlines.delete(nodeId);
    this.#managerOf.delete(nodeId);
    this.#managerSeenMs.delete(nodeId);
    this.#excused.delete(nodeId);
  }

  async #callDown(nodeId: string): Promise<void> {
    const { state, logger } = this.#options;
    if (state.nodeById(nodeId)?.state !== 'READY') return;
    const observation: NodeObservation = {
      id: nodeId,
      state: 'DOWN',
      message: `no heartbeat for ${limits.HEARTBEAT_MISSES_MAX} periods`,
      session: undefined,
    };
    try {
      await this.#queue.add(observation);
      logger.warn('node-down', { nodeId });
    } catch (error) {
      logger.warn('node-down-failed', { nodeId, code: toConclaveError(error).code });
      if (this.#unwatch === undefined || this.#deadlines.has(nodeId)) return;
      const atMs = this.#options.clock.monotonic() + RETRY_DELAY_MS;
      this.#deadlines.set(nodeId, atMs);
      this.#lookAt(atMs);
    }
  }
}

function agents(node: { readonly role: string } | undefined): number {
  return node?.role === 'worker' ? 1 : 0;
}
