import type { Index, NodeId } from './numbers.js';

/** Incoming and outgoing majority; both have to agree, and an empty one agrees with everything. */
export type VoterSets = readonly [ReadonlySet<NodeId>, ReadonlySet<NodeId>];

/** Outcome of a vote so far. */
export type VoteResult = 'VotePending' | 'VoteLost' | 'VoteWon';

/**
 * The largest index that a majority of the voters has acknowledged.
 *
 * @param voters without repetitions
 * @param acked the acknowledged index of a voter; undefined counts as 0
 * @returns Infinity if there are no voters
 */
export function majorityIndex(
  voters: Iterable<NodeId>,
  acked: (id: NodeId) => Index | undefined,
): Index {
  const indexes: Index[] = [];
  for (const id of voters) {
    // Insertion sort, ascending: majorities have a handful of members.
    const index = acked(id) ?? 0;
    let at = indexes.length;
    indexes.push(index);
    for (; at > 0 && (indexes[at - 1] as Index) > index; at--) {
      indexes[at] = indexes[at - 1] as Index;
    }
    indexes[at] = index;
  }
  if (indexes.length === 0) return Number.POSITIVE_INFINITY;
  return indexes[indexes.length - majoritySize(indexes.length)] as Index;
}

/** How many of n voters are a majority. */
function majoritySize(count: number): number {
  return Math.floor(count / 2) + 1;
}

/** Outcome of a vote among one majority; won if it is empty. */
function majorityVote(
  voters: ReadonlySet<NodeId>,
  votes: ReadonlyMap<NodeId, boolean>,
): VoteResult {
  if (voters.size === 0) return 'VoteWon';
  let granted = 0;
  let missing = 0;
  for (const id of voters) {
    const vote = votes.get(id);
    if (vote === undefined) missing++;
    else if (vote) granted++;
  }
  const needed = majoritySize(voters.size);
  if (granted >= needed) return 'VoteWon';
  return granted + missing >= needed ? 'VotePending' : 'VoteLost';
}

/**
 * The largest index that both majorities have acknowledged.
 *
 * @param voters the two majorities
 * @param acked the acknowledged index of a voter; undefined counts as 0
 * @returns Infinity if there are no voters at all
 */
function committedIndex(voters: VoterSets, acked: (id: NodeId) => Index | undefined): Index {
  return Math.min(majorityIndex(voters[0], acked), majorityIndex(voters[1], acked));
}

/**
 * Outcome of a vote that both majorities have to win.
 *
 * @param voters the two majorities
 * @param votes granted or refused, by voter; votes of others do not count
 */
function voteResult(voters: VoterSets, votes: ReadonlyMap<NodeId, boolean>): VoteResult {
  const incoming = majorityVote(voters[0], votes);
  const outgoing = majorityVote(voters[1], votes);
  if (incoming === outgoing) return incoming;
  return incoming === 'VoteLost' || outgoing === 'VoteLost' ? 'VoteLost' : 'VotePending';
}

/** Functions over one or two majorities, shared by commits, elections and reads. */
export interface QuorumFunctions {
  readonly committedIndex: typeof committedIndex;
  readonly voteResult: typeof voteResult;
}

/** Calculations over joint majorities. */
export const quorum: QuorumFunctions = { committedIndex, voteResult };
