import { ConclaveError } from '@conclave/kernel';
import type { Clock, Logger, Random, Timers } from '@conclave/kernel';
import type { Actor, Command, CommandBody, CommandResult } from '@conclave/state';
import type { RaftHost } from './consensus/raft-host.js';
import { LeaderDuties } from './leader-duties.js';

/** What taking up duties needs. */
export interface LeadershipOptions {
  readonly clock: Clock;
  readonly timers: Timers;
  readonly random: Random;
  readonly logger: Logger;
}

/** Whom the scheduler's own changes are recorded under. */
const SYSTEM: Actor = { kind: 'system', id: 'scheduler' };

/** Takes up a leader's duties when this manager wins leadership, and drops them when it loses it. */
export class Leadership {
  readonly #options: LeadershipOptions;
  #duties: LeaderDuties | undefined;
  #isStopped = false;

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
    const { term } = host.status();
    this.#options.logger.info(leads ? 'leader.won' : 'leader.lost', { term });
    if (leads) void this.#takeUp(host);
    else this.#drop();
  }

  /** Drops the duties for good. */
  stop(): void {
    this.#isStopped = true;
    this.#drop();
  }

  #drop(): void {
    this.#duties?.stop();
    this.#duties = undefined;
  }

  /** Waits until everything committed before is applied, so that duties start from the truth. */
  async #takeUp(host: RaftHost): Promise<void> {
    try {
      await host.readIndex();
    } catch {
      // Leadership went before it was confirmed, or comes again with the next role change.
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
      membership: {
        state: () => host.state,
        confState: () => host.confState(),
        matchOf: (raftId) => host.status().progress.get(raftId)?.match,
        commitIndex: () => host.status().commit,
        proposeConfChange: (change) => host.proposeConfChange(change),
        propose,
        selfRaftId: () => host.raftId,
        transferLeadership: async () => void (await host.transferLeadership()),
      },
    });
  }
}
