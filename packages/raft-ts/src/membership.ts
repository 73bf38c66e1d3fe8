import { confchange } from './confchange.js';
import type { ChangerState } from './confchange.js';
import type { RaftCore } from './core.js';
import { describeConfig } from './describe-config.js';
import { ConfChangeError } from './errors.js';
import { NONE } from './numbers.js';
import { broadcastAppend, maybeCommit, maybeSendAppend } from './replication.js';
import { hex } from './reporter.js';
import { becomeFollower } from './roles.js';
import type { ConfChange, ConfState } from './types.js';

/**
 * Puts a committed change into effect.
 *
 * @throws RaftInvariantError if it is not possible from the present configuration: with validation
 *   on this is a bug, or the log comes from elsewhere
 */
export function applyConfChange(core: RaftCore, change: ConfChange): ConfState {
  return adopt(
    core,
    attempt(() => changed(stateOf(core), change)),
  );
}

/** Replaces the configuration by a stored one, forgetting what is known about all nodes. */
export function restoreConfState(core: RaftCore, confState: ConfState): void {
  const { tracker, log } = core;
  adopt(
    core,
    attempt(() => confchange.restore(confState, log.lastIndex(), tracker.limits)),
  );
}

/**
 * Why a change cannot be made to the present configuration. In the log it would end every member
 * that applies it, now and after each restart.
 *
 * @returns undefined if it can
 */
export function impossibilityOf(core: RaftCore, change: ConfChange): string | undefined {
  const result = attempt(() => changed(stateOf(core), change));
  return result instanceof ConfChangeError ? result.message : undefined;
}

function stateOf({ tracker, log }: RaftCore): ChangerState {
  const { config, progress, limits } = tracker;
  return { config, progress, lastIndex: log.lastIndex(), limits };
}

/** Which calculation a change asks for. */
function changed(state: ChangerState, change: ConfChange): ChangerState {
  if (change.version === 1) return confchange.simple(state, [change.change]);
  const { transition, changes } = change;
  if (transition === 'auto') {
    if (changes.length === 0) return confchange.leaveJoint(state);
    // Several changes might be possible at once, depending on the configuration; being joint for a
    // moment is always safe.
    if (changes.length === 1) return confchange.simple(state, changes);
  }
  return confchange.enterJoint(state, transition !== 'jointExplicit', changes);
}

function attempt(calculate: () => ChangerState): ChangerState | ConfChangeError {
  try {
    return calculate();
  } catch (error) {
    if (error instanceof ConfChangeError) return error;
    throw error;
  }
}

/** Puts a configuration into effect, with what follows from it for a leader. */
function adopt(core: RaftCore, state: ChangerState | ConfChangeError): ConfState {
  if (state instanceof ConfChangeError) core.fail(state.message);
  const { tracker, id } = core;
  tracker.adopt(state.config, state.progress);
  const confState = tracker.confState();
  core.settings.trace?.({ kind: 'config', id, confState });
  if (core.wants('INFO')) {
    const text = `switched to configuration ${describeConfig(tracker.config)}`;
    core.write('INFO', `${hex(id)} ${text}`);
  }
  const own = tracker.progress.get(id);
  core.isLearner = own?.isLearner === true;
  if (core.role !== 'StateLeader') return confState;
  if (own === undefined || core.isLearner) {
    // Removed or demoted. Followers with a long log could be asked to take over; elections do.
    if (core.settings.stepDownOnRemoval) becomeFollower(core, core.term, NONE);
    return confState;
  }
  if (maybeCommit(core)) {
    // A smaller quorum has committed what waited for the larger one.
    broadcastAppend(core);
  } else {
    // New nodes need not wait for the next heartbeat.
    for (const other of tracker.ids) if (other !== id) maybeSendAppend(core, other, false);
  }
  if (core.leadTransferee !== NONE && !tracker.isVoter(core.leadTransferee)) {
    core.leadTransferee = NONE;
  }
  return confState;
}
