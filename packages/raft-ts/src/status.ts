import type { RaftCore } from './core.js';
import type { NodeId } from './numbers.js';
import type { BasicStatus, ProgressView, Status } from './status-types.js';

/** A copy of what a node knows about itself. */
export function basicStatusOf(core: RaftCore): BasicStatus {
  return {
    id: core.id,
    term: core.term,
    vote: core.vote,
    commit: core.log.committed,
    lead: core.lead,
    raftState: core.role,
    applied: core.log.applied,
    leadTransferee: core.leadTransferee,
  };
}

/** A copy of what a node knows. Configurations never change, so that one needs no copy. */
export function statusOf(core: RaftCore): Status {
  const progress = new Map<NodeId, ProgressView>();
  if (core.role === 'StateLeader') {
    for (const [id, known] of core.tracker.progress) progress.set(id, known.view());
  }
  return { ...basicStatusOf(core), config: core.tracker.config, progress };
}
