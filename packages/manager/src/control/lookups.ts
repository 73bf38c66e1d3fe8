import { ConclaveError, isConclaveError, isId } from '@conclave/kernel';
import type {
  AdminRow,
  ClusterRow,
  NodeRow,
  SecretRow,
  ServiceRow,
  State,
  TaskRow,
} from '@conclave/state';
import type { ControlDependencies } from './dependencies.js';
import { invalid } from './invalid.js';
import { lookUp } from './reading.js';

/** Longest id or name that is looked up; anything longer cannot exist. */
const REFERENCE_LENGTH_MAX = 253;
/** Milliseconds a client is told to wait for a manager that is being brought up to date. */
const RETRY_AFTER_MS = 500;

function demandReference(field: string, reference: string): void {
  if (reference === '') throw invalid(field, 'is missing: give an id or a name');
  if (reference.length > REFERENCE_LENGTH_MAX) {
    throw invalid(field, `is over ${REFERENCE_LENGTH_MAX} characters`);
  }
}

/** @throws CV_STATE_STALE on a manager that is so new that the tables have not arrived */
export function clusterOf(state: State): ClusterRow {
  const cluster = state.cluster();
  if (cluster !== undefined) return cluster;
  throw new ConclaveError('CV_STATE_STALE', 'this manager has not received the state yet', {
    retryAfterMs: RETRY_AFTER_MS,
  });
}

/** By name, else by id. @throws CV_ARGUMENT_INVALID, CV_SECRET_NOT_FOUND */
export function secretOf(state: State, reference: string): SecretRow {
  demandReference('secret', reference);
  const row = state.secretByName(reference) ?? byId(reference, (id) => state.secretById(id));
  if (row !== undefined) return row;
  throw new ConclaveError('CV_SECRET_NOT_FOUND', 'no secret has this name or id');
}

/** By name, else by id. @throws CV_ARGUMENT_INVALID, CV_SERVICE_NOT_FOUND */
export function serviceOf(state: State, reference: string): ServiceRow {
  demandReference('service', reference);
  const row = state.serviceByName(reference) ?? byId(reference, (id) => state.serviceById(id));
  if (row !== undefined) return row;
  throw new ConclaveError('CV_SERVICE_NOT_FOUND', 'no service has this name or id');
}

/** By name, else by id. @throws CV_ARGUMENT_INVALID, CV_ADMIN_NOT_FOUND */
export function adminOf(state: State, reference: string): AdminRow {
  demandReference('admin', reference);
  const row = state.adminByName(reference) ?? byId(reference, (id) => state.adminById(id));
  if (row !== undefined) return row;
  throw new ConclaveError('CV_ADMIN_NOT_FOUND', 'no administrator has this name or id');
}

/** By id. @throws CV_ARGUMENT_INVALID, CV_TASK_NOT_FOUND */
export function taskOf(state: State, reference: string): TaskRow {
  demandReference('task', reference);
  const row = byId(reference, (id) => state.taskById(id));
  if (row !== undefined) return row;
  throw new ConclaveError('CV_TASK_NOT_FOUND', 'no task has this id');
}

/**
 * By id, "self" or a host name that only one node has.
 * @throws CV_ARGUMENT_INVALID, CV_NODE_NOT_FOUND
 */
export function nodeOf(state: State, reference: string, selfNodeId: string): NodeRow {
  demandReference('node', reference);
  if (reference === 'self' && selfNodeId === '') {
    throw invalid('node', '"self" is for commands on the host itself: give an id or a host name');
  }
  const id = reference === 'self' ? selfNodeId : reference;
  const row = byId(id, (nodeId) => state.nodeById(nodeId));
  if (row !== undefined) return row;
  const named = [...state.nodeByHostname(reference)];
  const only = named[0];
  if (only === undefined) {
    throw new ConclaveError('CV_NODE_NOT_FOUND', 'no node has this id or host name');
  }
  if (named.length === 1) return only;
  throw invalid('node', `is a host name of ${named.length} nodes: give the id`);
}

/**
 * The id that a removal is about. With an idempotency key, a reference that is not found is passed
 * on as it is: apply may remember that this very request removed it; else it finds nothing either.
 */
export async function idForRemoval(
  deps: ControlDependencies,
  request: { readonly reference: string; readonly idempotencyKey: string },
  find: (state: State, reference: string) => { readonly id: string },
): Promise<string> {
  try {
    return (await lookUp(deps, (state) => find(state, request.reference))).id;
  } catch (error) {
    const isMissing = isConclaveError(error) && error.kind === 'missing';
    if (!isMissing || request.idempotencyKey === '') throw error;
    return request.reference;
  }
}

function byId<Row>(reference: string, find: (id: string) => Row | undefined): Row | undefined {
  return isId(reference) ? find(reference) : undefined;
}
