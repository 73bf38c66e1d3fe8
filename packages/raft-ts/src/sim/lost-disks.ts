import { LEAVE_JOINT } from '../codec/conf-change.js';
import type { ConfChange } from '../types.js';
import type { Subject } from './subject.js';
import type { World } from './world.js';

/**
 * Whether an operator can cope with the loss of a disk: nobody else is away for good, no change is
 * on its way, and without the member there is still a majority that is one without it, too.
 */
export function mayLoseDisk({ members }: World, { id }: Subject): boolean {
  const present = members.filter((member) => member !== undefined);
  if (present.some(({ isUp, isRetired }) => !isUp && !isRetired)) return false;
  return present.every(({ core, confState, isUp, isLost, applied }) => {
    if (isLost) return false;
    if (!isUp) return true;
    const { voters } = confState;
    const isSteady = confState.votersOutgoing.length === 0 && core.log.lastIndex() === applied;
    return isSteady && (voters.length >= 3 || !voters.includes(id));
  });
}

/** What an operator does about a lost disk: its member is removed before anything else is changed. */
export function removalOfLost({ members }: World, leader: Subject): ConfChange | undefined {
  const { tracker } = leader.core;
  const lost = tracker.ids.find((id) => members[id]?.isLost === true);
  if (lost === undefined) return undefined;
  if (tracker.isJoint) return LEAVE_JOINT;
  return { version: 1, change: { type: 'ConfChangeRemoveNode', nodeId: lost } };
}
