import { ConclaveError, delay } from '@conclave/kernel';
import type { Clock, Logger, Random, Timers } from '@conclave/kernel';
import type { Actor, Command, CommandBody, CommandResult } from '@conclave/state';
import type { RaftHost } from './consensus/raft-host.js';
import type { RingHolder } from './keys/ring-rotation.js';
import { LeaderDuties } from './leader-duties.js';

/** What taking up duties needs. */
export interface LeadershipOptions {
  readonly keys: RingHolder;
  /** True when a manager says that it does not know this one. */
  readonly isStrangerTo: (raftId: number) => boolean;
  readonly clock: Clock;
  readonly timers: Timers;
  readonly random: Random;
  readonly logger: Logger;
}

/** Milliseconds until a leader that could not be confirmed asks again. */
const RETRY_MS = 100;

/** Whom the scheduler's own changes are recorded under. */
const SYSTEM: Actor = { kind: 'system', id: 'scheduler' };

/** Takes up a leader's duties when this manager wins leadership, and drops them when it loses it. */
export class Leadership {
  readonly #options: LeadershipOptions;
  #duties: LeaderDuties | undefined;
  #isStopped = false;
  #isTakingUp = false;

  constructor(options: LeadershipOptions) {
    this.#options = options;
  }

  /** @throws CV_NOT_LEADER while this manager does not lead, or has not begun to */
  get duties(): LeaderDuties {
    if (this.#duties !== undefined) return this.#duties;
    throw new ConclaveError('CV_NOT_LEADER', 'this manager is not the leader', {
      retryAfterMs: 200,
    });
  }

  /** To be called after each change of role. */
  follow(host: RaftHost): void {
    const leads = host.isLeader;
    if (this.#isStopped || leads === (this.#duties !== undefined)) return;
    if (!leads) {
      this.#options.logger.info('leader.lost', { term: host.status().term });
      this.#drop();
    } else if (!this.#isTakingUp) {
      this.#options.logger.info('leader.won', { term: host.status().term });
      this.#isTakingUp = true;
      void this.#takeUp(host).finally(() => {
        this.#isTakingUp = false;
        // Won again in the moment in which the wait for the earlier term was given up.
        this.follow(host);
      });
    }
  }

  /** Drops the duties for good. */
  stop(): void {
    this.#isStopped = true;
    this.#drop();
  }

  async #isConfirmed(host: RaftHost): Promise<boolean> {
    const { term } = host.status();
    try {
      await host.readIndex();
      return host.isLeader && host.status().term === term;
    } catch {
      // Not confirmed in time; with leadership gone there is no need to go on.
      return false;
    }
  }

  #drop(): void {
    this.#duties?.stop();
    this.#duties = undefined;
  }

  /** Waits until everything committed before is applied, so that duties start from the truth. */
  async #takeUp(host: RaftHost): Promise<void> {
    while (!(await this.#isConfirmed(host))) {
      if (this.#isStopped || !host.isLeader) return;
      await delay(this.#options.timers, RETRY_MS);
    }
    if (this.#isStopped || !host.isLeader || this.#duties !== undefined) return;
    const { clock } = this.#options;
    const propose = async (body: CommandBody): Promise<CommandResult> => {
      const command: Command = { ...body, by: SYSTEM, request: undefined, atMs: clock.now() };
      return (await host.propose(command)).result;
    };
    this.#duties = new LeaderDuties({
      ...this.#options,
      state: host.state,
      propose,
      strangerLeader: {
        selfRaftId: () => host.raftId,
        voters: () => host.confState().voters,
        activeVoters: () => host.activeVoters(),
        sinceIndexOf: (raftId) => host.state.managerSinceIndex(raftId),
        isStrangerTo: this.#options.isStrangerTo,
        transferLeadership: async (to) => void (await host.transferLeadership(to)),
      },
      membership: {
        state: () => host.state,
        confState: () => host.confState(),
        matchOf: (raftId) => host.status().progress.get(raftId)?.match,
        commitIndex: () => host.status().commit,
        proposeConfChange: (change) => host.proposeConfChange(change),
        propose,
        selfRaftId: () => host.raftId,
        activeVoters: () => host.activeVoters(),
        transferLeadership: async () => void (await host.transferLeadership()),
      },
    });
  }
}
