import { ConfChangeError } from './errors.js';
import type { InflightLimits } from './inflights.js';
import { Inflights } from './inflights.js';
import type { Index, NodeId } from './numbers.js';
import { MAX_NODE_ID } from './numbers.js';
import { Progress } from './progress.js';
import type { TrackerConfig } from './status-types.js';
import { EMPTY_CONFIG } from './tracker.js';
import type { ConfChangeSingle, ConfState } from './types.js';

/** A configuration with what is known about its nodes: input and result of a change. */
export interface ChangerState {
  readonly config: TrackerConfig;
  readonly progress: ReadonlyMap<NodeId, Progress>;
  /** Last index of the log: where new nodes are probed first. */
  readonly lastIndex: Index;
  readonly limits: InflightLimits;
}

/** A configuration under construction. Progress is copied before its role changes. */
interface Draft {
  readonly incoming: Set<NodeId>;
  readonly outgoing: Set<NodeId>;
  readonly learners: Set<NodeId>;
  readonly learnersNext: Set<NodeId>;
  readonly progress: Map<NodeId, Progress>;
  autoLeave: boolean;
}

function draftOf({ config, progress }: ChangerState): Draft {
  return {
    incoming: new Set(config.voters[0]),
    outgoing: new Set(config.voters[1]),
    learners: new Set(config.learners),
    learnersNext: new Set(config.learnersNext),
    progress: new Map(progress),
    autoLeave: config.autoLeave,
  };
}

function finish(draft: Draft, state: ChangerState): ChangerState {
  const { incoming, outgoing, learners, learnersNext, progress, autoLeave } = draft;
  const config: TrackerConfig = {
    voters: [incoming, outgoing],
    learners,
    learnersNext,
    autoLeave,
  };
  checkConsistency(config, progress);
  return { config, progress, lastIndex: state.lastIndex, limits: state.limits };
}

/** Throws unless every node is tracked and has exactly the roles it can have at the same time. */
function checkConsistency(config: TrackerConfig, progress: ReadonlyMap<NodeId, Progress>): void {
  const [incoming, outgoing] = config.voters;
  for (const id of [...incoming, ...outgoing, ...config.learners, ...config.learnersNext]) {
    if (!progress.has(id)) throw new ConfChangeError(`no progress for ${id}`);
  }
  // Whoever leaves the outgoing majority as a learner votes until then.
  for (const id of config.learnersNext) {
    if (!outgoing.has(id)) {
      throw new ConfChangeError(`${id} is in LearnersNext, but not Voters[1]`);
    }
    if (progress.get(id)?.isLearner === true) {
      throw new ConfChangeError(`${id} is in LearnersNext, but is already marked as learner`);
    }
  }
  for (const id of config.learners) {
    if (outgoing.has(id)) throw new ConfChangeError(`${id} is in Learners and Voters[1]`);
    if (incoming.has(id)) throw new ConfChangeError(`${id} is in Learners and Voters[0]`);
    if (progress.get(id)?.isLearner !== true) {
      throw new ConfChangeError(`${id} is in Learners, but is not marked as learner`);
    }
  }
  if (outgoing.size === 0 && config.autoLeave) {
    throw new ConfChangeError('AutoLeave must be false when not joint');
  }
}

function newProgress(state: ChangerState, isLearner: boolean): Progress {
  // New nodes count as active until the first check of the quorum, which would otherwise find
  // somebody silent who never had a chance to speak.
  const next = Math.max(state.lastIndex, 1);
  const progress = new Progress(next, isLearner, new Inflights(state.limits));
  progress.recentActive = true;
  return progress;
}

function addVoter(draft: Draft, id: NodeId, state: ChangerState): void {
  const known = draft.progress.get(id);
  if (known === undefined) draft.progress.set(id, newProgress(state, false));
  else if (known.isLearner) draft.progress.set(id, known.withLearner(false));
  draft.learners.delete(id);
  draft.learnersNext.delete(id);
  draft.incoming.add(id);
}

function addLearner(draft: Draft, id: NodeId, state: ChangerState): void {
  const known = draft.progress.get(id);
  if (known?.isLearner === true) return;
  draft.incoming.delete(id);
  draft.learnersNext.delete(id);
  if (draft.outgoing.has(id)) {
    // Still a voter of the outgoing majority: it becomes a learner when that one is left.
    draft.learnersNext.add(id);
    return;
  }
  draft.learners.add(id);
  draft.progress.set(id, known?.withLearner(true) ?? newProgress(state, true));
}

function removeNode(draft: Draft, id: NodeId): void {
  draft.incoming.delete(id);
  draft.learners.delete(id);
  draft.learnersNext.delete(id);
  if (!draft.outgoing.has(id)) draft.progress.delete(id);
}

