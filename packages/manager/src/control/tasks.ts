import { isEnded } from '@conclave/state';
import type { State, TaskRow } from '@conclave/state';
import type { GetTaskRequest, ListTasksRequest, TaskInput, TaskPageInput } from '@conclave/wire';
import { stayReason } from '../scheduling/stay-reason.js';
import type { CallContext, ControlDependencies } from './dependencies.js';
import { nodeOf, serviceOf, taskOf } from './lookups.js';
import { pagesOf, weightOfTexts } from './pages.js';
import { readState } from './reading.js';
import { byServiceAndSlot } from './secret-status.js';
import { specMessage } from './service-message.js';

/** Everything but its texts: ids, a host name, the reason why nothing takes its place. */
const FIXED_BYTES_MAX = 1_500;

/** The handlers of the service `Tasks`. */
export interface TasksHandlers {
  get(request: GetTaskRequest, call: CallContext): Promise<TaskInput>;
  list(request: ListTasksRequest, call: CallContext): AsyncGenerator<TaskPageInput, void>;
}

/** Handlers over `deps`. */
export function createTasksHandlers(deps: ControlDependencies): TasksHandlers {
  return {
    get: (request) => getTask(deps, request),
    list: (request, call) => listTasks(deps, request, call),
  };
}

async function getTask(deps: ControlDependencies, request: GetTaskRequest): Promise<TaskInput> {
  const state = await readState(deps);
  const row = taskOf(state, request.task);
  const receipts = state.receiptsOfTask(row.id).map((receipt) => ({
    secretId: receipt.secretId,
    secretName: secretNameOf(row, receipt.secretId),
    version: receipt.version,
    target: receipt.target,
    outcome: receipt.outcome,
    detail: receipt.detail,
    atMs: receipt.atMs,
  }));
  return { ...taskMessage(state, row), spec: specMessage(row.spec), receipts };
}

function secretNameOf(task: TaskRow, secretId: string): string {
  return task.spec.bindings.find((binding) => binding.secretId === secretId)?.secretName ?? '';
}

async function* listTasks(
  deps: ControlDependencies,
  request: ListTasksRequest,
  call: CallContext,
): AsyncGenerator<TaskPageInput, void> {
  const state = await readState(deps, request.stale);
  const rows = selectTasks(state, request, call)
    .filter((row) => !request.liveOnly || !isEnded(row.state))
    .toSorted(byServiceAndSlot);
  for (const page of pagesOf(rows, weightOfTask)) {
    yield { tasks: page.map((row) => taskMessage(state, row)) };
  }
}

function weightOfTask(row: TaskRow): number {
  return FIXED_BYTES_MAX + weightOfTexts(row.serviceName, row.message, row.error);
}

function selectTasks(state: State, request: ListTasksRequest, call: CallContext): TaskRow[] {
  const nodeId = request.node === '' ? '' : nodeOf(state, request.node, call.selfNodeId).id;
  if (request.service !== '') {
    const tasks = state.tasksOfService(serviceOf(state, request.service).id);
    return tasks.filter((task) => nodeId === '' || task.nodeId === nodeId);
  }
  return nodeId === '' ? [...state.tasks()] : state.tasksOfNode(nodeId);
}

function taskMessage(state: State, row: TaskRow): TaskInput {
  return {
    id: row.id,
    serviceId: row.serviceId,
    serviceName: row.serviceName,
    slot: row.slot,
    nodeId: row.nodeId,
    nodeHostname: state.nodeById(row.nodeId)?.hostname ?? '',
    state: row.state,
    desiredState: row.desiredState,
    message: messageOf(state, row),
    error: row.error,
    exitCode: row.exitCode,
    createdAtMs: row.createdAtMs,
    updatedAtMs: row.stateAtMs,
    objectVersion: row.objectVersion,
    specVersion: row.specVersion,
  };
}

/** With the reason why nothing took the place of a task that has ended. */
function messageOf(state: State, row: TaskRow): string {
  const service = state.serviceById(row.serviceId);
  const reason = service === undefined ? undefined : stayReason(state, service, row);
  return [row.message, reason ?? ''].filter((text) => text !== '').join('; ');
}
