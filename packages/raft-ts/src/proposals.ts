import { changesOf, decodeConfChange } from './codec/conf-change.js';
import type { RaftCore } from './core.js';
import { describeConfig } from './describe-config.js';
import { ProposalDroppedError } from './errors.js';
import { impossibilityOf } from './membership.js';
import { NO_BYTES } from './messages.js';
import { NONE } from './numbers.js';
import { appendOwn, broadcastAppend } from './replication.js';
import { hex } from './reporter.js';
import type { ConfChange, Entry, EntryType } from './types.js';

const TRANSITION_NAMES = {
  auto: 'ConfChangeTransitionAuto',
  jointImplicit: 'ConfChangeTransitionJointImplicit',
  jointExplicit: 'ConfChangeTransitionJointExplicit',
} as const;

/**
 * Appends proposals to the log of a leader and sends them on.
 *
 * @param proposed nonempty; only type and payload count
 * @throws ProposalDroppedError
 */
export function proposeAsLeader(core: RaftCore, proposed: readonly Entry[]): void {
  if (!core.tracker.progress.has(core.id)) throw new ProposalDroppedError('notMember');
  if (core.leadTransferee !== NONE) {
    if (core.wants('DEBUG')) {
      const transfer = `transfer leadership to ${hex(core.leadTransferee)} is in progress`;
      const text = `${hex(core.id)} [term ${core.term}] ${transfer}; dropping proposal`;
      core.write('DEBUG', text);
    }
    throw new ProposalDroppedError('transferInProgress');
  }
  const last = core.log.lastIndex();
  const entries: Entry[] = [];
  for (const entry of proposed) {
    const index = last + 1 + entries.length;
    const isAccepted = entry.type === 'EntryNormal' || acceptChange(core, entry, index);
    const type: EntryType = isAccepted ? entry.type : 'EntryNormal';
    entries.push({ term: core.term, index, type, data: isAccepted ? entry.data : NO_BYTES });
  }
  if (!reserve(core, entries)) {
    if (core.wants('WARN')) {
      const reason = 'appending new entries to log would exceed uncommitted entry size limit';
      core.write('WARN', `${hex(core.id)} ${reason}; dropping proposal`);
    }
    throw new ProposalDroppedError('uncommittedLimit');
  }
  appendOwn(core, entries);
  broadcastAppend(core);
}

/** Appends the entry without payload that a new leader starts with. */
export function appendFirstEntry(core: RaftCore): void {
  const index = core.log.lastIndex() + 1;
  appendOwn(core, [{ term: core.term, index, type: 'EntryNormal', data: NO_BYTES }]);
}

/** Counts payload into the uncommitted tail, unless that would make it too large. */
function reserve(core: RaftCore, entries: readonly Entry[]): boolean {
  let size = 0;
  for (const entry of entries) size += entry.data.length;
  const sizeAfter = core.uncommittedSize + size;
  // An empty tail admits any size, or an entry above the limit could never be proposed. Entries
  // without payload are always admitted: a leader needs them to start and to leave joint states.
  const isLimited = core.uncommittedSize > 0 && size > 0;
  if (isLimited && sizeAfter > core.settings.maxUncommittedEntriesSize) return false;
  core.uncommittedSize = sizeAfter;
  return true;
}

/** Takes committed payload out of the count; an estimate that never goes below zero. */
export function releaseUncommitted(core: RaftCore, size: number): void {
  core.uncommittedSize = Math.max(0, core.uncommittedSize - size);
}

/**
 * Whether a change may go into the log. One that may not becomes an empty entry, without an error
 * for the proposer, who has to look at what is committed.
 */
function acceptChange(core: RaftCore, entry: Entry, index: number): boolean {
  const change = decodeConfChange(entry);
  const problem = problemOf(core, change);
  if (problem !== undefined && !core.settings.disableConfChangeValidation) {
    if (core.wants('INFO')) {
      const config = describeConfig(core.tracker.config);
      const text = `ignoring conf change ${describeProposed(change)} at config ${config}`;
      core.write('INFO', `${hex(core.id)} ${text}: ${problem}`);
    }
    return false;
  }
  core.pendingConfIndex = index;
  return true;
}

function problemOf(core: RaftCore, change: ConfChange): string | undefined {
  const { pendingConfIndex, tracker, log } = core;
  const isLeaving = changesOf(change).length === 0;
  if (pendingConfIndex > log.applied) {
    const range = `at index ${pendingConfIndex} (applied to ${log.applied})`;
    return `possible unapplied conf change ${range}`;
  }
  if (tracker.isJoint && !isLeaving) return 'must transition out of joint config first';
  if (!tracker.isJoint && isLeaving) return 'not in joint state; refusing empty conf change';
  // All earlier changes are applied, so this is the configuration that it will meet.
  return impossibilityOf(core, change);
}

/** A change as log lines show it; without its context, which belongs to the application. */
function describeProposed(change: ConfChange): string {
  const transition = change.version === 1 ? 'auto' : change.transition;
  const steps = changesOf(change).map(
    ({ type, nodeId }) => ` changes:{type:${type} node_id:${nodeId}}`,
  );
  return `transition:${TRANSITION_NAMES[transition]}${steps.join('')}`;
}
