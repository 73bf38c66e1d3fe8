import { danger, mistake, OFF } from './mistake.mjs';

/** Mistakes: snapshotsAndFlow. */
export const snapshotsAndFlow = [
  mistake('snapshot: sent to inactive follower', [
    'replication.ts',
    'if (!progress.recentActive) {',
    OFF,
  ]),
  mistake('snapshot: matching log not fast-forwarded', [
    'snapshots.ts',
    'if (log.matches(index, term)) {',
    OFF,
  ]),
  danger('snapshot: restores although not a member', [
    'snapshots.ts',
    'if (![voters, votersOutgoing, learners].some((ids) => ids.includes(core.id))) {',
    OFF,
  ]),
  mistake('snapshot: leaves StateSnapshot only at pending index', [
    'leader.ts',
    'progress.match + 1 >= core.log.firstIndex()',
    'progress.match >= progress.pendingSnapshot',
  ]),
  danger('snapshot: configuration not restored', [
    'snapshots.ts',
    '  restoreConfState(core, confState);\n',
    '',
  ]),
  danger('snapshot: old snapshot applied', [
    'snapshots.ts',
    '  if (index <= log.committed) return false;\n',
    '',
  ]),
  mistake('flow: heartbeat response does not unpause', [
    'leader.ts',
    '  progress.isFlowPaused = false;\n',
    '',
  ]),
  mistake('flow: no empty probe when inflights full', [
    'replication.ts',
    'if (entries.length === 0 && !isEmptyWanted) return false;',
    'if (entries.length === 0 && (isThrottled || !isEmptyWanted)) return false;',
  ]),
  mistake('flow: unreachable does not probe', [
    'leader.ts',
    "      if (progress.state === 'StateReplicate') progress.becomeProbe();\n      if (core",
    '      if (core',
  ]),
  mistake('flow: acked probe at match does not resume', [
    'leader.ts',
    "progress.match === index && progress.state === 'StateProbe';",
    'false as boolean;',
  ]),
  mistake('flow: ack frees only one inflight', [
    'inflights.ts',
    'while (this.count > 0 &&',
    'if (this.count > 0 &&',
  ]),
  mistake('flow: stale rejection accepted in probe', [
    'progress.ts',
    'if (this.next - 1 !== rejected) return false;',
    '',
  ]),
  mistake('flow: stale rejection accepted in replicate', [
    'progress.ts',
    'if (rejected <= this.match) return false;',
    '',
  ]),
  mistake('flow: rejection keeps replicating', [
    'leader.ts',
    "  if (progress.state === 'StateReplicate') progress.becomeProbe();\n  sendAppend(core, from);",
    '  sendAppend(core, from);',
  ]),
  mistake(
    'flow: commit index never pushed eagerly',
    [
      'leader.ts',
      '    releasePostponedReads(core);\n    broadcastAppend(core);',
      '    releasePostponedReads(core);',
    ],
    ['leader.ts', 'progress.canBumpCommit(core.log.committed)', '(false as boolean)'],
  ),
  mistake('flow: new leader does not broadcast', [
    'candidate.ts',
    '  announceLeader(core);\n  broadcastAppend(core);',
    '  announceLeader(core);',
  ]),
];

/** Mistakes: limits. */
export const limits = [
  mistake(
    'limits: applying quota ignored',
    [
      'log.ts',
      'const quota = this.applyingSizeMax - this.#applyingSize;',
      'const quota = Number.POSITIVE_INFINITY;',
    ],
    ['log.ts', 'if (this.#isApplyingPaused || this', 'if (this'],
  ),
  mistake('limits: uncommitted size never reduced', [
    'applied.ts',
    '  releaseUncommitted(core, payloadsSize(entries));\n',
    '',
  ]),
  mistake('limits: uncommitted size ignored', [
    'proposals.ts',
    'const isLimited = core.uncommittedSize > 0 && size > 0;',
    'const isLimited = false as boolean;',
  ]),
  mistake('limits: max size per message ignored', [
    'replication.ts',
    'log.entriesFrom(progress.next, core.settings.maxSizePerMsg)',
    'log.entriesFrom(progress.next, Number.POSITIVE_INFINITY)',
  ]),
  danger('forget leader: allowed with lease reads', [
    'follower.ts',
    "if (core.settings.readOnlyOption === 'leaseBased') {",
    OFF,
  ]),
  danger('step: response from unknown peer accepted', [
    'raw-node.ts',
    "if (kind === 'response' && !this.#core.tracker.progress.has(from)) {",
    OFF,
  ]),
  danger('step: local message from network accepted', [
    'raw-node.ts',
    "if (kind === 'local') throw new StepError('STEP_LOCAL_MESSAGE');",
    '',
  ]),
];
