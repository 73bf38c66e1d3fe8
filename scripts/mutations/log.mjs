import { danger, mistake } from './mistake.mjs';

/** Mistakes: appends. */
export const appends = [
  danger('commit: previous-term entries counted', [
    'replication.ts',
    'core.log.maybeCommit(index, core.term)',
    'core.log.maybeCommit(index, core.log.termOrZero(index))',
  ]),
  danger('append: follower commits beyond last new entry', [
    'log.ts',
    'this.commitTo(Math.min(committed, last));',
    'this.commitTo(Math.min(committed, this.lastIndex()));',
  ]),
  danger('append: always truncates on append', [
    'log.ts',
    'const conflict = this.#findConflict(entries);',
    'const conflict = entries.length > 0 ? previous.index + 1 : 0;',
  ]),
  mistake('append: no reject hint search on follower', [
    'follower.ts',
    'const hint = log.findConflictByTerm(Math.min(index, log.lastIndex()), logTerm);',
    'const at = Math.min(index, log.lastIndex());\n  const hint = { index: at, term: log.termOrZero(at) };',
  ]),
  mistake('append: no reject hint search on leader', [
    'leader.ts',
    'logTerm > 0 ? core.log.findConflictByTerm(rejectHint, logTerm).index : rejectHint;',
    'rejectHint;',
  ]),
  mistake('append: below-commit MsgApp answered with its own index', [
    'follower.ts',
    'answer.index = log.committed;',
    'answer.index = index;',
  ]),
  danger('heartbeat: commit not capped by match', [
    'replication.ts',
    'message.commit = Math.min(progress.match, log.committed);',
    'message.commit = log.committed;',
  ]),
];

/** Mistakes: durability. */
export const durability = [
  danger('durability: vote requests not deferred', [
    'core.ts',
    'this.settings.deferVoteRequests && this.settings.asyncStorageWrites',
    'false',
  ]),
  danger('durability: vote responses not deferred', [
    'core.ts',
    "case 'MsgVoteResp':\n      case 'MsgPreVoteResp':\n        waitsForWrites = true;",
    "case 'MsgVoteResp':\n      case 'MsgPreVoteResp':\n        waitsForWrites = message.to === this.id;",
  ]),
  danger('durability: append responses not deferred', [
    'core.ts',
    "case 'MsgAppResp':\n        waitsForWrites = true;",
    "case 'MsgAppResp':\n        waitsForWrites = message.to === this.id;",
  ]),
  danger('durability: leader counts own entries at once', [
    'replication.ts',
    '  answer.index = core.log.lastIndex();\n  core.send(answer);',
    '  answer.index = core.log.lastIndex();\n  core.tracker.progress.get(id)?.maybeUpdate(answer.index);\n  maybeCommit(core);\n  core.send(answer);',
  ]),
  mistake('durability: MustSync on commit-only change', [
    'ready.ts',
    'mustSync: entries.length > 0 || isNewTermOrVote,',
    'mustSync: entries.length > 0 || !this.#isHardStateKnown(),',
  ]),
  danger('durability: MustSync ignores vote', [
    'ready.ts',
    'term !== this.#hardState.term || vote !== this.#hardState.vote;',
    'term !== this.#hardState.term;',
  ]),
  danger('async: append response without term', [
    'ready.ts',
    '    answer.term = term;\n    if (log.unstable',
    '    if (log.unstable',
  ]),
  mistake('async: append response only with entries', [
    'ready.ts',
    'return unstable.length > 0 || unstable.nextSnapshot() !== undefined;',
    'return unstable.hasNextEntries() || unstable.nextSnapshot() !== undefined;',
  ]),
  danger('async: stableTo ignores term mismatch', [
    'unstable.ts',
    'if (term === id.term && id.index >= offset) {',
    'if (term !== undefined && id.index >= offset) {',
  ]),
  danger('async: applies unstable entries', [
    'log.ts',
    'return allowUnstable ? this.committed : Math.min(this.committed, this.unstable.offset - 1);',
    'return this.committed;',
  ]),
  danger('async: in-progress offset not regressed on truncate', [
    'unstable.ts',
    '      this.offsetInProgress = Math.min(this.offsetInProgress, from);\n',
    '',
  ]),
  mistake('async: storage append resp before other responses', [
    'ready.ts',
    'return messagesAfterAppend.concat(this.#appendAnswer() as Message);',
    'return [this.#appendAnswer() as Message, ...messagesAfterAppend];',
  ]),
];
