import type { Logger, Timers } from '@conclave/kernel';
import type { CommandBody, CommandResult, NodeRow, State } from '@conclave/state';
import type { ConfChange, ConfState } from 'raft-ts';
import { StepLoop } from '../step-loop.js';

/** What the membership loop needs of the consensus host. */
export interface MembershipPort {
  state(): State;
  confState(): ConfState;
  /** Index up to which the member's log is known to equal ours; undefined: no such member. */
  matchOf(raftId: number): number | undefined;
  commitIndex(): number;
  proposeConfChange(change: ConfChange): Promise<void>;
  propose(body: CommandBody): Promise<CommandResult>;
  selfRaftId(): number;
  /** Voters, this one included, that were heard of within the last election timeout. */
  activeVoters(): ReadonlySet<number>;
  /** Hands leadership to the most advanced other voter; resolves when it has been tried. */
  transferLeadership(): Promise<void>;
}

/** Entries that a learner may be behind and still count as caught up. */
const CAUGHT_UP_ENTRIES = 64;
/** Milliseconds between looks; a change of a manager row wakes the loop at once. */
const PERIOD_MS = 500;
/**
 * Looks after which the row of a manager that is out of the configuration is removed here, when
 * nobody who asked for the removal did.
 */
const LOOKS_BEFORE_REMOVAL = 6;

/**
 * Leader only: carries the members that committed state asks for into the Raft configuration, one
 * change at a time: joining, then learner, then voter once it has caught up and holds the ring;
 * removing, then out. State says what is wanted, the configuration what is; each step is safe to
 * repeat, so a new leader simply goes on.
 */
export class Membership {
  readonly #port: MembershipPort;
  readonly #logger: Logger;
  readonly #loop: StepLoop;
  /** Looks at which a node was found out of the configuration and still listed. */
  readonly #looks = new Map<string, number>();

  constructor(port: MembershipPort, timers: Timers, logger: Logger) {
    this.#port = port;
    this.#logger = logger;
    this.#loop = new StepLoop({
      timers,
      periodMs: PERIOD_MS,
      step: () => this.#step(),
      // Lost leadership or a refused change: the next look decides anew.
      onFailure: (error) => logger.warn('membership.step-failed', { error }),
    });
  }

  /** Begins, on winning leadership. */
  start(): void {
    this.#loop.start();
  }

  /** Ends, on losing leadership. A step that is open ends by itself. */
  stop(): void {
    this.#loop.stop();
  }

  /** Looks now, for example because a manager row changed. */
  wake(): void {
    this.#loop.wake();
  }

  /** One change at most; true when something changed. */
  async #step(): Promise<boolean> {
    const conf = this.#port.confState();
    if (conf.votersOutgoing.length > 0) return false;
    if (await this.#removeGhost(conf)) return true;
    // A copy: a step waits, and the tables go on meanwhile.
    const nodes = [...this.#port.state().nodes()];
    for (const node of nodes) {
      if (node.manager === undefined) continue;
      if (await this.#move(node, node.manager, conf)) return true;
    }
    return false;
  }

  async #move(
    node: NodeRow,
    manager: NonNullable<NodeRow['manager']>,
    conf: ConfState,
  ): Promise<boolean> {
    const isVoter = conf.voters.includes(manager.raftId);
    const isLearner = conf.learners.includes(manager.raftId);
    switch (manager.membership) {
      case 'joining':
        if (!isVoter && !isLearner) {
          await this.#port.proposeConfChange(single('ConfChangeAddLearnerNode', manager.raftId));
        }
        await this.#record(node, isVoter ? 'voter' : 'learner');
        return true;
      case 'learner':
        if (isVoter) {
          await this.#record(node, 'voter');
          return true;
        }
        if (!isLearner) {
          await this.#port.proposeConfChange(single('ConfChangeAddLearnerNode', manager.raftId));
          return true;
        }
        if (!this.#isReadyToVote(manager)) return false;
        await this.#port.proposeConfChange(single('ConfChangeAddNode', manager.raftId));
        await this.#record(node, 'voter');
        return true;
      case 'voter':
        if (isVoter) return false;
        await this.#port.proposeConfChange(single('ConfChangeAddNode', manager.raftId));
        return true;
      case 'removing':
        return isVoter || isLearner
          ? this.#takeOut(node, manager.raftId, conf)
          : this.#strike(node);
    }
  }

  /**
   * Takes out a member whose record is gone: it was removed in the moment in which a change of the
   * configuration was under way, and nobody would ever ask for it again.
   */
  async #removeGhost(conf: ConfState): Promise<boolean> {
    const state = this.#port.state();
    const ghost = [...conf.voters, ...conf.learners].find(
      (raftId) => state.nodeByRaftId(raftId) === undefined && state.isRetiredRaftId(raftId),
    );
    if (ghost === undefined) return false;
    if (ghost === this.#port.selfRaftId()) {
      await this.#port.transferLeadership();
      return false;
    }
    await this.#port.proposeConfChange(single('ConfChangeRemoveNode', ghost));
    this.#logger.info('membership.removed', { raftId: ghost });
    return true;
  }

  async #takeOut(node: NodeRow, raftId: number, conf: ConfState): Promise<boolean> {
    if (raftId === this.#port.selfRaftId()) {
      // A leader does not take itself out: it hands over first, the next leader removes it.
      await this.#port.transferLeadership();
      return false;
    }
    const active = this.#port.activeVoters();
    const rest = conf.voters.filter((voter) => voter !== raftId);
    const isEnough = rest.filter((voter) => active.has(voter)).length > rest.length / 2;
    // The change itself could be committed with its help, and nothing after it.
    if (!isEnough) return false;
    await this.#port.proposeConfChange(single('ConfChangeRemoveNode', raftId));
    this.#logger.info('membership.removed', { nodeId: node.id });
    return true;
  }

  /** Out of the configuration: demoted managers are workers now, others are not listed any more. */
  async #strike({ id, wantedRole }: NodeRow): Promise<boolean> {
    if (wantedRole === 'worker') {
      await this.#port.propose({ kind: 'node.demoted', id });
      this.#logger.info('membership.demoted', { nodeId: id });
      return true;
    }
    const looks = (this.#looks.get(id) ?? 0) + 1;
    this.#looks.set(id, looks);
    if (looks < LOOKS_BEFORE_REMOVAL) return false;
    this.#looks.delete(id);
    await this.#port.propose({ kind: 'node.remove', id, force: true });
    return true;
  }

  #isReadyToVote(manager: NonNullable<NodeRow['manager']>): boolean {
    const match = this.#port.matchOf(manager.raftId);
    const generation = this.#port.state().cluster()?.ringGeneration ?? 1;
    if (match === undefined || manager.ringGeneration < generation) return false;
    return match + CAUGHT_UP_ENTRIES >= this.#port.commitIndex();
  }

  async #record(node: NodeRow, membership: 'learner' | 'voter'): Promise<void> {
    await this.#port.propose({
      kind: 'node.membership',
      id: node.id,
      membership,
      ringGeneration: undefined,
    });
    this.#logger.info('membership.changed', { nodeId: node.id, membership });
  }
}

function single(
  type: 'ConfChangeAddLearnerNode' | 'ConfChangeAddNode' | 'ConfChangeRemoveNode',
  nodeId: number,
): ConfChange {
  return { version: 2, transition: 'auto', changes: [{ type, nodeId }] };
}
