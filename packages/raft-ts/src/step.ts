import { handleAppliedEntries, handleAppliedSnapshot } from './applied.js';
import { stepCandidate } from './candidate.js';
import type { RaftCore } from './core.js';
import { handleVoteRequest, isProtectedByLease, rejectVote } from './election.js';
import { stepFollower } from './follower.js';
import { stepLeader } from './leader.js';
import type { Message } from './message-types.js';
import { draft } from './messages.js';
import { NONE } from './numbers.js';
import { hex } from './reporter.js';
import { becomeFollower } from './roles.js';

/**
 * Handles a message: first what its term means for this node, then the message itself.
 *
 * @throws ProposalDroppedError
 */
export function step(core: RaftCore, message: Message): void {
  core.settings.trace?.({ kind: 'receive', id: core.id, message });
  const { type, term } = message;
  if (term > core.term) {
    if (!acceptLaterTerm(core, message)) return;
  } else if (term < core.term && term !== 0) {
    handleEarlierTerm(core, message);
    return;
  }
  switch (type) {
    case 'MsgStorageAppendResp':
      handleStored(core, message);
      break;
    case 'MsgStorageApplyResp':
      handleAppliedEntries(core, message.entries);
      break;
    case 'MsgVote':
    case 'MsgPreVote':
      handleVoteRequest(core, message);
      break;
    default:
      stepInRole(core, message);
  }
}

/** Handles a message as the present role does, without regard to terms. */
export function stepInRole(core: RaftCore, message: Message): void {
  switch (core.role) {
    case 'StateLeader':
      stepLeader(core, message);
      break;
    case 'StateFollower':
      stepFollower(core, message);
      break;
    default:
      stepCandidate(core, message);
  }
}

/** @returns false if the message is to be ignored */
function acceptLaterTerm(core: RaftCore, message: Message): boolean {
  const { type, from, term } = message;
  const isVoteRequest = type === 'MsgVote' || type === 'MsgPreVote';
  if (isVoteRequest && isProtectedByLease(core, message)) return false;
  // A pre-vote is about a term that does not exist yet, and so is a granted answer. A refused one
  // comes with the actual term of its sender.
  if (type === 'MsgPreVote' || (type === 'MsgPreVoteResp' && !message.reject)) return true;
  if (core.wants('INFO')) {
    const text = `received a ${type} message with higher term from ${hex(from)} [term: ${term}]`;
    core.write('INFO', `${hex(core.id)} [term: ${core.term}] ${text}`);
  }
  const isFromLeader = type === 'MsgApp' || type === 'MsgHeartbeat' || type === 'MsgSnap';
  becomeFollower(core, term, isFromLeader ? from : NONE);
  return true;
}

function handleEarlierTerm(core: RaftCore, message: Message): void {
  const { type, from, term } = message;
  const { checkQuorum, preVote } = core.settings;
  if ((checkQuorum || preVote) && (type === 'MsgHeartbeat' || type === 'MsgApp')) {
    // With leases, vote requests do not spread the term of a node that returns from a partition.
    // Without this answer it could neither win an election nor rejoin.
    core.send(draft('MsgAppResp', from));
    return;
  }
  if (type === 'MsgPreVote') {
    // Without an answer, nodes with later terms and shorter logs could block the election.
    rejectVote(core, message);
    return;
  }
  if (type === 'MsgStorageAppendResp') {
    // Entries may have been replaced meanwhile; a snapshot is committed, hence valid.
    if (message.index !== 0 && core.wants('INFO')) {
      const text = `ignored entry appends from a ${type} message with lower term [term: ${term}]`;
      core.write('INFO', `${hex(core.id)} [term: ${core.term}] ${text}`);
    }
    if (message.snapshot !== undefined) handleAppliedSnapshot(core, message.snapshot);
    return;
  }
  if (core.wants('INFO')) {
    const text = `ignored a ${type} message with lower term from ${hex(from)} [term: ${term}]`;
    core.write('INFO', `${hex(core.id)} [term: ${core.term}] ${text}`);
  }
}

function handleStored(core: RaftCore, message: Message): void {
  const { index, logTerm, snapshot } = message;
  if (index !== 0) core.log.unstable.stableTo({ term: logTerm, index });
  if (snapshot !== undefined) handleAppliedSnapshot(core, snapshot);
}
