import { confchange, quorum } from 'raft-ts';
import type { ConfChangeSingle, ConfState, NodeId } from 'raft-ts';
import type { Node } from 'raft-ts/node';

// #region add
/** Adds a voter: first as a learner, which does not count while it catches up. */
export async function addVoter(
  leader: Node,
  id: NodeId,
  pause: () => Promise<void>,
): Promise<void> {
  const learner = { type: 'ConfChangeAddLearnerNode', nodeId: id } as const;
  await leader.proposeConfChange({ version: 1, change: learner });
  for (;;) {
    const { commit, progress } = leader.status();
    const known = progress.get(id);
    if (known === undefined) throw new Error('leadership or the learner is gone');
    if (known.state === 'StateReplicate' && known.match >= commit - 100) break;
    await pause();
  }
  const voter = { type: 'ConfChangeAddNode', nodeId: id } as const;
  await leader.proposeConfChange({ version: 1, change: voter });
}
// #endregion

// #region replace
/** Puts a learner that has caught up into the place of a voter, in one step. */
export async function replaceVoter(
  leader: Node,
  gone: NodeId,
  learner: NodeId,
): Promise<ConfState> {
  return leader.proposeConfChange({
    version: 2,
    transition: 'jointImplicit',
    changes: [
      { type: 'ConfChangeAddNode', nodeId: learner },
      { type: 'ConfChangeRemoveNode', nodeId: gone },
    ],
  });
}
// #endregion

// #region remove
/**
 * Removes a member. A leader that is to go hands over first, so that nobody waits for an election.
 *
 * @returns undefined: nothing is removed yet, ask the successor
 */
export async function removeMember(
  leader: Node,
  id: NodeId,
  successor: NodeId,
): Promise<ConfState | undefined> {
  if (id !== leader.basicStatus().id) {
    const change = { type: 'ConfChangeRemoveNode', nodeId: id } as const;
    return leader.proposeConfChange({ version: 1, change });
  }
  await leader.transferLeadership(successor);
  return undefined;
}
// #endregion

// #region check
/** Whether the members that are up would still form a quorum after these changes. */
export function keepsQuorum(
  now: ConfState,
  changes: readonly ConfChangeSingle[],
  isUp: (id: NodeId) => boolean,
): boolean {
  const limits = { maxInflightMsgs: 1, maxInflightBytes: Infinity };
  const after = confchange.enterJoint(confchange.restore(now, 1, limits), true, changes);
  const { voters } = after.config;
  const votes = new Map([...voters[0], ...voters[1]].map((id) => [id, isUp(id)]));
  return quorum.voteResult(voters, votes) === 'VoteWon';
}
// #endregion
