import { byteLength, checkLabels, ConclaveError, limits } from '@conclave/kernel';
import { compareNatural, isEnded } from '@conclave/state';
import type { ExposureRow, NodeRow, State } from '@conclave/state';
import type {
  ApproveNodeRequest,
  ExposedVersionInput,
  GetNodeRequest,
  ListNodesRequest,
  NodeExposureRequest,
  NodeInput,
  NodePageInput,
  RemoveNodeRequest,
  RemoveNodeResponseInput,
  SetNodeRoleRequest,
  UpdateNodeRequest,
} from '@conclave/wire';
import { commit, numberOf, textOf } from './commit.js';
import type { CallContext, ControlDependencies } from './dependencies.js';
import { requestOf } from './fingerprint.js';
import { checkCount, invalid, oneOf } from './invalid.js';
import { idForRemoval, nodeOf } from './lookups.js';
import { pagesOf, weightOfPairs, weightOfTexts } from './pages.js';
import { lookUp, readState } from './reading.js';

/** Exposed versions that the answer to a removal names; the rest is for `exposure`. */
export const REMOVAL_HELD_MAX = 1_000;

/** Everything but its message and labels: ids, addresses and names have limits of their own. */
const FIXED_BYTES_MAX = 3_000;

/** The handlers of the service `Nodes`. */
export interface NodesHandlers {
  get(request: GetNodeRequest, call: CallContext): Promise<NodeInput>;
  list(request: ListNodesRequest, call: CallContext): AsyncGenerator<NodePageInput, void>;
  update(request: UpdateNodeRequest, call: CallContext): Promise<NodeInput>;
  remove(request: RemoveNodeRequest, call: CallContext): Promise<RemoveNodeResponseInput>;
  approve(request: ApproveNodeRequest, call: CallContext): Promise<NodeInput>;
  setRole(request: SetNodeRoleRequest, call: CallContext): Promise<NodeInput>;
  exposure(
    request: NodeExposureRequest,
    call: CallContext,
  ): AsyncGenerator<ExposedVersionInput, void>;
}

/** Handlers over `deps`. Writes need the leader. */
export function createNodesHandlers(deps: ControlDependencies): NodesHandlers {
  return {
    get: (request, call) => getNode(deps, request, call),
    list: (request) => listNodes(deps, request),
    update: (request, call) => updateNode(deps, request, call),
    remove: (request, call) => removeNode(deps, request, call),
    approve: (request, call) => approveNode(deps, request, call),
    setRole: (request, call) => setNodeRole(deps, request, call),
    exposure: (request, call) => nodeExposure(deps, request, call),
  };
}

async function getNode(
  deps: ControlDependencies,
  request: GetNodeRequest,
  call: CallContext,
): Promise<NodeInput> {
  const state = await readState(deps);
  return nodeMessage(deps, state, nodeOf(state, request.node, call.selfNodeId));
}

async function* listNodes(
  deps: ControlDependencies,
  request: ListNodesRequest,
): AsyncGenerator<NodePageInput, void> {
  const role = request.role === '' ? undefined : oneOf('role', request.role, ['worker', 'manager']);
  const state = await readState(deps, request.stale);
  const rows = [...state.nodes()].filter((row) => role === undefined || row.role === role);
  for (const page of pagesOf(rows.toSorted(byHostname), weightOfNode)) {
    yield { nodes: page.map((row) => nodeMessage(deps, state, row)) };
  }
}

function weightOfNode(row: NodeRow): number {
  return FIXED_BYTES_MAX + weightOfTexts(row.message) + weightOfPairs(row.labels);
}

function byHostname(left: NodeRow, right: NodeRow): number {
  return compareNatural(left.hostname, right.hostname) || (left.id < right.id ? -1 : 1);
}

async function updateNode(
  deps: ControlDependencies,
  request: UpdateNodeRequest,
  call: CallContext,
): Promise<NodeInput> {
  const { labelsSet, labelsRemove, objectVersion, idempotencyKey } = request;
  checkLabels(labelsSet);
  checkCount('labels_remove', labelsRemove.length, limits.LABEL_COUNT_MAX);
  if (labelsRemove.some((key) => key === '' || byteLength(key) > limits.LABEL_KEY_BYTES_MAX)) {
    throw invalid('labels_remove', `keys must have 1 to ${limits.LABEL_KEY_BYTES_MAX} bytes`);
  }
  const availability =
    request.availability === ''
      ? undefined
      : oneOf('availability', request.availability, ['active', 'pause', 'drain']);
  const changesLabels = labelsRemove.length > 0 || Object.keys(labelsSet).length > 0;
  if (availability === undefined && !changesLabels) {
    throw invalid('availability', 'and labels are missing: there is nothing to change');
  }
  const { id } = await lookUp(deps, (state) => nodeOf(state, request.node, call.selfNodeId));
  const asked = { id, objectVersion, availability, labelsSet, labelsRemove };
  await commit(deps, {
    call,
    request: requestOf(call, { method: 'Nodes.Update', idempotencyKey, asked }),
    body: { kind: 'node.update', ...asked },
  });
  const state = deps.state();
  return nodeMessage(deps, state, nodeOf(state, id, call.selfNodeId));
}

