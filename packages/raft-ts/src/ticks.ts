import type { RaftCore } from './core.js';
import { isPromotable, startElection } from './election.js';
import { checkQuorumActive } from './leader.js';
import { NONE } from './numbers.js';
import { broadcastHeartbeat } from './replication.js';

/** Lets one tick of the logical clock pass. */
export function tick(core: RaftCore): void {
  core.electionElapsed++;
  if (core.role === 'StateLeader') tickLeader(core);
  else if (core.electionElapsed >= core.randomizedElectionTimeout && isPromotable(core)) {
    core.electionElapsed = 0;
    startElection(core, core.settings.preVote ? 'preElection' : 'election');
  }
}

function tickLeader(core: RaftCore): void {
  core.heartbeatElapsed++;
  if (core.electionElapsed >= core.settings.electionTick) {
    core.electionElapsed = 0;
    if (core.settings.checkQuorum) checkQuorumActive(core);
    if (!isLeader(core)) return;
    // A transfer that takes longer has failed.
    core.leadTransferee = NONE;
  }
  if (core.heartbeatElapsed >= core.settings.heartbeatTick) {
    core.heartbeatElapsed = 0;
    broadcastHeartbeat(core);
  }
}

function isLeader(core: RaftCore): boolean {
  return core.role === 'StateLeader';
}
