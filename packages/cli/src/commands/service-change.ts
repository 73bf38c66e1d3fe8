import { limits } from '@conclave/kernel';
import type { BindingInput, ConclaveClient, ServiceSpec, ServiceSpecInput } from '@conclave/client';
import type { ServiceResponse } from '@conclave/client';
import type { Call, CommandSpec, OptionSpec } from '../command-spec.js';
import { parseCount, usageError } from '../flags.js';
import { checkDoneOptions, DONE_OPTIONS, printDone, printDoneEach } from '../output/print.js';
import type { Done } from '../output/print.js';
import { targetOf } from '../spec/binding.js';
import { LABEL_CHANGE_OPTIONS, mergeLabels } from '../spec/labels.js';
import { parsePairs } from '../spec/pairs.js';
import {
  applySpecOptions,
  environmentLookup,
  finishSpec,
  parseBindings,
  parseConstraints,
  SPEC_OPTIONS,
} from '../spec/service.js';
import { argument, IDEMPOTENCY_OPTION, plural, writeOptions } from './shared.js';

const CHANGE_FIELDS = ['id', 'name', 'index', 'objectVersion', 'desiredTasks'];

const BINDING_HELP: readonly string[] = [
  'A binding is NAME[@VERSION][:key=value,...]. Without @VERSION the task follows the name. Keys: ' +
    'target (file name; default: the last segment of the name), owner=UID[:GID] (default: the ' +
    'user of the task), mode (octal; 0400), on-change (none, restart, signal:NAME or ' +
    'exec:COMMAND; none), optional (start without it while it does not exist or when its version ' +
    'was destroyed). on-change=exec: takes the rest of the text, commas included, so it comes last.',
  'The command follows two dashes and runs as a process; the files are in /run/secrets.',
];

/** What a change did, for people and programs. */
function doneOf(call: Call, what: string, response: ServiceResponse): Done {
  const { index, service } = response;
  const name = service?.spec?.name ?? argument(call, 0);
  const { desiredTasks = 0, id = '', objectVersion = 0 } = service ?? {};
  const text = `${name} ${what} at index ${index}, ${plural(desiredTasks, 'task')} wanted`;
  return { text, data: { id, name, index, objectVersion, desiredTasks }, id };
}

const BINDING = 'NAME[@V][:target=F,owner=UID,mode=0440,on-change=signal:HUP,optional]';

const CREATE: CommandSpec = {
  path: 'service create',
  arguments: '<name> [command...]',
  summary: 'Run a command as one or more tasks, with secrets',
  details: BINDING_HELP,
  examples: [
    'conclave service create web --replicas 3 --secret shop/db --on-change signal:HUP -- ./server',
    'conclave service create job --secret shop/db@2:target=db.txt,mode=0440 --mode global -- ./job',
  ],
  options: [
    { flags: '--secret <binding>', help: BINDING, isRepeated: true },
    { flags: '--env <key=value>', help: 'KEY alone takes the value from here', isRepeated: true },
    {
      flags: '--constraint <condition>',
      help: 'node.hostname==x, node.labels.disk!=slow',
      isRepeated: true,
    },
    { flags: '--label <key=value>', help: 'label of the service', isRepeated: true },
    { flags: '--mode <mode>', help: 'replicated, or global: one task on every node' },
    ...SPEC_OPTIONS,
    IDEMPOTENCY_OPTION,
    ...DONE_OPTIONS,
  ],
  fields: CHANGE_FIELDS,
  run: async (call) => {
    checkDoneOptions(call);
    const { flags } = call;
    const mode = flags.choice('mode', ['replicated', 'global']) ?? 'replicated';
    if (mode === 'global' && flags.text('replicas') !== undefined) {
      throw usageError('--replicas does not go with --mode global, which runs one task per node');
    }
    const [name = '', ...command] = call.arguments;
    const env = parsePairs('--env', flags.list('env'), environmentLookup(call.io.env));
    const spec = applySpecOptions(flags, {
      name,
      mode,
      command,
      env,
      labels: parsePairs('--label', flags.list('label')),
      constraints: [...parseConstraints('--constraint', flags.list('constraint'))],
      bindings: parseBindings('--secret', flags.list('secret'), flags),
    });
    const finished = finishSpec(spec);
    const client = await call.client();
    const response = await client.services.create(finished, writeOptions(call));
    await printDone(call, doneOf(call, 'created', response));
  },
};

