import type { Clock, Logger, Random, Timers } from '@conclave/kernel';
import type { CommandBody, CommandResult, State } from '@conclave/state';
import type { SessionsRequest } from '@conclave/wire';
import { ConclaveError, limits } from '@conclave/kernel';
import { Membership } from './consensus/membership.js';
import type { MembershipPort } from './consensus/membership.js';
import { StrangerLeader } from './consensus/stranger-leader.js';
import type { StrangerLeaderPort } from './consensus/stranger-leader.js';
import { RingRotation } from './keys/ring-rotation.js';
import type { RingHolder } from './keys/ring-rotation.js';
import { RootRotation } from './keys/root-rotation.js';
import { Liveness } from './scheduling/liveness.js';
import { Scheduler } from './scheduling/scheduler.js';

/** What the duties of a leader work with. */
export interface LeaderDutiesOptions {
  readonly state: State;
  readonly propose: (body: CommandBody) => Promise<CommandResult>;
  readonly membership: MembershipPort;
  readonly strangerLeader: StrangerLeaderPort;
  readonly keys: RingHolder;
  readonly clock: Clock;
  readonly timers: Timers;
  readonly random: Random;
  readonly logger: Logger;
}

/** Sessions in one beat: as many as one manager may serve. */
const SESSIONS_MAX = 20_000;

/** What one manager does while it leads: schedule, watch over nodes, carry out membership. */
export class LeaderDuties {
  readonly #scheduler: Scheduler;
  readonly #liveness: Liveness;
  readonly #membership: Membership;
  readonly #strangerLeader: StrangerLeader;
  readonly #rotation: RingRotation;
  readonly #rootRotation: RootRotation;
  readonly #unwatch: () => void;

  constructor(options: LeaderDutiesOptions) {
    this.#scheduler = new Scheduler(options);
    this.#liveness = new Liveness(options);
    this.#membership = new Membership(options.membership, options.timers, options.logger);
    this.#strangerLeader = new StrangerLeader(
      options.strangerLeader,
      options.timers,
      options.logger,
    );
    this.#rotation = new RingRotation(options);
    this.#rootRotation = new RootRotation(options);
    this.#unwatch = options.state.watch(({ changes }) => {
      const isNode = changes.some(({ kind }) => kind === 'node');
      if (isNode) this.#membership.wake();
      if (!isNode && changes.every(({ kind }) => kind !== 'cluster')) return;
      this.#rotation.wake();
      this.#rootRotation.wake();
    });
    this.#liveness.start();
    this.#scheduler.start();
    this.#membership.start();
    this.#strangerLeader.start();
    this.#rotation.start();
    this.#rootRotation.start();
  }

  /** What a manager says of its sessions; answers those that are not valid any more. */
  async beat(managerId: string, sessions: SessionsRequest): Promise<readonly string[]> {
    const { opened, alive, closed } = sessions;
    if (opened.length + alive.length + closed.length > SESSIONS_MAX) {
      throw new ConclaveError('CV_LIMIT_EXCEEDED', `a beat names at most ${SESSIONS_MAX} sessions`);
    }
    await this.#liveness.managerSeen(managerId);
    await Promise.all(
      opened.map(({ nodeId, sessionId, version, executors }) =>
        this.#liveness
          .sessionOpened({
            nodeId,
            sessionId,
            daemonVersion: version.slice(0, limits.OBJECT_NAME_LENGTH_MAX),
            executors,
          })
          .catch(ignoreRemoved),
      ),
    );
    for (const session of closed) this.#liveness.sessionClosed(session);
    return this.#liveness.heartbeats(alive, managerId);
  }

  /** Ends all of it, on losing leadership. */
  stop(): void {
    this.#unwatch();
    this.#scheduler.stop();
    this.#liveness.stop();
    this.#membership.stop();
    this.#strangerLeader.stop();
    this.#rotation.stop();
    this.#rootRotation.stop();
  }
}

/** A node that was removed meanwhile keeps nobody else's session from being noted. */
function ignoreRemoved(error: unknown): void {
  if ((error as { code?: string }).code !== 'CV_NODE_NOT_FOUND') throw error;
}
