import { checkSecretName } from '@conclave/kernel';
import type { SecretBytes } from '@conclave/sealed';
import type { Call, CommandSpec, OptionSpec } from '../command-spec.js';
import { usageError } from '../flags.js';
import { DONE_OPTIONS } from '../output/print.js';
import { parsePairs } from '../spec/pairs.js';
import { changeAndReport, WAIT_OPTIONS } from './secret-wait.js';
import { generateValue, readValue } from './secret-value.js';
import { argument, IDEMPOTENCY_OPTION, parseVersion, writeOptions } from './shared.js';

const SET_FIELDS = ['id', 'name', 'version', 'unchanged', 'index', 'affectedTasks', 'delivery'];

const SET_OPTIONS: readonly OptionSpec[] = [
  ...WAIT_OPTIONS,
  { flags: '--force', help: 'a new version even when the value is the same' },
  { flags: '--create-only', help: 'refuse when the name exists' },
  { flags: '--label <key=value>', help: 'label of a new secret', isRepeated: true },
  { flags: '--description <text>', help: 'description of a new secret' },
  IDEMPOTENCY_OPTION,
  ...DONE_OPTIONS,
];

/** Only the name may stand on the command line; what else stands there is never repeated. */
function onlyName(call: Call): string {
  const name = call.arguments[0];
  if (name === undefined) throw usageError('NAME is missing');
  if (call.arguments.length > 1 || name.startsWith('-')) {
    throw usageError(
      'only the name and known options may stand on the command line: a value there can be read ' +
        'by others with ps and stays in the history of the shell',
      'Pipe it: printf %s "$VALUE" | conclave secret set NAME, or use --from-file PATH.',
    );
  }
  // Checked here: a value that was typed for a name does not even leave this process.
  checkSecretName(name);
  return name;
}

async function setValue(call: Call, make: (name: string) => Promise<SecretBytes>): Promise<void> {
  const name = onlyName(call);
  const labels = parsePairs('--label', call.flags.list('label'));
  await changeAndReport(call, name, async (client) => {
    const value = await make(name);
    try {
      return await client.secrets.set(name, value, {
        labels,
        description: call.flags.text('description'),
        isForced: call.flags.isOn('force'),
        isCreateOnly: call.flags.isOn('createOnly'),
        ...writeOptions(call),
      });
    } finally {
      value.wipe();
    }
  });
}

const SET: CommandSpec = {
  path: 'secret set',
  arguments: '<name>',
  summary: 'Make a new version of a secret and point the name at it',
  details: [
    'The value is read from standard input byte for byte (a trailing line feed included), from ' +
      '--from-file, or typed twice without echo on a terminal. It is sealed to the cluster before ' +
      'it leaves this process. A value on the command line is refused.',
    'A value that equals the current one makes no new version unless --force is given.',
  ],
  examples: [
    'printf %s "$PASSWORD" | conclave secret set shop/db --wait',
    'conclave secret set shop/tls.key --from-file ./tls.key',
  ],
  options: [
    { flags: '--from-file <path>', help: 'read the value from a file; - is standard input' },
    ...SET_OPTIONS,
  ],
  fields: SET_FIELDS,
  hasUncheckedArguments: true,
  run: (call) => setValue(call, async () => readValue(call, await call.client())),
};

const BYTES_DEFAULT = 32;
const BYTES_MAX = 65_536;

const GENERATE: CommandSpec = {
  path: 'secret generate',
  arguments: '<name>',
  summary: 'Set a secret to random bytes that nobody sees',
  details: ['The value is made in this process, sealed to the cluster, and never printed.'],
  examples: ['conclave secret generate shop/session-key --bytes 32 --encoding base64url'],
  options: [
    { flags: '--bytes <n>', help: `random bytes, 16 to ${BYTES_MAX} (${BYTES_DEFAULT})` },
    { flags: '--encoding <form>', help: 'hex, base64url (without padding) or raw (hex)' },
    ...SET_OPTIONS,
  ],
  fields: SET_FIELDS,
  hasUncheckedArguments: true,
  run: async (call) => {
    const count = call.flags.count('bytes', { min: 16, max: BYTES_MAX }) ?? BYTES_DEFAULT;
    const encoding = call.flags.choice('encoding', ['hex', 'base64url', 'raw']) ?? 'hex';
    await setValue(call, () => generateValue(call, count, encoding));
  },
};

const ROLLBACK: CommandSpec = {
  path: 'secret rollback',
  arguments: '<name> [version]',
  summary: 'Point the name at an older version',
  details: ['Without VERSION it is the one that the name pointed at before.'],
  examples: ['conclave secret rollback shop/db 1 --wait'],
  options: [...WAIT_OPTIONS, IDEMPOTENCY_OPTION, ...DONE_OPTIONS],
  fields: SET_FIELDS,
  run: (call) => {
    const name = argument(call, 0);
    const text = call.arguments[1];
    const version = text === undefined ? 0 : parseVersion(text);
    return changeAndReport(call, name, (client) =>
      client.secrets.rollback(name, version, writeOptions(call)),
    );
  },
};

/** Commands that move the pointer of a secret. */
export const SECRET_CHANGE_COMMANDS: readonly CommandSpec[] = [SET, GENERATE, ROLLBACK];
