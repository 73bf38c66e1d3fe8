import type { AdminCredentials } from '@conclave/client';
import { isConclaveError } from '@conclave/kernel';
import type { SecretBytes } from '@conclave/sealed';
import type { Call, CommandSpec } from '../command-spec.js';
import { confirm, YES_OPTION } from '../confirm.js';
import { checkContextName, LOCAL_CONTEXT } from '../contexts.js';
import { withCredentials } from '../credentials.js';
import { usageError } from '../flags.js';
import {
  checkDoneOptions,
  DONE_OPTIONS,
  LIST_OPTIONS,
  printDone,
  printDoneEach,
  printList,
} from '../output/print.js';
import { readSecret, readSecretFile } from '../stdin.js';
import { CONTEXT_VIEW } from '../views/contexts.js';
import type { ContextRow } from '../views/contexts.js';
import { argument, plural } from './shared.js';

/** @throws CV_ARGUMENT_INVALID when there is one of this name: its key would be lost */
export async function checkNewContext(call: Call, name: string): Promise<void> {
  checkContextName(name);
  if (!(await call.tools.contexts.names()).includes(name)) return;
  throw usageError(
    `there is a context ${name} already`,
    `Remove it first, with: conclave context rm ${name}`,
  );
}

async function rowOf(call: Call, name: string, current: string): Promise<ContextRow> {
  const { certificateOf } = await import('@conclave/client');
  const content = await call.tools.contexts.read(name);
  return withCredentials(content, (credentials) => ({
    name,
    current: name === current,
    admin: credentials.name,
    roles: credentials.roles,
    clusterId: credentials.clusterId,
    addresses: credentials.addresses,
    expiresAtMs: certificateOf(credentials).notAfterMs,
  }));
}

async function* rows(call: Call): AsyncGenerator<ContextRow, void, void> {
  const { contexts } = call.tools;
  const current = await contexts.current();
  for (const name of await contexts.names()) yield await rowOf(call, name, current);
}

const LIST: CommandSpec = {
  path: 'context ls',
  summary: 'List the contexts of this person; the chosen one is marked',
  examples: ['conclave context ls'],
  options: LIST_OPTIONS,
  fields: CONTEXT_VIEW.fields,
  run: (call) => printList(call, CONTEXT_VIEW, () => Promise.resolve(rows(call))),
};

const USE: CommandSpec = {
  path: 'context use',
  arguments: '<name>',
  summary: 'Choose the context of later commands; "local" is the daemon of this host',
  details: [
    '--context and CONCLAVE_CONTEXT come before what is chosen here, and so does a socket that is ' +
      'named. Commands that change this host (init, join, leave) always use its own daemon.',
  ],
  examples: ['conclave context use ann', 'conclave context use local'],
  options: DONE_OPTIONS,
  fields: ['name'],
  run: async (call) => {
    checkDoneOptions(call);
    const name = argument(call, 0);
    const { contexts } = call.tools;
    if (name !== LOCAL_CONTEXT) (await contexts.read(checkContextName(name))).wipe();
    await contexts.choose(name === LOCAL_CONTEXT ? '' : name);
    const what = name === LOCAL_CONTEXT ? 'the daemon of this host' : `context ${name}`;
    await printDone(call, { text: `commands go to ${what} now`, data: { name }, id: name });
  },
};

const REMOVE: CommandSpec = {
  path: 'context rm',
  arguments: '<name...>',
  summary: 'Remove contexts with their private keys from this host',
  details: ['The cluster goes on accepting the certificate; end it with `conclave admin rm`.'],
  examples: ['conclave context rm ann --yes'],
  options: [YES_OPTION, ...DONE_OPTIONS],
  fields: ['name'],
  run: async (call) => {
    checkDoneOptions(call);
    const names = call.arguments.map(checkContextName);
    const what = names.length === 1 ? `context ${names[0] ?? ''}` : plural(names.length, 'context');
    await confirm(call, `Remove ${what} with its private key?`);
    await printDoneEach(call, names, async (name) => {
      await call.tools.contexts.remove(name);
      return { text: `context ${name} removed from this host`, data: { name }, id: name };
    });
  },
};

const EXPORT: CommandSpec = {
  path: 'context export',
  arguments: '<name>',
  summary: 'Write a context to standard output, to take it to another host',
  details: ['What comes out contains the private key: send it through a pipe, or umask 077 first.'],
  examples: ['conclave context export ann | ssh host-9 conclave context import ann'],
  run: async (call) => {
    if (call.io.stdout.isTerminal) {
      throw usageError(
        'a context has a private key, which does not belong on a terminal',
        'Send it through a pipe or into a file.',
      );
    }
    const content = await call.tools.contexts.read(checkContextName(argument(call, 0)));
    try {
      await content.use((view) => call.io.stdout.write(view));
    } finally {
      content.wipe();
    }
  },
};

const CREATE: CommandSpec = {
  path: 'context create',
  arguments: '<name>',
  summary: 'Make a key here and print a request for its certificate',
  details: [
    'The private key stays on this host. The request is public: an administrator answers it with ' +
      '`conclave admin create NAME --request FILE`, and `context import` takes the answer.',
  ],
  examples: [
    'conclave context create ann > ann.request',
    'conclave context create ann | ssh host-1 conclave admin create ann --role viewer --request - | conclave context import ann',
  ],
  run: async (call) => {
    const name = argument(call, 0);
    await checkNewContext(call, name);
    const { createAdminKey, encodeRequest } = await import('@conclave/client');
    const { privateKey, proven } = createAdminKey(name);
    await call.tools.requestKeys.write(name, privateKey).finally(() => privateKey.wipe());
    await call.io.stdout.write(encodeRequest(proven));
  },
};

/** The key that `context create` left for this context, if any. */
async function ownKeyOf(call: Call, name: string): Promise<SecretBytes | undefined> {
  try {
    return await call.tools.requestKeys.read(name);
  } catch (error) {
    if (isConclaveError(error) && error.kind === 'missing') return undefined;
    throw error;
  }
}

const IMPORT: CommandSpec = {
  path: 'context import',
  arguments: '<name> [file]',
  summary: 'Take a context, or the answer to a request, from a file or standard input',
  examples: [
    'conclave context import ann < ann.context',
    'conclave context import ann ann.context',
  ],
  options: DONE_OPTIONS,
  fields: ['name', 'admin', 'clusterId'],
  run: async (call) => {
    checkDoneOptions(call);
    const name = argument(call, 0);
    await checkNewContext(call, name);
    const { CREDENTIALS_BYTES_MAX, encodeCredentials } = await import('@conclave/client');
    const path = call.arguments[1] ?? '-';
    const content =
      path === '-'
        ? await readSecret(call.io.stdin.chunks(), CREDENTIALS_BYTES_MAX)
        : await readSecretFile(path, CREDENTIALS_BYTES_MAX);
    const ownKey = await ownKeyOf(call, name);
    const take = async (credentials: AdminCredentials): Promise<void> => {
      const checked = encodeCredentials(credentials);
      await call.tools.contexts.write(name, checked).finally(() => checked.wipe());
      if (ownKey !== undefined) await call.tools.requestKeys.remove(name);
      const { clusterId, name: admin } = credentials;
      const text = `context ${name} is administrator ${admin} of cluster ${clusterId}`;
      await printDone(call, { text, data: { name, admin, clusterId }, id: name });
    };
    await withCredentials(content, take, ownKey);
  },
};

/** Commands about whom other commands talk to. */
export const CONTEXT_COMMANDS: readonly CommandSpec[] = [LIST, USE, CREATE, IMPORT, EXPORT, REMOVE];
