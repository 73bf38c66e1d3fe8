import type { NodeId, Term } from '../../numbers.js';
import { SimFailure } from '../failure.js';
import type { Subject } from '../subject.js';
import { IDS_MAX } from '../network.js';

/** Invariant 1: one leader per term, elected by majorities; one vote per term and member. */
export class Elections {
  readonly #leaders: (NodeId | undefined)[] = [];
  readonly #votes = new Map<number, NodeId>();

  /** The leader of a term, if there was one. */
  leaderOf(term: Term): NodeId | undefined {
    return this.#leaders[term];
  }

  /** A vote leaves its voter, or counts for the voter itself. */
  voted(voter: NodeId, candidate: NodeId, term: Term): void {
    const key = term * IDS_MAX + voter;
    const other = this.#votes.get(key);
    if (other === undefined) this.#votes.set(key, candidate);
    else if (other !== candidate) {
      const text = `${voter} votes for ${candidate} in term ${term} after a vote for ${other}`;
      throw new SimFailure('1 election safety', text);
    }
  }

  /** A member leads. */
  elected(member: Subject): void {
    const { id, core } = member;
    const other = this.#leaders[core.term];
    if (other !== undefined && other !== id) {
      throw new SimFailure('1 election safety', `${other} and ${id} lead term ${core.term}`);
    }
    this.#leaders[core.term] = id;
    const { hardState } = member.disk;
    const isOwnVoteDurable = hardState.term === core.term && hardState.vote === id;
    if (isOwnVoteDurable) this.voted(id, id, core.term);
    for (const voters of core.tracker.config.voters) this.#checkMajority(member, voters);
  }

  #checkMajority({ id, core }: Subject, voters: ReadonlySet<NodeId>): void {
    if (voters.size === 0) return;
    let votes = 0;
    for (const voter of voters) {
      if (this.#votes.get(core.term * IDS_MAX + voter) === id) votes++;
    }
    if (votes * 2 > voters.size) return;
    const text = `${id} leads term ${core.term} with ${votes} durable votes of ${voters.size}`;
    throw new SimFailure('1 election safety', text);
  }
}
