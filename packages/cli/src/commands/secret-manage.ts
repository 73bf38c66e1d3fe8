import type { CommandSpec } from '../command-spec.js';
import { confirm, YES_OPTION } from '../confirm.js';
import { usageError } from '../flags.js';
import {
  checkDoneOptions,
  DONE_OPTIONS,
  LIST_OPTIONS,
  ONE_OPTIONS,
  printDone,
  printList,
  printOne,
} from '../output/print.js';
import { LABEL_CHANGE_OPTIONS, mergeLabels } from '../spec/labels.js';
import { SECRET_EVENT_VIEW, SECRET_USE_VIEW, SECRET_VIEW } from '../views/secrets.js';
import { removeEach } from './remove-each.js';
import {
  argument,
  FORCE_OPTION,
  IDEMPOTENCY_OPTION,
  parseVersion,
  STALE_OPTION,
  writeOptions,
} from './shared.js';

const LIST: CommandSpec = {
  path: 'secret ls',
  arguments: '[prefix]',
  summary: 'List secrets',
  examples: ['conclave secret ls shop/', 'conclave secret ls -o json'],
  options: [STALE_OPTION, ...LIST_OPTIONS],
  fields: SECRET_VIEW.fields,
  run: (call) =>
    printList(call, SECRET_VIEW, async () => {
      const isStale = call.flags.isOn('stale');
      const options = { namePrefix: argument(call, 0), isStale, signal: call.tools.signal };
      return (await call.client()).secrets.list(options);
    }),
};

const GET: CommandSpec = {
  path: 'secret get',
  arguments: '<name>',
  summary: 'Show what is known about a secret; values are never shown',
  examples: ['conclave secret get shop/db'],
  options: [STALE_OPTION, ...ONE_OPTIONS],
  fields: SECRET_VIEW.fields,
  run: (call) =>
    printOne(call, SECRET_VIEW, async () => {
      const options = { isStale: call.flags.isOn('stale'), signal: call.tools.signal };
      return (await call.client()).secrets.get(argument(call, 0), options);
    }),
};

const HISTORY: CommandSpec = {
  path: 'secret history',
  arguments: '<name>',
  summary: 'Show who did what to a secret, oldest first',
  examples: ['conclave secret history shop/db'],
  options: LIST_OPTIONS,
  fields: SECRET_EVENT_VIEW.fields,
  run: (call) =>
    printList(call, SECRET_EVENT_VIEW, async () => {
      const client = await call.client();
      return client.secrets.history(argument(call, 0), { signal: call.tools.signal });
    }),
};

const STATUS: CommandSpec = {
  path: 'secret status',
  arguments: '<name>',
  summary: 'Show which running task has which version, since when',
  examples: ['conclave secret status shop/db', 'conclave secret status shop/db -f outcome=failed'],
  options: LIST_OPTIONS,
  fields: SECRET_USE_VIEW.fields,
  run: (call) =>
    printList(call, SECRET_USE_VIEW, async () => {
      const client = await call.client();
      return client.secrets.status(argument(call, 0), { signal: call.tools.signal });
    }),
};

const UPDATE: CommandSpec = {
  path: 'secret update',
  arguments: '<name>',
  summary: 'Change labels and description; makes no version',
  examples: ['conclave secret update shop/db --label-add team=shop --description "main database"'],
  options: [
    ...LABEL_CHANGE_OPTIONS,
    { flags: '--description <text>', help: 'replaces the description' },
    IDEMPOTENCY_OPTION,
    ...DONE_OPTIONS,
  ],
  fields: SECRET_VIEW.fields,
  run: async (call) => {
    checkDoneOptions(call);
    const description = call.flags.text('description');
    const change = mergeLabels(call.flags);
    if (!change.isAny && description === undefined) throw usageError('nothing to change was given');
    const client = await call.client();
    const secret = await client.secrets.get(argument(call, 0), { signal: call.tools.signal });
    const updated = await client.secrets.update(
      secret.id,
      {
        objectVersion: secret.objectVersion,
        labels: change.apply(secret.labels),
        description: description ?? secret.description,
      },
      writeOptions(call),
    );
    const text = `${updated.name} updated at index ${updated.objectVersion}`;
    const data = { id: updated.id, name: updated.name, index: updated.objectVersion };
    await printDone(call, { text, data, id: updated.id });
  },
};

const REMOVE: CommandSpec = {
  path: 'secret rm',
  arguments: '<name...>',
  summary: 'Remove secrets with all their versions',
  details: ['Refused while a service or a live task refers to the secret.'],
  examples: ['conclave secret rm shop/old-db --yes'],
  options: [YES_OPTION, IDEMPOTENCY_OPTION, ...DONE_OPTIONS],
  fields: ['name', 'index'],
  run: (call) =>
    removeEach(call, {
      what: 'secret',
      verb: 'Remove',
      past: 'removed',
      consequence: ' with all versions for ever',
      remove: async (name) => (await call.client()).secrets.remove(name, writeOptions(call)),
    }),
};

const DESTROY: CommandSpec = {
  path: 'secret destroy-version',
  arguments: '<name> <version>',
  summary: 'Destroy key and ciphertext of one version for ever',
  details: ['Refused while the version is current or in use, unless forced.'],
  examples: ['conclave secret destroy-version shop/db 1 --yes'],
  options: [FORCE_OPTION, YES_OPTION, IDEMPOTENCY_OPTION, ...DONE_OPTIONS],
  fields: ['name', 'version', 'index'],
  run: async (call) => {
    checkDoneOptions(call);
    const name = argument(call, 0);
    const version = parseVersion(argument(call, 1));
    await confirm(call, `Destroy version ${version} of ${name} for ever?`);
    const client = await call.client();
    const options = { isForced: call.flags.isOn('force'), ...writeOptions(call) };
    const { index } = await client.secrets.destroyVersion(name, version, options);
    const text = `${name} v${version} destroyed at index ${index}`;
    await printDone(call, { text, data: { name, version, index }, id: name });
  },
};

/** Commands that show secrets, change their metadata or remove them. */
export const SECRET_MANAGE_COMMANDS: readonly CommandSpec[] = [
  LIST,
  GET,
  HISTORY,
  STATUS,
  UPDATE,
  REMOVE,
  DESTROY,
];
