import type { RaftCore } from './core.js';
import type { Message } from './message-types.js';
import { draft } from './messages.js';
import type { Index } from './numbers.js';
import { NONE } from './numbers.js';
import { decodePosition } from './read-only.js';
import { broadcastHeartbeat } from './replication.js';
import type { Entry } from './types.js';

/** Requests kept while a leader waits for its first commit; beyond that new ones are dropped. */
const POSTPONED_READS_MAX = 10_000;

/** Handles a read request at the leader. */
export function handleReadIndex(core: RaftCore, request: Message): void {
  if (!core.settings.deferSoleVoterReads && core.tracker.isSingleton) {
    answerRead(core, request, core.log.committed);
  } else if (!hasCommittedInTerm(core)) {
    // The commit index of a new leader may be behind what its predecessor told to clients; also if
    // it is the only voter, which may have acknowledged more to that predecessor, or forgotten its
    // commit index in a crash.
    if (core.postponedReads.length < POSTPONED_READS_MAX) core.postponedReads.push(request);
  } else {
    startRead(core, request);
  }
}

/** Handles what waited for the first commit of the term; to be called after a commit. */
export function releasePostponedReads(core: RaftCore): void {
  if (core.postponedReads.length === 0) return;
  const requests = core.postponedReads;
  core.postponedReads = [];
  for (const request of requests) startRead(core, request);
}

/** Counts the answer to a heartbeat, and answers all reads it confirms. */
export function handleReadConfirmation(core: RaftCore, answer: Message): void {
  const { reads, tracker } = core;
  if (core.settings.readOnlyOption !== 'safe' || answer.context.length === 0) return;
  reads.ack(answer.from, decodePosition(answer.context));
  const confirmed = tracker.quorumOf(reads.ackedBy);
  for (const { request, index } of reads.confirmTo(confirmed)) answerRead(core, request, index);
}

function startRead(core: RaftCore, request: Message): void {
  const { reads, log } = core;
  // A removed leader is not the single voter that may be left, and has to ask it.
  const isAlone = core.tracker.isSingleton && core.tracker.isVoter(core.id);
  if (isAlone || core.settings.readOnlyOption === 'leaseBased') {
    answerRead(core, request, log.committed);
    return;
  }
  if (reads.isFull) return;
  reads.add(request, log.committed);
  reads.ack(core.id, reads.position);
  broadcastHeartbeat(core);
}

function hasCommittedInTerm(core: RaftCore): boolean {
  return core.log.termOrZero(core.log.committed) === core.term;
}

function answerRead(core: RaftCore, request: Message, index: Index): void {
  const { from, entries } = request;
  if (from === NONE || from === core.id) {
    core.readStates.push({ index, requestCtx: (entries[0] as Entry).data });
    return;
  }
  const answer = draft('MsgReadIndexResp', from);
  answer.index = index;
  answer.entries = entries;
  core.send(answer);
}
