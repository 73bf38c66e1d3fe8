import type { RaftCore } from './core.js';
import type { Message, MessageType } from './message-types.js';
import { draft } from './messages.js';
import { NONE } from './numbers.js';
import { hex } from './reporter.js';
import { becomeCandidate, becomePreCandidate } from './roles.js';
import type { Tally } from './tracker.js';
import type { Entry } from './types.js';

/** Why a node campaigns: to see if it would win, to win, or because it was asked to. */
export type CampaignKind = 'preElection' | 'election' | 'transfer';

/** Context of vote requests of a transfer, which override the lease of the leader. */
const TRANSFER_CONTEXT: Uint8Array = Uint8Array.from('CampaignTransfer', (c) => c.charCodeAt(0));

/** Starts a campaign, unless this node must not be elected now. */
export function startElection(core: RaftCore, kind: CampaignKind): void {
  const id = hex(core.id);
  if (core.role === 'StateLeader') {
    if (core.wants('DEBUG')) core.write('DEBUG', `${id} ignoring MsgHup because already leader`);
    return;
  }
  if (!isPromotable(core)) {
    if (core.wants('WARN')) core.write('WARN', `${id} is unpromotable and can not campaign`);
    return;
  }
  if (hasUnappliedChanges(core)) {
    if (core.wants('WARN')) {
      const reason = 'since there are still pending configuration changes to apply';
      core.write('WARN', `${id} cannot campaign at term ${core.term} ${reason}`);
    }
    return;
  }
  if (core.wants('INFO')) {
    core.write('INFO', `${id} is starting a new election at term ${core.term}`);
  }
  campaign(core, kind);
}

/** Whether this node may be elected: a voter, with no snapshot that is not applied yet. */
export function isPromotable(core: RaftCore): boolean {
  const own = core.tracker.progress.get(core.id);
  return own !== undefined && !own.isLearner && !core.log.hasUnstableSnapshot();
}

/** Whether a committed change is not applied: it may decide who votes. */
function hasUnappliedChanges(core: RaftCore): boolean {
  const { log } = core;
  const end = log.committed + 1;
  for (let lo = log.applied + 1; lo < end;) {
    const page = log.slice(lo, end, log.applyingSizeMax);
    if (page === 'compacted') {
      core.fail(`error scanning unapplied entries [${lo}, ${end}): compacted`);
    }
    if (page.some(isChange)) return true;
    lo += page.length;
  }
  return false;
}

function isChange(entry: Entry): boolean {
  return entry.type !== 'EntryNormal';
}

/** Asks all voters for their votes. The own one counts like the others: after it is durable. */
export function campaign(core: RaftCore, kind: CampaignKind): void {
  const isPre = kind === 'preElection';
  if (isPre) becomePreCandidate(core);
  else becomeCandidate(core);
  const type: MessageType = isPre ? 'MsgPreVote' : 'MsgVote';
  const term = isPre ? core.term + 1 : core.term;
  const last = core.log.lastId();
  for (const voter of core.tracker.voterIds) {
    if (voter === core.id) {
      const own = draft(isPre ? 'MsgPreVoteResp' : 'MsgVoteResp', voter);
      own.term = term;
      core.send(own);
      continue;
    }
    if (core.wants('INFO')) {
      const where = `[logterm: ${last.term}, index: ${last.index}]`;
      const text = `sent ${type} request to ${hex(voter)} at term ${core.term}`;
      core.write('INFO', `${hex(core.id)} ${where} ${text}`);
    }
    const request = draft(type, voter);
    request.term = term;
    request.index = last.index;
    request.logTerm = last.term;
    if (kind === 'transfer') request.context = TRANSFER_CONTEXT;
    core.send(request);
  }
}

/** Counts a vote. */
export function poll(core: RaftCore, answer: Message): Tally {
  const { from, type, reject } = answer;
  core.tracker.recordVote(from, !reject);
  const tally = core.tracker.tally();
  if (core.wants('INFO')) {
    const id = hex(core.id);
    const what = reject ? `${type} rejection` : type;
    core.write('INFO', `${id} received ${what} from ${hex(from)} at term ${core.term}`);
    const counts = `${tally.granted} ${type} votes and ${tally.rejected} vote rejections`;
    core.write('INFO', `${id} has received ${counts}`);
  }
  return tally;
}

/**
 * Whether a request of a later term is to be ignored: the leader of this term was heard of a moment
 * ago, and nobody may disturb it, except by transfer.
 */
export function isProtectedByLease(core: RaftCore, request: Message): boolean {
  const { checkQuorum, electionTick } = core.settings;
  const isInLease = checkQuorum && core.lead !== NONE && core.electionElapsed < electionTick;
  if (!isInLease || isTransfer(request)) return false;
  if (core.wants('INFO')) {
    const ticks = electionTick - core.electionElapsed;
    const reason = `lease is not expired (remaining ticks: ${ticks})`;
    writeVerdict(core, request, { verdict: 'ignored', preposition: 'from', reason: `: ${reason}` });
  }
  return true;
}

function isTransfer({ context }: Message): boolean {
  return (
    context.length === TRANSFER_CONTEXT.length &&
    context.every((byte, i) => byte === TRANSFER_CONTEXT[i])
  );
}

/** Votes. A repeated request of the same candidate is granted again: the answer may be lost. */
export function handleVoteRequest(core: RaftCore, request: Message): void {
  const { type, from, term, logTerm, index } = request;
  const isPre = type === 'MsgPreVote';
  const canVote =
    core.vote === from || (core.vote === NONE && core.lead === NONE) || (isPre && term > core.term);
  if (!canVote || !core.log.isUpToDate({ term: logTerm, index })) {
    rejectVote(core, request);
    return;
  }
  // A learner votes as well: it may have been promoted without knowing it yet, and the candidate
  // may be unable to win without it.
  if (core.wants('INFO')) writeVerdict(core, request, { verdict: 'cast', preposition: 'for' });
  const answer = draft(isPre ? 'MsgPreVoteResp' : 'MsgVoteResp', from);
  // The term of the request, since that of a pre-vote is later than the sender's own.
  answer.term = term;
  core.send(answer);
  if (isPre) return;
  core.electionElapsed = 0;
  core.vote = from;
}

/** Refuses a vote; the answer tells the term of this node. */
export function rejectVote(core: RaftCore, request: Message): void {
  const { type, from } = request;
  if (core.wants('INFO')) {
    writeVerdict(core, request, { verdict: 'rejected', preposition: 'from' });
  }
  const answer = draft(type === 'MsgPreVote' ? 'MsgPreVoteResp' : 'MsgVoteResp', from);
  answer.term = core.term;
  answer.reject = true;
  core.send(answer);
}

interface Verdict {
  readonly verdict: 'cast' | 'rejected' | 'ignored';
  readonly preposition: 'for' | 'from';
  readonly reason?: string;
}

function writeVerdict(core: RaftCore, request: Message, verdict: Verdict): void {
  const { type, from, logTerm, index } = request;
  const last = core.log.lastId();
  const ours = `[logterm: ${last.term}, index: ${last.index}, vote: ${hex(core.vote)}]`;
  const theirs = `[logterm: ${logTerm}, index: ${index}] at term ${core.term}`;
  const what = `${verdict.verdict} ${type} ${verdict.preposition} ${hex(from)}`;
  core.write('INFO', `${hex(core.id)} ${ours} ${what} ${theirs}${verdict.reason ?? ''}`);
}
