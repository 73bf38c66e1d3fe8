import { byteLength, limits, required } from '@conclave/kernel';
import { deliveryFields } from '@conclave/sealed';
import type { FrameSealer, KeyRing } from '@conclave/sealed';
import { isEnded } from '@conclave/state';
import type { AssignedTask, NodeAssignments, SealedValueRow, State } from '@conclave/state';
import type { AssignmentChunkInput, SecretPartInput, TaskAssignmentInput } from '@conclave/wire';
import { specMessage } from '../control/service-message.js';
import type { AssignmentDifference, VersionName } from './assignment-set.js';

/** One assignment on its way to one session. */
export interface AssignmentOrder {
  readonly kind: 'complete' | 'incremental';
  readonly appliesTo: number;
  readonly resultsIn: number;
  /** The set that the agent has once it has applied this; names the users of each version. */
  readonly wanted: NodeAssignments;
  readonly difference: AssignmentDifference;
  readonly state: () => State;
  readonly ring: () => KeyRing;
  readonly sealer: FrameSealer;
  /** Versions that the agent said it holds: named, not sent. */
  readonly isHeld: (name: VersionName) => boolean;
}

/** Bytes of frames, or of tasks, after which a chunk is closed. */
const CHUNK_BYTES = 512 * 1024;

/**
 * The chunks of an assignment, made as the reader takes them, so that a large set is never in
 * memory as a whole. Values are resealed for the session inside one call each.
 */
export function* assignmentChunks(order: AssignmentOrder): Generator<AssignmentChunkInput> {
  const { difference } = order;
  const state = order.state();
  const epoch = state.cluster()?.epoch ?? 0;
  const index = state.appliedIndex;
  const head = {
    kind: order.kind,
    appliesTo: order.appliesTo,
    resultsIn: order.resultsIn,
    index,
    clusterEpoch: epoch,
  };
  // Taken now: the state goes on while the reader takes its time.
  const versions = difference.versions.map((name) => ({
    name,
    sealed: state.secretVersion(name.secretId, name.version)?.sealed,
  }));
  const clusterId = state.cluster()?.id ?? '';
  let chunk = 0;
  const make = (fields: AssignmentChunkInput, last = false): AssignmentChunkInput => ({
    ...head,
    ...fields,
    chunk: chunk++,
    last,
  });
  for (const tasks of taskGroups(difference.tasks)) yield make({ tasks });
  for (const tasksRemoved of inGroups(difference.tasksRemoved)) yield make({ tasksRemoved });
  for (const removed of inGroups(difference.versionsRemoved)) {
    yield make({ secretsRemoved: removed });
  }
  let secrets: SecretPartInput[] = [];
  let size = 0;
  for (const version of versions) {
    for (const part of partsOf(order, version, { index, epoch, clusterId })) {
      secrets.push(part);
      size += part.frame?.length ?? 0;
      if (size < CHUNK_BYTES && secrets.length < limits.ASSIGNMENT_ITEMS_MAX) continue;
      yield make({ secrets });
      secrets = [];
      size = 0;
    }
  }
  yield make({ secrets }, true);
}

function partsOf(
  order: AssignmentOrder,
  { name, sealed }: { readonly name: VersionName; readonly sealed: SealedValueRow | undefined },
  at: { readonly index: number; readonly epoch: number; readonly clusterId: string },
): SecretPartInput[] {
  if (order.isHeld(name)) return [{ ...name, part: 0, parts: 0, held: true }];
  // State resolves a binding to a destroyed version as undeliverable, so it is never wanted.
  // The newest seal: the key of an older one may be retired while the reader takes its time.
  const newest = order.state().secretVersion(name.secretId, name.version)?.sealed;
  const value = required(newest ?? sealed, 'a wanted version');
  const frames = order.sealer.sealValueParts({
    ring: order.ring(),
    clusterId: at.clusterId,
    ...name,
    sealed: value,
    partBytes: limits.DELIVERY_PART_BYTES_MAX,
    aad: deliveryFields({
      ...name,
      index: at.index,
      clusterEpoch: at.epoch,
      taskIds: usersOf(order.wanted, name),
    }),
  });
  return frames.map((frame, part) => ({ ...name, part, parts: frames.length, frame }));
}

function usersOf(wanted: NodeAssignments, name: VersionName): string[] {
  return wanted.tasks
    .filter((assigned) => secretsOf(assigned).some((used) => isSame(used, name)))
    .map((assigned) => assigned.task.id);
}

const isSame = (left: VersionName, right: VersionName): boolean =>
  left.secretId === right.secretId && left.version === right.version;

function secretsOf(
  assigned: AssignedTask,
): { binding: number; secretId: string; version: number }[] {
  if (assigned.undeliverable !== '') return [];
  return assigned.bindings.map(({ binding, version }, position) => ({
    binding: position,
    secretId: binding.secretId,
    version,
  }));
}

function toAssignment(assigned: AssignedTask): TaskAssignmentInput {
  const { task, undeliverable } = assigned;
  return {
    id: task.id,
    serviceId: task.serviceId,
    serviceName: task.serviceName,
    slot: task.slot,
    // One that has ended must not start again on a node that has forgotten it.
    desiredState: isEnded(task.state) ? 'SHUTDOWN' : task.desiredState,
    spec: specMessage(task.spec),
    secrets: secretsOf(assigned),
    objectVersion: task.objectVersion,
    undeliverable,
  };
}

/** Tasks with long commands and many bindings are large: groups of them are bounded by bytes too. */
function* taskGroups(tasks: readonly AssignedTask[]): Generator<TaskAssignmentInput[]> {
  let group: TaskAssignmentInput[] = [];
  let size = 0;
  for (const assigned of tasks) {
    const task = toAssignment(assigned);
    const bytes = byteLength(JSON.stringify(task));
    if (group.length >= limits.ASSIGNMENT_ITEMS_MAX || (size > 0 && size + bytes > CHUNK_BYTES)) {
      yield group;
      group = [];
      size = 0;
    }
    group.push(task);
    size += bytes;
  }
  if (group.length > 0) yield group;
}

function* inGroups<T>(items: readonly T[]): Generator<T[]> {
  for (let start = 0; start < items.length; start += limits.ASSIGNMENT_ITEMS_MAX) {
    yield items.slice(start, start + limits.ASSIGNMENT_ITEMS_MAX);
  }
}
