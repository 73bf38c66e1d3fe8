import { ADMIN_ROLES, ConclaveError, limits } from '@conclave/kernel';
import type { AdminRole } from '@conclave/kernel';
import type { AdminCredentials, AdminSpec, CreatedAdmin, ProvenKey } from '@conclave/client';
import type { SecretBytes } from '@conclave/sealed';
import type { Call, CommandSpec } from '../command-spec.js';
import { YES_OPTION } from '../confirm.js';
import { usageError } from '../flags.js';
import {
  checkDoneOptions,
  DONE_OPTIONS,
  LIST_OPTIONS,
  printDone,
  printList,
} from '../output/print.js';
import { time } from '../output/text.js';
import { readSecret, readSecretFile } from '../stdin.js';
import { ADMIN_VIEW } from '../views/admins.js';
import { checkNewContext } from './context.js';
import { removeEach } from './remove-each.js';
import { argument, IDEMPOTENCY_OPTION, writeOptions } from './shared.js';

function rolesOf(call: Call): readonly AdminRole[] {
  const roles = call.flags.list('role').map((text) => ADMIN_ROLES.find((role) => role === text));
  const known = roles.filter((role) => role !== undefined);
  if (known.length > 0 && known.length === roles.length) return known;
  throw usageError(`--role must be given, as one of ${ADMIN_ROLES.join(', ')}`);
}

function grantOf(made: CreatedAdmin): Omit<AdminCredentials, 'privateKey'> {
  const { addresses, admin, certificate, clusterId, rootCertificates: rootsDer } = made;
  const { name, roles } = admin;
  return { clusterId, name, roles, addresses, certificateDer: certificate, rootsDer };
}

async function keep(call: Call, made: CreatedAdmin, privateKey: SecretBytes): Promise<void> {
  const { encodeCredentials } = await import('@conclave/client');
  const content = encodeCredentials({ ...grantOf(made), privateKey });
  try {
    await call.tools.contexts.write(made.admin.name, content);
  } catch (error) {
    // A certificate whose key is gone is of no use to anybody.
    await (await call.client()).admins.revoke(made.admin.id);
    throw error;
  } finally {
    content.wipe();
  }
}

const CREATE: CommandSpec = {
  path: 'admin create',
  arguments: '<name>',
  summary: 'Make an administrator who comes over the network, and its context',
  details: [
    'The private key is made by this command and written into a context of the same name, which ' +
      'only this user can read; the cluster gets the public key. Roles: viewer reads; auditor also ' +
      'sees who was given what; operator runs services; secret-writer sets secrets; admin may do ' +
      'everything. An operator may give those secrets to services that --use names.',
    'With --request the key was made elsewhere and stays there: what is printed is public, and ' +
      '`context import` takes it there.',
  ],
  examples: [
    "conclave admin create ann --role operator --use 'shop/*'",
    'conclave admin create deploy --role operator --role secret-writer --ttl 1h',
  ],
  options: [
    { flags: '--role <role>', help: ADMIN_ROLES.join(', '), isRepeated: true },
    { flags: '--use <secret>', help: "operators: a secret, 'PREFIX/*' or '*'", isRepeated: true },
    {
      flags: '--ttl <duration>',
      help: 'life of its certificates, up to 7d (setting of the cluster)',
    },
    { flags: '--request <file>', help: 'a request of `context create`, or - for a pipe' },
    ...DONE_OPTIONS,
  ],
  fields: ['id', 'name', 'roles', 'uses', 'expiresAtMs', 'context', 'index'],
  run: async (call) => {
    checkDoneOptions(call);
    const name = argument(call, 0);
    const ttlMs = call.flags.durationMs('ttl');
    if (ttlMs !== undefined && (ttlMs < 1 || ttlMs > limits.ADMIN_TTL_MS_MAX)) {
      throw usageError('--ttl must be more than 0 and at most 7d');
    }
    const spec = { name, roles: rolesOf(call), uses: call.flags.list('use'), ttlMs };
    const path = call.flags.text('request');
    if (path !== undefined) return answerRequest(call, spec, path);
    await checkNewContext(call, name);
    const { createAdminKey } = await import('@conclave/client');
    const { privateKey, proven: key } = createAdminKey(name);
    try {
      const client = await call.client();
      const made = await client.admins.create({ ...spec, key }, { signal: call.tools.signal });
      await keep(call, made, privateKey);
      await printCreated(call, made);
    } finally {
      privateKey.wipe();
    }
  },
};

