import type { RaftCore } from './core.js';
import { describeConfig } from './describe-config.js';
import { ProposalDroppedError } from './errors.js';
import { NO_BYTES } from './messages.js';
import type { Bytes, Index } from './numbers.js';
import { proposeAsLeader, releaseUncommitted } from './proposals.js';
import { entriesSize, payloadsSize } from './sizes.js';
import type { Entry, Snapshot } from './types.js';

/** Leaves a joint configuration; has no size, so that it cannot be refused for it. */
const AUTO_LEAVE: readonly Entry[] = [
  { term: 0, index: 0, type: 'EntryConfChangeV2', data: NO_BYTES },
];

/** Notes that entries were applied. */
export function handleAppliedEntries(core: RaftCore, entries: readonly Entry[]): void {
  const last = entries[entries.length - 1];
  if (last === undefined) return;
  appliedTo(core, last.index, entriesSize(entries));
  releaseUncommitted(core, payloadsSize(entries));
}

/** Notes that a snapshot is durable and applied; valid in any term, since it is committed. */
export function handleAppliedSnapshot(core: RaftCore, snapshot: Snapshot): void {
  const { index } = snapshot.metadata;
  core.log.unstable.stableSnapshotTo(index);
  appliedTo(core, index, 0);
}

/**
 * Raises the applied index. Whoever leads then also leaves a joint configuration that is to be left
 * by itself; this is tried again with everything that is applied, since it fails during a transfer.
 */
export function appliedTo(core: RaftCore, index: Index, size: Bytes): void {
  const { log, tracker } = core;
  const applied = Math.max(index, log.applied);
  log.appliedTo(applied, size);
  const isDue = tracker.config.autoLeave && applied >= core.pendingConfIndex;
  if (!isDue || core.role !== 'StateLeader') return;
  try {
    proposeAsLeader(core, AUTO_LEAVE);
  } catch (error) {
    if (!(error instanceof ProposalDroppedError)) throw error;
    if (core.wants('DEBUG')) {
      const what = 'not initiating automatic transition out of joint configuration';
      core.write('DEBUG', `${what} ${describeConfig(tracker.config)}: ${error.message}`);
    }
    return;
  }
  if (core.wants('INFO')) {
    const what = 'initiating automatic transition out of joint configuration';
    core.write('INFO', `${what} ${describeConfig(tracker.config)}`);
  }
}
