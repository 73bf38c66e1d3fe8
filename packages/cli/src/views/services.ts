import type { Service, Task } from '@conclave/client';
import { age } from '../output/text.js';
import type { View } from '../output/view.js';

/** Services of `service ls` and `service inspect`. */
export const SERVICE_VIEW: View<Service & { readonly name: string }> = {
  fields: [
    'id',
    'name',
    'spec',
    'objectVersion',
    'specVersion',
    'createdAtMs',
    'updatedAtMs',
    'runningTasks',
    'desiredTasks',
    'updateState',
    'updateMessage',
  ],
  columns: [
    { title: 'NAME', cell: (row) => row.name },
    { title: 'MODE', cell: (row) => row.spec?.mode ?? '' },
    { title: 'TASKS', cell: (row) => `${row.runningTasks}/${row.desiredTasks}` },
    { title: 'SECRETS', cell: (row) => String(row.spec?.bindings.length ?? 0) },
    { title: 'RUNS', cell: (row) => what(row) },
    { title: 'UPDATE', cell: (row) => (row.updateState === '' ? '-' : row.updateState) },
    { title: 'CHANGED', cell: (row, nowMs) => age(row.updatedAtMs, nowMs) },
  ],
  nameOf: (row) => row.name,
  idOf: (row) => row.id,
};

const COMMAND_WIDTH_MAX = 40;

function what(row: Service): string {
  const image = row.spec?.image ?? '';
  const text = image === '' ? (row.spec?.command ?? []).join(' ') : image;
  return text.length <= COMMAND_WIDTH_MAX ? text : `${text.slice(0, COMMAND_WIDTH_MAX - 3)}...`;
}

/** A service with its name beside its spec, as lists and filters want it. */
export function named(service: Service): Service & { readonly name: string } {
  return { ...service, name: service.spec?.name ?? '' };
}

/** `web.2`, or `web@host` for a task of a global service. */
export function taskName(task: Task): string {
  return task.slot === 0
    ? `${task.serviceName}@${task.nodeHostname}`
    : `${task.serviceName}.${task.slot}`;
}

function outcome(task: Task): string {
  const code = task.exitCode === undefined ? '' : `exit code ${task.exitCode}`;
  return [task.error === '' ? task.message : task.error, code]
    .filter((text) => text !== '')
    .join(', ');
}

/** Tasks of `task ls`, `service ps` and `task inspect`. */
export const TASK_VIEW: View<Task & { readonly name: string }> = {
  fields: [
    'id',
    'name',
    'serviceId',
    'serviceName',
    'slot',
    'nodeId',
    'nodeHostname',
    'state',
    'desiredState',
    'message',
    'error',
    'exitCode',
    'createdAtMs',
    'updatedAtMs',
    'objectVersion',
    'specVersion',
    'spec',
    'receipts',
  ],
  columns: [
    { title: 'TASK', cell: (row) => row.id },
    { title: 'NAME', cell: (row) => row.name },
    { title: 'NODE', cell: (row) => (row.nodeHostname === '' ? '-' : row.nodeHostname) },
    { title: 'STATE', cell: (row) => row.state },
    { title: 'WANTED', cell: (row) => row.desiredState },
    { title: 'SINCE', cell: (row, nowMs) => age(row.updatedAtMs, nowMs) },
    { title: 'DETAIL', cell: outcome },
  ],
  nameOf: (row) => row.name,
  idOf: (row) => row.id,
  sortKey: (row) => `${row.name} ${String(Number.MAX_SAFE_INTEGER - row.createdAtMs)}`,
};

/** A task with the name that people use for it. */
export function namedTask(task: Task): Task & { readonly name: string } {
  return { ...task, name: taskName(task) };
}
