import { isConclaveError } from '@conclave/kernel';
import type { ConclaveClient, Service, Task } from '@conclave/client';
import type { Call, CommandSpec, OptionSpec } from '../command-spec.js';
import { YES_OPTION } from '../confirm.js';
import { LogLines } from '../output/log-lines.js';
import { DONE_OPTIONS, LIST_OPTIONS, ONE_OPTIONS, printList, printOne } from '../output/print.js';
import { named, namedTask, SERVICE_VIEW, TASK_VIEW, taskName } from '../views/services.js';
import { removeEach } from './remove-each.js';
import { argument, IDEMPOTENCY_OPTION, STALE_OPTION, writeOptions } from './shared.js';

async function* mapped<From, To>(
  rows: AsyncIterable<From>,
  map: (row: From) => To,
): AsyncGenerator<To, void, void> {
  for await (const row of rows) yield map(row);
}

const LIST: CommandSpec = {
  path: 'service ls',
  arguments: '[prefix]',
  summary: 'List services',
  examples: ['conclave service ls', "conclave service ls --format '{{.name}}: {{.runningTasks}}'"],
  options: [STALE_OPTION, ...LIST_OPTIONS],
  fields: SERVICE_VIEW.fields,
  run: (call) =>
    printList(call, SERVICE_VIEW, async () => {
      const isStale = call.flags.isOn('stale');
      const options = { namePrefix: argument(call, 0), isStale, signal: call.tools.signal };
      return mapped<Service, ReturnType<typeof named>>(
        (await call.client()).services.list(options),
        named,
      );
    }),
};

const INSPECT: CommandSpec = {
  path: 'service inspect',
  arguments: '<name>',
  summary: 'Show a service with its whole spec',
  examples: ['conclave service inspect web -o json'],
  options: [STALE_OPTION, ...ONE_OPTIONS],
  fields: SERVICE_VIEW.fields,
  run: (call) =>
    printOne(call, SERVICE_VIEW, async () => {
      const options = { isStale: call.flags.isOn('stale'), signal: call.tools.signal };
      return named(await (await call.client()).services.get(argument(call, 0), options));
    }),
};

const LIVE_OPTION: OptionSpec = { flags: '--live', help: 'without the tasks that have ended' };

async function tasksOf(
  call: Call,
  which: { service: string; node: string },
): Promise<AsyncIterable<Task & { readonly name: string }>> {
  const client = await call.client();
  const isLiveOnly = call.flags.isOn('live');
  const isStale = call.flags.isOn('stale');
  const options = { ...which, isLiveOnly, isStale, signal: call.tools.signal };
  return mapped(client.tasks.list(options), namedTask);
}

const PS: CommandSpec = {
  path: 'service ps',
  arguments: '<name>',
  summary: 'List the tasks of a service, newest of each slot first',
  examples: ['conclave service ps web --live'],
  options: [LIVE_OPTION, STALE_OPTION, ...LIST_OPTIONS],
  fields: TASK_VIEW.fields,
  run: (call) =>
    printList(call, TASK_VIEW, () => tasksOf(call, { service: argument(call, 0), node: '' })),
};

const TASK_LIST: CommandSpec = {
  path: 'task ls',
  summary: 'List tasks',
  examples: ['conclave task ls --node worker-2 --live', 'conclave task ls -f state=PENDING'],
  options: [
    { flags: '--service <name>', help: 'only of this service' },
    { flags: '--node <node>', help: 'only on this node (id, hostname or self)' },
    LIVE_OPTION,
    STALE_OPTION,
    ...LIST_OPTIONS,
  ],
  fields: TASK_VIEW.fields,
  run: (call) =>
    printList(call, TASK_VIEW, () => {
      const { flags } = call;
      return tasksOf(call, {
        service: flags.text('service') ?? '',
        node: flags.text('node') ?? '',
      });
    }),
};

const TASK_INSPECT: CommandSpec = {
  path: 'task inspect',
  arguments: '<id>',
  summary: 'Show a task with its spec, its receipts and the reason for its state',
  examples: ['conclave task inspect mfrggzdfmztwq2lknnwg23tpoa'],
  options: ONE_OPTIONS,
  fields: TASK_VIEW.fields,
  run: (call) =>
    printOne(call, TASK_VIEW, async () => {
      const client = await call.client();
      return namedTask(await client.tasks.get(argument(call, 0), { signal: call.tools.signal }));
    }),
};

/** Names of tasks for the front of log lines; a task that is not known keeps its id. */
async function taskNames(call: Call, client: ConclaveClient): Promise<Map<string, string>> {
  const names = new Map<string, string>();
  const options = { service: argument(call, 0), signal: call.tools.signal };
  for await (const task of client.tasks.list(options)) {
    names.set(task.id, `${taskName(task)}@${task.nodeHostname}`.replace(/(@[^@]*)\1$/, '$1'));
  }
  return names;
}

const TAIL_MAX = 1_000_000;

const LOGS: CommandSpec = {
  path: 'service logs',
  arguments: '<name>',
  summary: 'Show what the tasks of a service print',
  details: ['Output is kept in the memory of its host only, and only the newest part of it.'],
  examples: ['conclave service logs web --tail 20 --follow'],
  options: [
    { flags: '-F, --follow', help: 'go on with what comes' },
    { flags: '-n, --tail <lines>', help: 'lines per task from the end; 0: all that is kept' },
    { flags: '--task <id>', help: 'only this task' },
  ],
  run: async (call) => {
    const tailLines = call.flags.count('tail', { min: 0, max: TAIL_MAX }) ?? 0;
    const client = await call.client();
    const names = await taskNames(call, client);
    const lines = new LogLines(call.io, (taskId) => names.get(taskId) ?? taskId);
    const isFollowing = call.flags.isOn('follow');
    const task = call.flags.text('task');
    const { signal } = call.tools;
    try {
      const options = { tailLines, isFollowing, task, signal };
      for await (const chunk of client.services.logs(argument(call, 0), options)) {
        await lines.add(chunk);
      }
    } catch (error) {
      // Ctrl-C is how a person ends --follow.
      if (!isFollowing || !isConclaveError(error) || error.code !== 'CV_CANCELLED') throw error;
    }
    await lines.end();
  },
};

const REMOVE: CommandSpec = {
  path: 'service rm',
  arguments: '<name...>',
  summary: 'Remove services and stop their tasks',
  examples: ['conclave service rm web --yes'],
  options: [YES_OPTION, IDEMPOTENCY_OPTION, ...DONE_OPTIONS],
  fields: ['name', 'index'],
  run: (call) =>
    removeEach(call, {
      what: 'service',
      verb: 'Remove',
      past: 'removed',
      consequence: ' and stop all tasks',
      remove: async (name) => (await call.client()).services.remove(name, writeOptions(call)),
    }),
};

/** Commands that show or remove services, and those about tasks. */
export const SERVICE_SHOW_COMMANDS: readonly CommandSpec[] = [LIST, INSPECT, PS, LOGS, REMOVE];

/** Commands about tasks. */
export const TASK_COMMANDS: readonly CommandSpec[] = [TASK_LIST, TASK_INSPECT];
