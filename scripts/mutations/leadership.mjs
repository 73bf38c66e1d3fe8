import { danger, mistake, OFF } from './mistake.mjs';

/** Mistakes: readsAndTransfers. */
export const readsAndTransfers = [
  danger('read: served before commit in own term', [
    'reads.ts',
    'if (!hasCommittedInTerm(core)) {\n    // The commit',
    `${OFF}\n    // The commit`,
  ]),
  danger('read: single voter does not wait for its commit', [
    'reads.ts',
    'if (!hasCommittedInTerm(core)) {\n    // The commit',
    'if (!hasCommittedInTerm(core) && !core.tracker.isSingleton) {\n    // The commit',
  ]),
  danger('read: removed leader takes itself for the single voter', [
    'reads.ts',
    'core.tracker.isSingleton && core.tracker.isVoter(core.id);',
    'core.tracker.isSingleton;',
  ]),
  danger('read: no quorum round', [
    'reads.ts',
    "core.settings.readOnlyOption === 'leaseBased') {",
    'core.settings.readOnlyOption !== undefined) {',
  ]),
  mistake('transfer: proposals not blocked', [
    'proposals.ts',
    'if (core.leadTransferee !== NONE) {',
    OFF,
  ]),
  mistake('transfer: not aborted after timeout', [
    'ticks.ts',
    '    core.leadTransferee = NONE;\n',
    '',
  ]),
  mistake('transfer: TimeoutNow to lagging transferee', [
    'transfer.ts',
    'if (progress.match !== core.log.lastIndex()) {',
    OFF,
  ]),
  mistake('transfer: no TimeoutNow after catch-up', [
    'leader.ts',
    '    sendTimeoutNow(core, from);\n',
    '',
  ]),
  mistake('transfer: uses pre-vote', [
    'follower.ts',
    "startElection(core, 'transfer');",
    "startElection(core, core.settings.preVote ? 'preElection' : 'transfer');",
  ]),
  mistake('transfer: removed transferee not aborted', [
    'membership.ts',
    '    core.leadTransferee = NONE;\n',
    '',
  ]),
];

/** Mistakes: configuration. */
export const configuration = [
  danger('conf: pending index not set by new leader', [
    'roles.ts',
    '  core.pendingConfIndex = core.log.lastIndex();\n',
    '',
  ]),
  danger('conf: second pending change accepted', [
    'proposals.ts',
    'if (pendingConfIndex > log.applied) {',
    OFF,
  ]),
  mistake('conf: refused change dropped instead of emptied', [
    'proposals.ts',
    '    const type: EntryType = isAccepted',
    '    if (!isAccepted) continue;\n    const type: EntryType = isAccepted',
  ]),
  mistake('conf: joint not left automatically', [
    'applied.ts',
    "if (!isDue || core.role !== 'StateLeader') return;",
    'if (core.role !== undefined) return;',
  ]),
  mistake('conf: auto-leave not limited to leader', [
    'applied.ts',
    "if (!isDue || core.role !== 'StateLeader') return;",
    'if (!isDue) return;',
  ]),
  mistake('conf: no commit check after quorum shrinks', [
    'membership.ts',
    'if (maybeCommit(core)) {',
    OFF,
  ]),
  mistake('conf: new nodes not probed at once', [
    'membership.ts',
    'if (other !== id) maybeSendAppend(core, other, false);',
    'if (other === 0) maybeSendAppend(core, other, false);',
  ]),
  mistake('conf: removed leader does not step down', [
    'membership.ts',
    'if (core.settings.stepDownOnRemoval) becomeFollower(core, core.term, NONE);',
    '',
  ]),
  mistake('conf: removed leader still accepts proposals', [
    'proposals.ts',
    "if (!core.tracker.progress.has(core.id)) throw new ProposalDroppedError('notMember');",
    '',
  ]),
  danger('conf: demoted voter lost on leaving joint', [
    'confchange.ts',
    '    draft.learners.add(id);\n    const known = draft.progress.get(id);\n    if (known !== undefined) draft.progress.set(id, known.withLearner(true));\n',
    '',
  ]),
  danger(
    'conf: two voters may change without joint',
    ['confchange.ts', 'draft.incoming) > 1) {', 'draft.incoming) > 2) {'],
    ['membership.ts', 'if (changes.length === 1) return', 'return'],
  ),
  danger(
    'quorum: joint commit takes larger index',
    [
      'tracker.ts',
      'return Math.min(incoming, majorityIndex',
      'return Math.max(incoming, majorityIndex',
    ],
    ['quorum.ts', 'return Math.min(majorityIndex', 'return Math.max(majorityIndex'],
  ),
  danger('quorum: joint vote needs one majority', [
    'quorum.ts',
    'if (incoming === outgoing) return incoming;',
    "if (incoming === 'VoteWon') return incoming;\n  if (outgoing === 'VoteWon' && voters[1].size > 0) return outgoing;\n  if (incoming === outgoing) return incoming;",
  ]),
  danger('quorum: majority off by one', [
    'quorum.ts',
    'return Math.floor(count / 2) + 1;',
    'return Math.max(1, Math.floor(count / 2));',
  ]),
];