const UPDATE_LIST_OPTIONS: readonly OptionSpec[] = [
  {
    flags: '--secret-add <binding>',
    help: 'add, or replace the one of this target',
    isRepeated: true,
  },
  { flags: '--secret-rm <target>', help: 'take away by target or secret name', isRepeated: true },
  { flags: '--env-add <key=value>', help: 'add or replace a variable', isRepeated: true },
  { flags: '--env-rm <key>', help: 'take a variable away', isRepeated: true },
  { flags: '--constraint-add <condition>', help: 'add a constraint', isRepeated: true },
  { flags: '--constraint-rm <condition>', help: 'take a constraint away', isRepeated: true },
  ...LABEL_CHANGE_OPTIONS,
];

function changeBindings(call: Call, bindings: readonly BindingInput[]): readonly BindingInput[] {
  const added = parseBindings('--secret-add', call.flags.list('secretAdd'), call.flags);
  const addedTargets = new Set(added.map(targetOf));
  const removed = call.flags.list('secretRm');
  const isRemoved = (binding: BindingInput): boolean =>
    removed.includes(targetOf(binding)) || removed.includes(binding.secretName ?? '');
  const absent = removed.find(
    (word) => !bindings.some((item) => targetOf(item) === word || item.secretName === word),
  );
  if (absent !== undefined) throw usageError(`--secret-rm: the service has no binding ${absent}`);
  const kept = bindings.filter(
    (binding) => !isRemoved(binding) && !addedTargets.has(targetOf(binding)),
  );
  return [...kept, ...added];
}

function changedSpec(call: Call, spec: ServiceSpec): ServiceSpecInput {
  const { flags } = call;
  const [, ...command] = call.arguments;
  const env = parsePairs('--env-add', flags.list('envAdd'), environmentLookup(call.io.env));
  const envKept = Object.entries(spec.env).filter(([key]) => !flags.list('envRm').includes(key));
  const away = parseConstraints('--constraint-rm', flags.list('constraintRm'));
  const more = parseConstraints('--constraint-add', flags.list('constraintAdd'));
  const constraints = [...spec.constraints.filter((text) => !away.includes(text)), ...more];
  return finishSpec({
    ...applySpecOptions(flags, spec),
    ...(command.length === 0 ? {} : { command }),
    env: { ...Object.fromEntries(envKept), ...env },
    labels: mergeLabels(flags).apply(spec.labels),
    constraints: [...new Set(constraints)],
    bindings: changeBindings(call, spec.bindings),
  });
}

async function updateService(call: Call, client: ConclaveClient): Promise<ServiceResponse> {
  const service = await client.services.get(argument(call, 0), { signal: call.tools.signal });
  if (service.spec === null) throw usageError('the cluster answered a service without a spec');
  const { id, objectVersion } = service;
  const spec = changedSpec(call, service.spec);
  return client.services.update(id, { objectVersion, spec }, writeOptions(call));
}

const UPDATE: CommandSpec = {
  path: 'service update',
  arguments: '<name> [command...]',
  summary: 'Change a service; its tasks are replaced as the update policy says',
  details: BINDING_HELP,
  examples: ['conclave service update web --secret-add shop/mail --env-rm DEBUG --replicas 5'],
  options: [...UPDATE_LIST_OPTIONS, ...SPEC_OPTIONS, IDEMPOTENCY_OPTION, ...DONE_OPTIONS],
  fields: CHANGE_FIELDS,
  run: async (call) => {
    checkDoneOptions(call);
    const response = await updateService(call, await call.client());
    await printDone(call, doneOf(call, 'updated', response));
  },
};

const SCALE: CommandSpec = {
  path: 'service scale',
  arguments: '<name=replicas...>',
  summary: 'Change the number of tasks of services',
  examples: ['conclave service scale web=5 worker=2'],
  options: [IDEMPOTENCY_OPTION, ...DONE_OPTIONS],
  fields: CHANGE_FIELDS,
  run: async (call) => {
    checkDoneOptions(call);
    if (call.arguments.length > 1 && call.flags.text('idempotencyKey') !== undefined) {
      throw usageError('--idempotency-key goes with one service');
    }
    const wanted = call.arguments.map((text) => {
      const [, name, count] = /^([^=]+)=(.+)$/.exec(text) ?? [];
      if (name === undefined || count === undefined) {
        throw usageError('scale takes NAME=REPLICAS', 'For instance conclave service scale web=5.');
      }
      const bounds = { min: 0, max: limits.REPLICA_COUNT_MAX };
      return { name, replicas: parseCount('REPLICAS', count, bounds) };
    });
    const client = await call.client();
    await printDoneEach(call, wanted, async ({ name, replicas }) => {
      const response = await client.services.scale(name, replicas, writeOptions(call));
      return doneOf(call, `scaled to ${replicas}`, response);
    });
  },
};

/** Commands that make or change services. */
export const SERVICE_CHANGE_COMMANDS: readonly CommandSpec[] = [CREATE, UPDATE, SCALE];