/** Certifies a key that was made elsewhere; prints all that its owner needs besides it. */
async function answerRequest(
  call: Call,
  spec: Omit<AdminSpec, 'key'>,
  path: string,
): Promise<void> {
  if (checkDoneOptions(call) !== 'text') {
    throw usageError(
      '--request prints its answer as it is: --output and --quiet do not go with it',
    );
  }
  const { encodeGrant } = await import('@conclave/client');
  const key = await readRequest(call, path);
  const client = await call.client();
  const made = await client.admins.create({ ...spec, key }, { signal: call.tools.signal });
  await call.io.stdout.write(encodeGrant(grantOf(made)));
}

async function readRequest(call: Call, path: string): Promise<ProvenKey> {
  const { decodeRequest, REQUEST_LENGTH_MAX } = await import('@conclave/client');
  const content =
    path === '-'
      ? await readSecret(call.io.stdin.chunks(), REQUEST_LENGTH_MAX)
      : await readSecretFile(path, REQUEST_LENGTH_MAX);
  return decodeRequest(content.use((view) => new TextDecoder().decode(view)));
}

async function printCreated(call: Call, { admin, index }: CreatedAdmin): Promise<void> {
  const { expiresAtMs, id, name, roles, uses } = admin;
  const context = call.tools.contexts.place(name);
  const lines = [
    `administrator ${name} (${roles.join(', ')}) until ${time(expiresAtMs)}; committed at index ${index}`,
    `Its private key is in ${context} and nowhere else.`,
    '',
    `To act as ${name} here:  conclave --context ${name} status`,
    `To take it elsewhere:  conclave context export ${name} | ssh HOST conclave context import ${name}`,
  ];
  const data = { id, name, roles, uses, expiresAtMs, context, index };
  await printDone(call, { text: lines.join('\n'), data, id });
}

const LIST: CommandSpec = {
  path: 'admin ls',
  summary: 'List administrators with certificates, also those that ended',
  examples: ['conclave admin ls -f revoked=false'],
  options: LIST_OPTIONS,
  fields: ADMIN_VIEW.fields,
  run: (call) =>
    printList(call, ADMIN_VIEW, async () => {
      const client = await call.client();
      return client.admins.list({ signal: call.tools.signal });
    }),
};

const REMOVE: CommandSpec = {
  path: 'admin rm',
  arguments: '<admin...>',
  summary: 'End administrators: calls are refused and open streams cut within a second',
  examples: ['conclave admin rm ann --yes'],
  options: [YES_OPTION, IDEMPOTENCY_OPTION, ...DONE_OPTIONS],
  fields: ['name', 'index'],
  run: (call) =>
    removeEach(call, {
      what: 'administrator',
      verb: 'End',
      past: 'ended',
      consequence: '',
      remove: async (name) => (await call.client()).admins.revoke(name, writeOptions(call)),
    }),
};

const RENEW: CommandSpec = {
  path: 'admin renew',
  summary: 'Get the next certificate for the context in use, with a new key',
  details: [
    'Every command that works does this by the way once half of the life is over, unless ' +
      'CONCLAVE_RENEW is `never`. Works while the certificate is valid and the administrator is not ' +
      'ended. The one before ends with the first use of the new one, and after 10 minutes. Addresses ' +
      'of managers in the context are brought up to date.',
  ],
  examples: ['conclave --context ann admin renew'],
  options: DONE_OPTIONS,
  fields: ['name', 'expiresAtMs'],
  run: async (call) => {
    checkDoneOptions(call);
    const target = await call.target();
    if (target.kind !== 'context') {
      throw usageError(
        'there is no certificate to renew: no context is in use',
        'Give --context NAME. The socket of this host needs no certificate.',
      );
    }
    const { name } = target;
    const { renewContext } = await import('../auto-renewal.js');
    const client = await call.client();
    const renewed = await renewContext(call, { name, client, isDue: () => true });
    if (renewed.kind !== 'renewed') {
      throw new ConclaveError('CV_CONTEXT_BUSY', `another command renews context ${name} just now`);
    }
    const { expiresAtMs } = renewed;
    const text = `context ${name} is valid until ${time(expiresAtMs)}`;
    await printDone(call, { text, data: { name, expiresAtMs }, id: name });
  },
};

/** Commands about administrators with certificates. */
export const ADMIN_COMMANDS: readonly CommandSpec[] = [CREATE, LIST, REMOVE, RENEW];
