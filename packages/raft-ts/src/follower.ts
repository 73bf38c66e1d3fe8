import type { RaftCore } from './core.js';
import { startElection } from './election.js';
import { ProposalDroppedError } from './errors.js';
import type { Message, MsgApp, MsgHeartbeat, MsgSnap } from './message-types.js';
import { draft } from './messages.js';
import { NONE } from './numbers.js';
import { traceCommit } from './replication.js';
import { hex } from './reporter.js';
import { handleSnapshot } from './snapshots.js';
import type { Entry } from './types.js';

/** Handles a message of the present term as a follower. */
export function stepFollower(core: RaftCore, message: Message): void {
  switch (message.type) {
    case 'MsgProp':
      forwardProposal(core, message);
      break;
    case 'MsgApp':
    case 'MsgHeartbeat':
    case 'MsgSnap':
      core.electionElapsed = 0;
      core.lead = message.from;
      handleFromLeader(core, message);
      break;
    case 'MsgTransferLeader':
      if (hasLeader(core, 'leader transfer msg')) forward(core, message);
      break;
    case 'MsgForgetLeader':
      forgetLeader(core);
      break;
    case 'MsgTimeoutNow':
      if (core.wants('INFO')) {
        const what = `received MsgTimeoutNow from ${hex(message.from)}`;
        const text = `${what} and starts an election to get leadership.`;
        core.write('INFO', `${hex(core.id)} [term ${core.term}] ${text}`);
      }
      // Without asking first: this is no return from a partition.
      startElection(core, 'transfer');
      break;
    case 'MsgReadIndex':
      if (hasLeader(core, 'index reading msg')) forward(core, message);
      break;
    case 'MsgReadIndexResp':
      takeReadAnswer(core, message);
      break;
    default:
  }
}

/** Handles what only the leader of the present term sends. */
export function handleFromLeader(core: RaftCore, message: MsgApp | MsgHeartbeat | MsgSnap): void {
  if (message.type === 'MsgApp') handleAppend(core, message);
  else if (message.type === 'MsgHeartbeat') handleHeartbeat(core, message);
  else handleSnapshot(core, message);
}

function handleAppend(core: RaftCore, message: Message): void {
  const { log } = core;
  const { from, index, logTerm, entries, commit } = message;
  const answer = draft('MsgAppResp', from);
  if (index < log.committed) {
    // Late or repeated: what is committed agrees, without looking at it.
    answer.index = log.committed;
    core.send(answer);
    return;
  }
  const before = log.committed;
  const last = log.maybeAppend({ previous: { term: logTerm, index }, entries }, commit);
  if (last !== undefined) {
    if (core.settings.trace !== undefined) traceAppend(core, entries, before);
    // Only what this message confirms; what else is in the log was never compared.
    answer.index = last;
    core.send(answer);
    return;
  }
  if (core.wants('DEBUG')) {
    const ours = `[logterm: ${log.termOrZero(index)}, index: ${index}]`;
    const theirs = `[logterm: ${logTerm}, index: ${index}]`;
    const text = `${ours} rejected MsgApp ${theirs} from ${hex(from)}`;
    core.write('DEBUG', `${hex(core.id)} ${text}`);
  }
  // The logs cannot agree where the own terms are later than the leader's.
  const hint = log.findConflictByTerm(Math.min(index, log.lastIndex()), logTerm);
  answer.index = index;
  answer.reject = true;
  answer.rejectHint = hint.index;
  answer.logTerm = hint.term;
  core.send(answer);
}

function traceAppend(core: RaftCore, entries: readonly Entry[], before: number): void {
  const { id, term, log } = core;
  if (entries.length > 0) core.settings.trace?.({ kind: 'append', id, term, entries });
  if (log.committed !== before) traceCommit(core);
}

function handleHeartbeat(core: RaftCore, message: Message): void {
  const before = core.log.committed;
  core.log.commitTo(message.commit);
  if (core.log.committed !== before) traceCommit(core);
  const answer = draft('MsgHeartbeatResp', message.from);
  answer.context = message.context;
  core.send(answer);
}

function forwardProposal(core: RaftCore, message: Message): void {
  if (core.lead === NONE) dropLeaderless(core);
  if (core.settings.disableProposalForwarding) {
    if (core.wants('INFO')) {
      const text = `not forwarding to leader ${hex(core.lead)} at term ${core.term}`;
      core.write('INFO', `${hex(core.id)} ${text}; dropping proposal`);
    }
    throw new ProposalDroppedError('forwardingDisabled');
  }
  forward(core, message);
}

/** Refuses a proposal because nobody is known to lead. @throws ProposalDroppedError always */
export function dropLeaderless(core: RaftCore): never {
  hasLeader(core, 'proposal');
  throw new ProposalDroppedError('noLeader');
}

function hasLeader(core: RaftCore, what: string): boolean {
  if (core.lead !== NONE) return true;
  if (core.wants('INFO')) {
    core.write('INFO', `${hex(core.id)} no leader at term ${core.term}; dropping ${what}`);
  }
  return false;
}

function forward(core: RaftCore, message: Message): void {
  const forwarded = draft(message.type, core.lead);
  forwarded.from = message.from;
  forwarded.entries = message.entries;
  forwarded.context = message.context;
  core.send(forwarded);
}

function forgetLeader(core: RaftCore): void {
  if (core.settings.readOnlyOption === 'leaseBased') {
    // The leader relies on its lease; nobody may be elected meanwhile.
    const text = 'ignoring MsgForgetLeader due to ReadOnlyLeaseBased';
    if (core.wants('ERROR')) core.write('ERROR', text);
    return;
  }
  if (core.lead === NONE) return;
  if (core.wants('INFO')) {
    const text = `forgetting leader ${hex(core.lead)} at term ${core.term}`;
    core.write('INFO', `${hex(core.id)} ${text}`);
  }
  core.lead = NONE;
}

function takeReadAnswer(core: RaftCore, message: Message): void {
  const [entry] = message.entries;
  if (entry === undefined || message.entries.length !== 1) {
    if (core.wants('ERROR')) {
      const count = `entries count: ${message.entries.length}`;
      const text = `invalid format of MsgReadIndexResp from ${hex(message.from)}, ${count}`;
      core.write('ERROR', `${hex(core.id)} ${text}`);
    }
    return;
  }
  core.readStates.push({ index: message.index, requestCtx: entry.data });
}
