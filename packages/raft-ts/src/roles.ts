import type { RaftCore } from './core.js';
import type { NodeId, Term } from './numbers.js';
import { NONE } from './numbers.js';
import { hex } from './reporter.js';
import type { StateType } from './types.js';

function trace(core: RaftCore): void {
  const { id, term, role, lead, vote } = core;
  core.settings.trace?.({ kind: 'role', id, term, role, lead, vote });
}

function announce(core: RaftCore, name: string): void {
  if (core.wants('INFO')) {
    core.write('INFO', `${hex(core.id)} became ${name} at term ${core.term}`);
  }
}

function enter(core: RaftCore, role: StateType, name: string): void {
  core.role = role;
  announce(core, name);
  trace(core);
}

/** Follows somebody, or nobody yet, in a term. */
export function becomeFollower(core: RaftCore, term: Term, lead: NodeId): void {
  core.reset(term);
  core.lead = lead;
  enter(core, 'StateFollower', 'follower');
}

/** Asks for votes in the next term, and votes for itself. */
export function becomeCandidate(core: RaftCore): void {
  core.reset(core.term + 1);
  core.vote = core.id;
  enter(core, 'StateCandidate', 'candidate');
}

/** Asks whether it would be elected: neither term nor vote change, but there is no leader. */
export function becomePreCandidate(core: RaftCore): void {
  core.tracker.resetVotes();
  core.lead = NONE;
  enter(core, 'StatePreCandidate', 'pre-candidate');
}

/** Leads the present term. The entry that starts it is appended by the caller. */
export function becomeLeader(core: RaftCore): void {
  core.reset(core.term);
  core.lead = core.id;
  const own = core.tracker.progress.get(core.id);
  if (own === undefined) core.fail(`${hex(core.id)} has no progress of its own`);
  own.becomeReplicate();
  own.recentActive = true;
  // The tail of the log may hold a change that is not applied. Looking for it could be expensive,
  // waiting until all of it is applied is safe.
  core.pendingConfIndex = core.log.lastIndex();
  core.role = 'StateLeader';
  trace(core);
}

/** Reports that the node leads, after its first entry is in the log. */
export function announceLeader(core: RaftCore): void {
  announce(core, 'leader');
}
