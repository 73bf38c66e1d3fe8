import { loadWire } from '@conclave/wire';
import type { Task, TaskPage } from '@conclave/wire';
import { read, readPages } from './calls.js';
import type { CallOptions, ClientContext, ReadOptions } from './context.js';

/** Which tasks `tasks.list` answers. */
export interface ListTasksOptions extends ReadOptions {
  /** Name or id; default: of all services. */
  readonly service?: string | undefined;
  /** Id, hostname or "self"; default: on all nodes. */
  readonly node?: string | undefined;
  /** Without those that have ended; default false. */
  readonly isLiveOnly?: boolean | undefined;
}

/** Tasks: one run of one replica on one node. */
export interface TasksApi {
  /** With its spec and receipts. @throws CV_TASK_NOT_FOUND */
  get(task: string, options?: CallOptions): Promise<Task>;
  list(options?: ListTasksOptions): AsyncIterable<Task>;
}

/** Tasks over `context`'s port. */
export function createTasksApi(context: ClientContext): TasksApi {
  const wire = loadWire().Tasks;
  return {
    get: (task, options = {}) => read(context, { method: wire.Get, request: { task } }, options),
    list: (options = {}) => {
      const { service = '', node = '', isLiveOnly = false, isStale = false } = options;
      const request = { service, node, liveOnly: isLiveOnly, stale: isStale };
      const call = { method: wire.List, request, itemsOf: (page: TaskPage) => page.tasks };
      return readPages(context, call, options);
    },
  };
}
