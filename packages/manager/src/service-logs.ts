import { ConclaveError, isConclaveError, isId } from '@conclave/kernel';
import type { CancelSignal } from '@conclave/kernel';
import type { State, TaskRow } from '@conclave/state';
import { loadWire } from '@conclave/wire';
import type {
  LogChunkInput,
  LogReply,
  LogReplyInput,
  LogRequestInput,
  ServiceLogsRequest,
} from '@conclave/wire';
import type { CallContext } from './control/dependencies.js';
import { invalid } from './control/invalid.js';
import type { Dispatcher } from './dispatch/dispatcher.js';
import { mergeSources } from './merge-sources.js';
import type { Peers } from './peers.js';

/** Tasks whose output one command reads at a time. */
const TASKS_MAX = 64;

/** Where the output of tasks is found. */
export interface ServiceLogsOptions {
  readonly selfNodeId: string;
  readonly state: () => State;
  readonly dispatcher: Dispatcher;
  readonly peers: Peers;
}

/** Reads the output of tasks from their hosts, through the manager that has the host's session. */
export class ServiceLogs {
  readonly #options: ServiceLogsOptions;

  constructor(options: ServiceLogsOptions) {
    this.#options = options;
  }

  /**
   * Output of all live and recent tasks of a service, or of one task; merged as it comes.
   * @throws CV_SERVICE_NOT_FOUND, CV_TASK_NOT_FOUND
   */
  async *read(request: ServiceLogsRequest, call: CallContext): AsyncGenerator<LogChunkInput> {
    const tasks = this.#tasksOf(request);
    const open = (signal: AbortSignal): AsyncIterable<LogChunkInput>[] =>
      tasks.map((task) => this.#readTask(task, request, signal));
    yield* mergeSources(open, call.signal);
  }

  /** Output of one task whose host has its session on this manager. */
  local(request: LogRequestInput, signal: CancelSignal): AsyncIterable<LogReplyInput> {
    const task = this.#options.state().taskById(request.taskId ?? '');
    if (task === undefined) throw new ConclaveError('CV_TASK_NOT_FOUND', 'no task has this id');
    return this.#options.dispatcher.logs(task.nodeId, request, signal);
  }

  #tasksOf(request: ServiceLogsRequest): TaskRow[] {
    const state = this.#options.state();
    if (request.task !== '') {
      const task = isId(request.task) ? state.taskById(request.task) : undefined;
      if (task === undefined) throw new ConclaveError('CV_TASK_NOT_FOUND', 'no task has this id');
      return [task];
    }
    if (request.service === '') throw invalid('service', 'is missing: give an id or a name');
    const service = isId(request.service)
      ? state.serviceById(request.service)
      : state.serviceByName(request.service);
    if (service === undefined) {
      throw new ConclaveError('CV_SERVICE_NOT_FOUND', 'no service has this name or id');
    }
    const tasks = [...state.tasksOfService(service.id)].filter((task) => task.nodeId !== '');
    return tasks.slice(0, TASKS_MAX);
  }

  async *#readTask(
    task: TaskRow,
    request: ServiceLogsRequest,
    signal: AbortSignal,
  ): AsyncGenerator<LogChunkInput> {
    const named = { taskId: task.id, nodeId: task.nodeId };
    const query = { taskId: task.id, tailLines: request.tailLines, follow: request.follow };
    try {
      for await (const reply of this.#repliesOf(task, query, signal)) {
        if (reply.error !== undefined && reply.error !== '') {
          yield { ...named, notice: reply.error };
        } else if ((reply.output?.length ?? 0) > 0) {
          yield { ...named, stream: reply.stream, output: reply.output };
        }
      }
    } catch (error) {
      yield {
        ...named,
        notice: isConclaveError(error) ? error.message : 'the output is not there',
      };
    }
  }

  #repliesOf(
    task: TaskRow,
    query: { taskId: string; tailLines: number; follow: boolean },
    signal: AbortSignal,
  ): AsyncIterable<LogReplyInput | LogReply> {
    const { selfNodeId, dispatcher, peers, state } = this.#options;
    const session = state().nodeById(task.nodeId)?.sessionId ?? '';
    const [managerId = ''] = session.split('/');
    if (managerId === selfNodeId) return dispatcher.logs(task.nodeId, query, signal);
    const channel = managerId === '' ? undefined : peers.byNodeId(managerId);
    if (channel === undefined) {
      throw new ConclaveError('CV_PEER_UNREACHABLE', 'the node of the task has no session');
    }
    return channel.serverStream(loadWire().Managers.TaskLogs, query, { signal });
  }
}