async function removeNode(
  deps: ControlDependencies,
  request: RemoveNodeRequest,
  call: CallContext,
): Promise<RemoveNodeResponseInput> {
  const { node, force, idempotencyKey } = request;
  const id = await idForRemoval(deps, { reference: node, idempotencyKey }, (state, reference) =>
    nodeOf(state, reference, call.selfNodeId),
  );
  if (force) await takeOutOfQuorum(deps, id);
  const identity = { method: 'Nodes.Remove', idempotencyKey, asked: { node, force } };
  const done = await commit(deps, {
    call,
    request: requestOf(call, identity),
    body: { kind: 'node.remove', id, force },
  });
  // A repetition names the node as the first request did; the answer knows which one that was.
  const held = deps.state().exposureOfNode(textOf(done, 'id'));
  return {
    index: done.index,
    held: held.slice(0, REMOVAL_HELD_MAX).map(exposureMessage),
    heldCount: held.length,
    orphanedTasks: numberOf(done, 'orphaned'),
  };
}

/** Without force apply refuses a member; with it, the quorum is asked to let go of it first. */
async function takeOutOfQuorum(deps: ControlDependencies, id: string): Promise<void> {
  const row = deps.state().nodeById(id);
  const membership = row?.manager?.membership;
  if (membership === undefined || membership === 'joining') return;
  // It may be the one that answers, which could not say any more what became of the removal.
  if (row?.state === 'READY' && membership !== 'removing') {
    throw new ConclaveError('CV_NODE_IN_USE', 'the node is a manager at work', {
      hint: 'Run `conclave leave` there; when it does not react, stop it and wait until it is DOWN.',
      details: { id, membership },
    });
  }
  await deps.removeMember(id);
}

async function approveNode(
  deps: ControlDependencies,
  request: ApproveNodeRequest,
  call: CallContext,
): Promise<NodeInput> {
  const { idempotencyKey } = request;
  const { id } = await lookUp(deps, (state) => nodeOf(state, request.node, call.selfNodeId));
  await commit(deps, {
    call,
    request: requestOf(call, { method: 'Nodes.Approve', idempotencyKey, asked: { id } }),
    body: { kind: 'node.approve', id },
  });
  const state = deps.state();
  return nodeMessage(deps, state, nodeOf(state, id, call.selfNodeId));
}

/** A demotion is answered when it is over; a promotion when it is decided: tasks move away first. */
async function setNodeRole(
  deps: ControlDependencies,
  request: SetNodeRoleRequest,
  call: CallContext,
): Promise<NodeInput> {
  const { idempotencyKey } = request;
  const role = oneOf('role', request.role, ['worker', 'manager']);
  const { id } = await lookUp(deps, (state) => nodeOf(state, request.node, call.selfNodeId));
  await commit(deps, {
    call,
    request: requestOf(call, { method: 'Nodes.SetRole', idempotencyKey, asked: { id, role } }),
    body: { kind: 'node.set-role', id, role },
  });
  if (role === 'worker') await deps.awaitDemotion(id);
  const state = deps.state();
  return nodeMessage(deps, state, nodeOf(state, id, call.selfNodeId));
}

async function* nodeExposure(
  deps: ControlDependencies,
  request: NodeExposureRequest,
  call: CallContext,
): AsyncGenerator<ExposedVersionInput, void> {
  const state = await readState(deps);
  for (const row of state.exposureOfNode(exposedNode(state, request, call))) {
    yield exposureMessage(row);
  }
}

/** Also a node that was removed: what it held is of most interest then. */
function exposedNode(state: State, request: NodeExposureRequest, call: CallContext): string {
  const isRemoved =
    state.nodeById(request.node) === undefined && state.exposureOfNode(request.node).length > 0;
  return isRemoved ? request.node : nodeOf(state, request.node, call.selfNodeId).id;
}

function exposureMessage(row: ExposureRow): ExposedVersionInput {
  const { secretId, secretName, version, firstAtMs, lastAtMs } = row;
  return { secretId, secretName, version, firstAtMs, lastAtMs };
}

function nodeMessage(deps: ControlDependencies, state: State, row: NodeRow): NodeInput {
  const { manager } = row;
  return {
    id: row.id,
    hostname: row.hostname,
    role: row.role,
    wantedRole: row.wantedRole,
    waitsForApproval: row.waiting !== undefined,
    state: row.state,
    availability: row.availability,
    labels: { ...row.labels },
    objectVersion: row.objectVersion,
    address: manager?.clusterAddress ?? '',
    joinAddress: manager?.joinAddress ?? '',
    membership: manager?.membership ?? '',
    isLeader: manager !== undefined && deps.status.current().leaderId === row.id,
    createdAtMs: row.createdAtMs,
    stateAtMs: row.stateAtMs,
    message: row.message,
    platformOs: row.platformOs,
    version: row.daemonVersion,
    certificateSerial: row.certificate.serial,
    certificateNotAfterMs: row.certificate.notAfterMs,
    taskCount: state.tasksOfNode(row.id).filter((task) => !isEnded(task.state)).length,
    raftId: manager?.raftId ?? 0,
  };
}
