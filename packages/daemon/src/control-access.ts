import { ConclaveError } from '@conclave/kernel';
import type { ControlApi } from '@conclave/manager';
import type { Member } from './member.js';
import type { SlotAdmin } from './slot-admin.js';

/**
 * The control API of this host.
 * @throws CV_NOT_INITIALIZED on a host that is no member, CV_NOT_MANAGER on a worker
 */
export function controlOf(member: Pick<Member, 'control'> | undefined): ControlApi {
  if (member === undefined) {
    throw new ConclaveError('CV_NOT_INITIALIZED', 'this host is not a member of a cluster');
  }
  if (member.control !== undefined) return member.control;
  throw new ConclaveError('CV_NOT_MANAGER', 'this host is a worker: ask a manager');
}

/**
 * The key slots of this host's manager.
 * @throws CV_NOT_INITIALIZED on a host that is no member, CV_NOT_MANAGER on a worker, CV_LOCKED
 */
export function slotsOf(member: Pick<Member, 'slots'> | undefined): SlotAdmin {
  if (member === undefined) {
    throw new ConclaveError('CV_NOT_INITIALIZED', 'this host is not a member of a cluster');
  }
  if (member.slots !== undefined) return member.slots;
  throw new ConclaveError('CV_NOT_MANAGER', 'this host is a worker: its key is not locked');
}
