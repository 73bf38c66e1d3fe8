import type { RaftLog } from '../../log.js';
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

  /** Whoever campaigns is a voter, as far as it can know: of all that is committed. */
  roleChanged({ id, core }: Subject): void {
    if (core.role !== 'StateCandidate' && core.role !== 'StatePreCandidate') return;
    const { log, tracker } = core;
    const reason = !tracker.isVoter(id)
      ? 'is no voter'
      : log.hasUnstableSnapshot()
        ? 'has a snapshot that is not applied'
        : hasUnappliedChange(log)
          ? 'has not applied a change that is committed'
          : undefined;
    if (reason === undefined) return;
    throw new SimFailure(
      '1 who may be elected',
      `${id} campaigns in term ${core.term} and ${reason}`,
    );
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

function hasUnappliedChange(log: RaftLog): boolean {
  for (let index = log.applied + 1; index <= log.committed; index++) {
    const [entry] = log.slice(index, index + 1, 1);
    if (entry !== undefined && typeof entry !== 'string' && entry.type !== 'EntryNormal')
      return true;
  }
  return false;
}
