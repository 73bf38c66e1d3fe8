import type { RaftCore } from './core.js';
import { campaign, poll } from './election.js';
import { dropLeaderless, handleFromLeader } from './follower.js';
import type { Message } from './message-types.js';
import { NONE } from './numbers.js';
import { appendFirstEntry } from './proposals.js';
import { broadcastAppend } from './replication.js';
import { hex } from './reporter.js';
import { announceLeader, becomeFollower, becomeLeader } from './roles.js';

/** Handles a message of the present term as a candidate or pre-candidate. */
export function stepCandidate(core: RaftCore, message: Message): void {
  switch (message.type) {
    case 'MsgProp':
      return dropLeaderless(core);
    case 'MsgApp':
    case 'MsgHeartbeat':
    case 'MsgSnap':
      // Somebody else was elected in this term.
      becomeFollower(core, core.term, message.from);
      handleFromLeader(core, message);
      break;
    case 'MsgVoteResp':
      // Answers to the pre-vote may still come in, and say nothing about the vote.
      if (core.role === 'StateCandidate') countVote(core, message);
      break;
    case 'MsgPreVoteResp':
      if (core.role === 'StatePreCandidate') countVote(core, message);
      break;
    case 'MsgTimeoutNow':
      if (core.wants('DEBUG')) {
        const where = `[term ${core.term} state ${core.role}]`;
        const text = `${where} ignored MsgTimeoutNow from ${hex(message.from)}`;
        core.write('DEBUG', `${hex(core.id)} ${text}`);
      }
      break;
    default:
  }
}

function countVote(core: RaftCore, message: Message): void {
  const { result } = poll(core, message);
  if (result === 'VoteLost') {
    becomeFollower(core, core.term, NONE);
  } else if (result === 'VoteWon') {
    if (core.role === 'StatePreCandidate') campaign(core, 'election');
    else takeOffice(core);
  }
}

function takeOffice(core: RaftCore): void {
  becomeLeader(core);
  appendFirstEntry(core);
  announceLeader(core);
  broadcastAppend(core);
}