function applyChanges(
  draft: Draft,
  changes: readonly ConfChangeSingle[],
  state: ChangerState,
): void {
  for (const { type, nodeId } of changes) {
    // An application that vetoes a committed change replaces the id by zero.
    if (nodeId === 0) continue;
    switch (type) {
      case 'ConfChangeAddNode':
        addVoter(draft, nodeId, state);
        break;
      case 'ConfChangeAddLearnerNode':
        addLearner(draft, nodeId, state);
        break;
      case 'ConfChangeRemoveNode':
        removeNode(draft, nodeId);
        break;
      case 'ConfChangeUpdateNode':
        break;
    }
  }
  if (draft.incoming.size === 0) throw new ConfChangeError('removed all voters');
}

function differenceSize(before: ReadonlySet<NodeId>, after: ReadonlySet<NodeId>): number {
  let count = 0;
  for (const id of before) if (!after.has(id)) count++;
  for (const id of after) if (!before.has(id)) count++;
  return count;
}

/**
 * Applies changes at once; at most one voter may come or go.
 *
 * @throws ConfChangeError in a joint configuration, for more changes, or if no voter is left
 */
function simple(state: ChangerState, changes: readonly ConfChangeSingle[]): ChangerState {
  const before = state.config.voters;
  if (before[1].size > 0) {
    throw new ConfChangeError("can't apply simple config change in joint config");
  }
  const draft = draftOf(state);
  applyChanges(draft, changes, state);
  if (differenceSize(before[0], draft.incoming) > 1) {
    throw new ConfChangeError('more than one voter changed without entering joint config');
  }
  return finish(draft, state);
}

/**
 * Enters a joint configuration: the present majority becomes the outgoing one.
 *
 * @param state any state that is not joint and has voters
 * @param autoLeave whether the leader shall leave it by itself
 * @param changes any number of them
 * @throws ConfChangeError if that is not so, or if no voter is left
 */
function enterJoint(
  state: ChangerState,
  autoLeave: boolean,
  changes: readonly ConfChangeSingle[],
): ChangerState {
  const [incoming, outgoing] = state.config.voters;
  if (outgoing.size > 0) throw new ConfChangeError('config is already joint');
  if (incoming.size === 0) {
    throw new ConfChangeError("can't make a zero-voter config joint");
  }
  const draft = draftOf(state);
  for (const id of incoming) draft.outgoing.add(id);
  applyChanges(draft, changes, state);
  draft.autoLeave = autoLeave;
  return finish(draft, state);
}

/**
 * Leaves a joint configuration: the outgoing majority is gone, demoted voters become learners.
 *
 * @throws ConfChangeError in a configuration that is not joint
 */
function leaveJoint(state: ChangerState): ChangerState {
  const draft = draftOf(state);
  if (draft.outgoing.size === 0) {
    throw new ConfChangeError("can't leave a non-joint config");
  }
  for (const id of draft.learnersNext) {
    draft.learners.add(id);
    const known = draft.progress.get(id);
    if (known !== undefined) draft.progress.set(id, known.withLearner(true));
  }
  draft.learnersNext.clear();
  for (const id of draft.outgoing) {
    if (!draft.incoming.has(id) && !draft.learners.has(id)) draft.progress.delete(id);
  }
  draft.outgoing.clear();
  draft.autoLeave = false;
  return finish(draft, state);
}

/** The state without any node. */
function empty(limits: InflightLimits): ChangerState {
  return { config: EMPTY_CONFIG, progress: new Map(), lastIndex: 0, limits };
}

/**
 * The state that belongs to a stored configuration, with fresh progress.
 *
 * @param confState from a snapshot
 * @param lastIndex last index of the log
 * @param limits of the window of each follower
 * @throws ConfChangeError if no sequence of changes leads to such a configuration
 */
function restore(confState: ConfState, lastIndex: Index, limits: InflightLimits): ChangerState {
  const { voters, votersOutgoing, learners, learnersNext, autoLeave } = confState;
  const state: ChangerState = { ...empty(limits), lastIndex };
  const progress = new Map<NodeId, Progress>();
  for (const id of [...voters, ...votersOutgoing, ...learners]) {
    if (!Number.isSafeInteger(id) || id < 1 || id > MAX_NODE_ID) {
      throw new ConfChangeError(`${id} is not a node id`);
    }
    progress.set(id, newProgress(state, false));
  }
  for (const id of learners) progress.set(id, newProgress(state, true));
  if (voters.length === 0 && progress.size > 0) throw new ConfChangeError('removed all voters');
  const draft: Draft = {
    incoming: new Set(voters),
    outgoing: new Set(votersOutgoing),
    learners: new Set(learners),
    learnersNext: new Set(learnersNext),
    progress,
    autoLeave,
  };
  return finish(draft, state);
}

/** Functions that calculate configurations; all of them pure. */
export interface ConfChangeFunctions {
  readonly simple: typeof simple;
  readonly enterJoint: typeof enterJoint;
  readonly leaveJoint: typeof leaveJoint;
  readonly empty: typeof empty;
  readonly restore: typeof restore;
}

/** Calculation of configurations: simple changes, and joint ones for any number of changes. */
export const confchange: ConfChangeFunctions = {
  simple,
  enterJoint,
  leaveJoint,
  empty,
  restore,
};
