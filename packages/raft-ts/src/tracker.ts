import type { InflightLimits } from './inflights.js';
import type { Index, NodeId } from './numbers.js';
import type { Progress } from './progress.js';
import type { VoteResult } from './quorum.js';
import { majorityIndex, quorum } from './quorum.js';
import type { TrackerConfig } from './status-types.js';
import type { ConfState } from './types.js';

/** Votes so far. */
export interface Tally {
  readonly granted: number;
  readonly rejected: number;
  readonly result: VoteResult;
}

/** The configuration without any node. */
export const EMPTY_CONFIG: TrackerConfig = {
  voters: [new Set(), new Set()],
  learners: new Set(),
  learnersNext: new Set(),
  autoLeave: false,
};

/** Ids of a set in ascending order. */
export function sorted(ids: Iterable<NodeId>): NodeId[] {
  return [...ids].sort((a, b) => a - b);
}

/** The configuration in effect, what is known about each of its nodes, and the votes. */
export class Tracker {
  readonly limits: InflightLimits;
  config: TrackerConfig = EMPTY_CONFIG;
  /** In ascending order of the ids. */
  progress: ReadonlyMap<NodeId, Progress> = new Map();
  /** All ids with a progress, ascending: every round of messages goes in this order. */
  ids: readonly NodeId[] = [];
  /** Voters of both majorities, ascending. */
  voterIds: readonly NodeId[] = [];
  readonly #votes = new Map<NodeId, boolean>();
  #incoming: readonly NodeId[] = [];
  #outgoing: readonly NodeId[] = [];
  readonly #matchOf = (id: NodeId): Index | undefined => this.progress.get(id)?.match;

  /** @param limits of the window of each follower */
  constructor(limits: InflightLimits) {
    this.limits = limits;
  }

  /** Puts a configuration into effect. Votes stay. */
  adopt(config: TrackerConfig, progress: ReadonlyMap<NodeId, Progress>): void {
    this.config = config;
    this.progress = new Map([...progress].sort(([a], [b]) => a - b));
    this.ids = [...this.progress.keys()];
    this.#incoming = sorted(config.voters[0]);
    this.#outgoing = sorted(config.voters[1]);
    this.voterIds = sorted(new Set([...this.#incoming, ...this.#outgoing]));
  }

  /** The configuration as snapshots store it. */
  confState(): ConfState {
    return {
      voters: this.#incoming,
      votersOutgoing: this.#outgoing,
      learners: sorted(this.config.learners),
      learnersNext: sorted(this.config.learnersNext),
      autoLeave: this.config.autoLeave,
    };
  }

  /** Whether two majorities are in effect. */
  get isJoint(): boolean {
    return this.#outgoing.length > 0;
  }

  /** Whether there is exactly one voter. */
  get isSingleton(): boolean {
    return this.#incoming.length === 1 && this.#outgoing.length === 0;
  }

  /** Whether a node votes in one of the majorities. */
  isVoter(id: NodeId): boolean {
    return this.config.voters[0].has(id) || this.config.voters[1].has(id);
  }

  /** The largest index that is stored by both majorities. */
  committed(): Index {
    return this.quorumOf(this.#matchOf);
  }

  /** The largest number that both majorities have acknowledged. */
  quorumOf(acked: (id: NodeId) => number | undefined): number {
    const incoming = majorityIndex(this.#incoming, acked);
    if (this.#outgoing.length === 0) return incoming;
    return Math.min(incoming, majorityIndex(this.#outgoing, acked));
  }

  /** Whether both majorities were heard of since the last check. */
  isQuorumActive(): boolean {
    const active = new Map<NodeId, boolean>();
    for (const [id, progress] of this.progress) {
      if (!progress.isLearner) active.set(id, progress.recentActive);
    }
    return quorum.voteResult(this.config.voters, active) === 'VoteWon';
  }

  /** Forgets all votes. */
  resetVotes(): void {
    this.#votes.clear();
  }

  /** Notes a vote; the first one of a node counts. */
  recordVote(id: NodeId, isGranted: boolean): void {
    if (!this.#votes.has(id)) this.#votes.set(id, isGranted);
  }

  /** Counts the votes of those who may vote. */
  tally(): Tally {
    let granted = 0;
    let rejected = 0;
    for (const [id, progress] of this.progress) {
      if (progress.isLearner) continue;
      const vote = this.#votes.get(id);
      if (vote === true) granted++;
      else if (vote === false) rejected++;
    }
    return { granted, rejected, result: quorum.voteResult(this.config.voters, this.#votes) };
  }
}
