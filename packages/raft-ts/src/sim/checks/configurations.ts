import { changesOf } from '../../codec/conf-change.js';
import type { NodeId } from '../../numbers.js';
import type { ConfChange, ConfState } from '../../types.js';

/**
 * The configuration that a change leads to, worked out as simply as possible and apart from the
 * library. The change is possible.
 */
export function changed(before: ConfState, change: ConfChange): ConfState {
  const changes = changesOf(change);
  if (changes.length === 0) return left(before);
  const transition = change.version === 1 ? 'auto' : change.transition;
  const isJoint = transition !== 'auto' || changes.length > 1;
  const outgoing = isJoint ? before.voters : [];
  let { voters, learners } = before;
  let learnersNext: readonly NodeId[] = [];
  for (const { type, nodeId } of changes) {
    const isLearner = learners.includes(nodeId);
    if (type === 'ConfChangeUpdateNode' || nodeId === 0) continue;
    voters = without(voters, nodeId);
    learners = without(learners, nodeId);
    learnersNext = without(learnersNext, nodeId);
    if (type === 'ConfChangeAddNode') voters = [...voters, nodeId];
    if (type !== 'ConfChangeAddLearnerNode') continue;
    if (!isLearner && outgoing.includes(nodeId)) learnersNext = [...learnersNext, nodeId];
    else learners = [...learners, nodeId];
  }
  return sorted({
    voters,
    votersOutgoing: outgoing,
    learners,
    learnersNext,
    autoLeave: isJoint && transition !== 'jointExplicit',
  });
}

/** Demoted voters become learners now. */
function left({ voters, learners, learnersNext }: ConfState): ConfState {
  return sorted({
    voters,
    votersOutgoing: [],
    learners: [...learners, ...learnersNext],
    learnersNext: [],
    autoLeave: false,
  });
}

function without(ids: readonly NodeId[], id: NodeId): readonly NodeId[] {
  return ids.filter((other) => other !== id);
}

function sorted(state: ConfState): ConfState {
  const sort = (ids: readonly NodeId[]): readonly NodeId[] => [...ids].sort((a, b) => a - b);
  return {
    voters: sort(state.voters),
    votersOutgoing: sort(state.votersOutgoing),
    learners: sort(state.learners),
    learnersNext: sort(state.learnersNext),
    autoLeave: state.autoLeave,
  };
}
