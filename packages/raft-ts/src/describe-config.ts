import type { NodeId } from './numbers.js';
import { hex } from './reporter.js';
import type { ProgressView, TrackerConfig } from './status-types.js';
import { sorted } from './tracker.js';
import type { ConfChange, ConfChangeType, ConfState } from './types.js';

const LETTERS: Readonly<Record<ConfChangeType, string>> = {
  ConfChangeAddNode: 'v',
  ConfChangeAddLearnerNode: 'l',
  ConfChangeRemoveNode: 'r',
  ConfChangeUpdateNode: 'u',
};

function idSet(ids: Iterable<NodeId>): string {
  return `(${sorted(ids).map(hex).join(' ')})`;
}

/** A configuration in effect, such as `voters=(1 2)&&(1) learners=(3)`. */
export function describeConfig(config: TrackerConfig): string {
  let text = `voters=${idSet(config.voters[0])}`;
  if (config.voters[1].size > 0) text += `&&${idSet(config.voters[1])}`;
  if (config.learners.size > 0) text += ` learners=${idSet(config.learners)}`;
  if (config.learnersNext.size > 0) text += ` learners_next=${idSet(config.learnersNext)}`;
  return config.autoLeave ? `${text} autoleave` : text;
}

/** A stored configuration, such as `Voters:[1 2] VotersOutgoing:[] ... AutoLeave:false`. */
export function describeConfState(state: ConfState): string {
  return (
    `Voters:[${state.voters.join(' ')}] VotersOutgoing:[${state.votersOutgoing.join(' ')}] ` +
    `Learners:[${state.learners.join(' ')}] LearnersNext:[${state.learnersNext.join(' ')}] ` +
    `AutoLeave:${state.autoLeave}`
  );
}

/** The steps of a change, such as `v1 l2`. */
export function describeConfChange(change: ConfChange): string {
  const changes = change.version === 1 ? [change.change] : change.changes;
  return changes.map(({ type, nodeId }) => `${LETTERS[type]}${nodeId}`).join(' ');
}

/** What a leader knows about a follower, such as `StateReplicate match=3 next=4 inflight=2`. */
export function describeProgress(progress: ProgressView): string {
  const { state, match, next, pendingSnapshot, inflights } = progress;
  let text = `${state} match=${match} next=${next}`;
  if (progress.isLearner) text += ' learner';
  if (progress.paused) text += ' paused';
  if (pendingSnapshot > 0) text += ` pendingSnap=${pendingSnapshot}`;
  if (!progress.recentActive) text += ' inactive';
  if (inflights.count > 0) text += ` inflight=${inflights.count}${inflights.full ? '[full]' : ''}`;
  return text;
}
