import { danger, mistake, OFF } from './mistake.mjs';

const UP_TO_DATE =
  'return theirs.term > ours.term || (theirs.term === ours.term && theirs.index >= ours.index);';

/** Mistakes: votes. */
export const votes = [
  danger('vote: up-to-date check ignores index', [
    'log.ts',
    UP_TO_DATE,
    'return theirs.term >= ours.term;',
  ]),
  danger('vote: up-to-date check compares index only', [
    'log.ts',
    UP_TO_DATE,
    'return theirs.index >= ours.index;',
  ]),
  mistake('election: elapsed not reset when granting', [
    'election.ts',
    '  core.electionElapsed = 0;\n  core.vote = from;',
    '  core.vote = from;',
  ]),
  danger('election: vote reset in same term', [
    'core.ts',
    '      this.vote = NONE;\n    }\n    this.lead = NONE;',
    '    }\n    this.vote = NONE;\n    this.lead = NONE;',
  ]),
  mistake('election: candidate ignores same-term MsgApp leader', [
    'candidate.ts',
    '      becomeFollower(core, core.term, message.from);\n      handleFromLeader(core, message);\n',
    '',
  ]),
  mistake('election: votes although it has a leader', [
    'election.ts',
    '(core.vote === NONE && core.lead === NONE)',
    'core.vote === NONE',
  ]),
  mistake('election: repeat vote not re-granted', [
    'election.ts',
    'core.vote === from || (core.vote',
    '(core.vote',
  ]),
  mistake('election: learner refuses to vote', [
    'election.ts',
    'if (!canVote || !core.log',
    'if (!canVote || core.isLearner || !core.log',
  ]),
  danger('election: learner may campaign', [
    'election.ts',
    'own !== undefined && !own.isLearner && !core',
    'own !== undefined && !core',
  ]),
  danger('election: campaigns with pending snapshot', [
    'election.ts',
    ' && !core.log.hasUnstableSnapshot()',
    '',
  ]),
  danger('election: campaigns with unapplied conf change', [
    'election.ts',
    'if (hasUnappliedChanges(core)) {',
    OFF,
  ]),
];

/** Mistakes: preVotes. */
export const preVotes = [
  mistake('prevote: bumps own term on MsgPreVote', [
    'step.ts',
    "if (type === 'MsgPreVote' || (type === 'MsgPreVoteResp' && !message.reject)) return true;",
    "if (type === 'MsgPreVoteResp' && !message.reject) return true;",
  ]),
  mistake('prevote: response carries local term', [
    'election.ts',
    '  answer.term = term;\n  core.send(answer);\n  if (isPre) return;',
    '  answer.term = core.term;\n  core.send(answer);\n  if (isPre) return;',
  ]),
  mistake('prevote: lower-term MsgPreVote ignored', [
    'step.ts',
    '    rejectVote(core, message);\n    return;',
    '    return;',
  ]),
  danger('prevote: granted pre-vote recorded as vote', [
    'election.ts',
    '  if (isPre) return;\n  core.electionElapsed = 0;',
    '  core.electionElapsed = 0;',
  ]),
  danger('prevote: candidate accepts late pre-vote responses', [
    'candidate.ts',
    "if (core.role === 'StatePreCandidate') countVote(core, message);",
    'countVote(core, message);',
  ]),
  mistake('checkquorum: no lease protection', [
    'step.ts',
    'if (isVoteRequest && isProtectedByLease(core, message)) return false;',
    'if (isVoteRequest && isProtectedByLease === undefined) return false;',
  ]),
  mistake('checkquorum: transfer does not override lease', [
    'election.ts',
    'if (!isInLease || isTransfer(request)) return false;',
    'if (!isInLease || isTransfer === undefined) return false;',
  ]),
  mistake('checkquorum: activity not reset', [
    'leader.ts',
    'if (id !== core.id) progress.recentActive = false;',
    'if (id === 0) progress.recentActive = false;',
  ]),
  mistake('checkquorum: leader does not step down', [
    'leader.ts',
    '    becomeFollower(core, core.term, NONE);\n  }\n  for (const',
    '  }\n  for (const',
  ]),
  mistake('checkquorum: new node starts inactive', [
    'confchange.ts',
    '  progress.recentActive = true;\n',
    '',
  ]),
];
