import type { NodeChange } from '@conclave/client';
import type { Call, CommandSpec } from '../command-spec.js';
import { confirm, YES_OPTION } from '../confirm.js';
import { usageError } from '../flags.js';
import {
  checkDoneOptions,
  DONE_OPTIONS,
  LIST_OPTIONS,
  ONE_OPTIONS,
  printDone,
  printDoneEach,
  printList,
  printOne,
} from '../output/print.js';
import { LABEL_CHANGE_OPTIONS, mergeLabels } from '../spec/labels.js';
import { EXPOSURE_VIEW, NODE_VIEW } from '../views/nodes.js';
import {
  argument,
  FORCE_OPTION,
  IDEMPOTENCY_OPTION,
  plural,
  STALE_OPTION,
  writeOptions,
} from './shared.js';

const LIST: CommandSpec = {
  path: 'node ls',
  summary: 'List the nodes of the cluster',
  examples: ['conclave node ls', 'conclave node ls -f state=DOWN -q'],
  options: [{ flags: '--role <role>', help: 'manager or worker' }, STALE_OPTION, ...LIST_OPTIONS],
  fields: NODE_VIEW.fields,
  run: (call) =>
    printList(call, NODE_VIEW, async () => {
      const role = call.flags.choice('role', ['manager', 'worker']);
      const isStale = call.flags.isOn('stale');
      return (await call.client()).nodes.list({ role, isStale, signal: call.tools.signal });
    }),
};

const INSPECT: CommandSpec = {
  path: 'node inspect',
  arguments: '<node>',
  summary: 'Show a node; NODE is an id, a hostname or self',
  examples: ['conclave node inspect self'],
  options: [STALE_OPTION, ...ONE_OPTIONS],
  fields: NODE_VIEW.fields,
  run: (call) =>
    printOne(call, NODE_VIEW, async () => {
      const options = { isStale: call.flags.isOn('stale'), signal: call.tools.signal };
      return (await call.client()).nodes.get(argument(call, 0), options);
    }),
};

async function changeNode(call: Call, change: NodeChange, what: string): Promise<void> {
  checkDoneOptions(call);
  const client = await call.client();
  const node = await client.nodes.update(argument(call, 0), change, writeOptions(call));
  const { availability, hostname, id, objectVersion } = node;
  const text = `${hostname} ${what} at index ${objectVersion}`;
  const data = { id, hostname, availability, labels: node.labels, index: objectVersion };
  await printDone(call, { text, data, id });
}

const CHANGE_FIELDS = ['id', 'hostname', 'availability', 'labels', 'index'];

const UPDATE: CommandSpec = {
  path: 'node update',
  arguments: '<node>',
  summary: 'Change labels and availability of a node',
  examples: ['conclave node update worker-2 --label-add disk=fast --availability pause'],
  options: [
    { flags: '--availability <how>', help: 'active, pause (no new tasks) or drain (move all)' },
    ...LABEL_CHANGE_OPTIONS,
    IDEMPOTENCY_OPTION,
    ...DONE_OPTIONS,
  ],
  fields: CHANGE_FIELDS,
  run: async (call) => {
    const availability = call.flags.choice('availability', ['active', 'pause', 'drain']);
    const labels = mergeLabels(call.flags);
    if (availability === undefined && !labels.isAny)
      throw usageError('nothing to change was given');
    const change = { availability, labelsSet: labels.set, labelsRemove: labels.remove };
    await changeNode(call, change, 'updated');
  },
};

const DRAIN: CommandSpec = {
  path: 'node drain',
  arguments: '<node>',
  summary: 'Move all tasks away from a node and give it no new ones',
  examples: ['conclave node drain worker-2'],
  options: [IDEMPOTENCY_OPTION, ...DONE_OPTIONS],
  fields: CHANGE_FIELDS,
  run: (call) => changeNode(call, { availability: 'drain' }, 'drains'),
};

const ACTIVATE: CommandSpec = {
  path: 'node activate',
  arguments: '<node>',
  summary: 'Let a node take tasks again',
  examples: ['conclave node activate worker-2'],
  options: [IDEMPOTENCY_OPTION, ...DONE_OPTIONS],
  fields: CHANGE_FIELDS,
  run: (call) => changeNode(call, { availability: 'active' }, 'is active'),
};

const APPROVE: CommandSpec = {
  path: 'node approve',
  arguments: '<node>',
  summary: 'Let a host that has joined with a token of --approval take part',
  details: [
    'Compare what `conclave node inspect` says of it with the host that you expect. ' +
      '`conclave node rm` turns it away.',
  ],
  examples: ['conclave node approve manager-2'],
  options: [IDEMPOTENCY_OPTION, ...DONE_OPTIONS],
  fields: ['id', 'hostname', 'role', 'index'],
  run: async (call) => {
    checkDoneOptions(call);
    const client = await call.client();
    const node = await client.nodes.approve(argument(call, 0), writeOptions(call));
    const { hostname, id, objectVersion: index, role } = node;
    const text = `${hostname} is approved as ${role}; committed at index ${index}`;
    await printDone(call, { text, data: { id, hostname, role, index }, id });
  },
};

const ROLE_FIELDS = ['id', 'hostname', 'role', 'wantedRole', 'index'];

async function setRole(call: Call, role: 'manager' | 'worker'): Promise<void> {
  checkDoneOptions(call);
  const names = call.arguments;
  if (names.length > 1 && call.flags.text('idempotencyKey') !== undefined) {
    throw usageError('--idempotency-key goes with one node');
  }
  const client = await call.client();
  await printDoneEach(call, names, async (name) => {
    const node = await client.nodes.setRole(name, role, writeOptions(call));
    const { hostname, id, objectVersion: index, wantedRole } = node;
    const how =
      node.role === role
        ? `is a ${role}`
        : `becomes a ${role}: follow it with \`conclave node ls\``;
    const data = { id, hostname, role: node.role, wantedRole, index };
    return { text: `${hostname} ${how}; committed at index ${index}`, data, id };
  });
}

const PROMOTE: CommandSpec = {
  path: 'node promote',
  arguments: '<node...>',
  summary: 'Make workers managers',
  details: [
    'Its tasks move to other workers first. Then the host makes keys of its own, which lock at rest ' +
      'like those of any manager, gets the key ring, and votes once it has caught up. It goes on by ' +
      'itself; `conclave node ls` shows how far it is, `conclave node demote` calls it off.',
  ],
  examples: ['conclave node promote worker-1'],
  options: [IDEMPOTENCY_OPTION, ...DONE_OPTIONS],
  fields: ROLE_FIELDS,
  run: (call) => setRole(call, 'manager'),
};

const DEMOTE: CommandSpec = {
  path: 'node demote',
  arguments: '<node...>',
  summary: 'Make managers workers',
  details: [
    'It leaves the quorum, and from then on no manager takes its certificate for that of one; the ' +
      'command waits for that. Its host destroys its log, key ring and keys when it hears of it, ' +
      'after a restart at the latest, and goes on as a worker. Refused when too few managers would ' +
      'be left that can be reached.',
  ],
  examples: ['conclave node demote manager-3'],
  options: [IDEMPOTENCY_OPTION, ...DONE_OPTIONS],
  fields: ROLE_FIELDS,
  run: (call) => setRole(call, 'worker'),
};

const REMOVE: CommandSpec = {
  path: 'node rm',
  arguments: '<node>',
  summary: 'Take a node out of the cluster and end its identity',
  details: [
    'Refused while the node is READY unless forced. A manager is removed by force and only while it ' +
      'is DOWN; `conclave leave` takes out one that runs. What the node was ever given is listed by ' +
      '`conclave node exposure` before it is removed.',
  ],
  examples: ['conclave node rm worker-2 --force --yes'],
  options: [FORCE_OPTION, YES_OPTION, IDEMPOTENCY_OPTION, ...DONE_OPTIONS],
  fields: ['node', 'index', 'heldCount', 'orphanedTasks', 'held'],
  run: async (call) => {
    checkDoneOptions(call);
    const node = argument(call, 0);
    await confirm(call, `Remove node ${node} and end its identity?`);
    const client = await call.client();
    const options = { isForced: call.flags.isOn('force'), ...writeOptions(call) };
    const { held, heldCount, index, orphanedTasks } = await client.nodes.remove(node, options);
    const head = `${node} removed at index ${index}, ${plural(orphanedTasks, 'task')} orphaned`;
    const lines = held.map(({ secretName, version }) => `  ${secretName} v${version}`);
    if (heldCount > held.length) lines.push(`  and ${heldCount - held.length} more`);
    const tail = heldCount === 0 ? [] : ['it was given these secret versions:', ...lines];
    await printDone(call, {
      text: [head, ...tail].join('\n'),
      data: { node, index, heldCount, orphanedTasks, held },
      id: node,
    });
  },
};

const EXPOSURE: CommandSpec = {
  path: 'node exposure',
  arguments: '<node>',
  summary: 'List every secret version that a node was ever given',
  details: ['After a theft this is what has to be changed.'],
  examples: ['conclave node exposure worker-2 -o json'],
  options: LIST_OPTIONS,
  fields: EXPOSURE_VIEW.fields,
  run: (call) =>
    printList(call, EXPOSURE_VIEW, async () => {
      const client = await call.client();
      return client.nodes.exposure(argument(call, 0), { signal: call.tools.signal });
    }),
};

/** Commands about nodes. */
export const NODE_COMMANDS: readonly CommandSpec[] = [
  LIST,
  INSPECT,
  UPDATE,
  DRAIN,
  ACTIVATE,
  APPROVE,
  PROMOTE,
  DEMOTE,
  REMOVE,
  EXPOSURE,
];
