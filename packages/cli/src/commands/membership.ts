import type { SecretBytes } from '@conclave/sealed';
import type { Call, CommandSpec, OptionSpec } from '../command-spec.js';
import { confirm, YES_OPTION } from '../confirm.js';
import { usageError } from '../flags.js';
import { checkDoneOptions, DONE_OPTIONS, printDone } from '../output/print.js';
import { readHidden } from '../prompt.js';
import { KIT_OPTIONS, kitData, kitText, withNewKit } from '../recovery-kit.js';
import { readSecret, readSecretFile } from '../stdin.js';
import { argument } from './shared.js';

/** Bytes of what may stand where a token is expected. */
const TOKEN_BYTES_MAX = 1_024;

const AUTO_UNLOCK: OptionSpec = {
  flags: '--auto-unlock <how>',
  help: 'host or command:PATH: open the keys after a restart without a person',
};

const INIT: CommandSpec = {
  path: 'init',
  isOfHost: true,
  summary: 'Make a new cluster with this host as its first manager',
  details: [
    'Prints the recovery key, once. A manager that restarts is locked until somebody runs ' +
      '`conclave unlock` with it, unless --auto-unlock says what else opens its keys.',
    '-q prints the id of the cluster alone, and the recovery key on standard error.',
  ],
  examples: [
    'conclave init --advertise 10.0.0.5',
    'conclave init --recovery-shares 3/5 --recovery-key-file /media/stick/shares',
  ],
  options: [
    { flags: '--advertise <host[:port]>', help: 'address that the others reach; chosen if absent' },
    AUTO_UNLOCK,
    ...KIT_OPTIONS,
    ...DONE_OPTIONS,
  ],
  fields: [
    'clusterId',
    'nodeId',
    'clusterAddress',
    'joinAddress',
    'notes',
    'recoveryKey',
    'recoveryKeyFile',
  ],
  run: async (call) => {
    const format = checkDoneOptions(call);
    const advertise = call.flags.text('advertise');
    const autoUnlock = call.flags.text('autoUnlock');
    const client = await call.client();
    await withNewKit(call, {
      give: ({ recipient }) => {
        const spec = { advertise, autoUnlock, recovery: recipient };
        return client.local.init(spec, { signal: call.tools.signal });
      },
      tell: async (made, kit) => {
        const lines = [
          `cluster ${made.clusterId} is made; this host is manager ${made.nodeId}`,
          `managers talk at ${made.clusterAddress}, hosts join at ${made.joinAddress}`,
          ...made.notes.map((note) => `note: ${note}`),
          '',
          kitText(kit),
          '',
          'To add a worker:   conclave token create worker',
          'To add a manager:  conclave token create manager',
        ];
        if (format === 'id') await call.io.stderr.write(`${kitText(kit)}\n`);
        const data = { ...made, ...kitData(kit) };
        await printDone(call, { text: lines.join('\n'), data, id: made.clusterId });
      },
    });
  },
};

/** Takes the white space of a pipe or a file away; tokens have none inside. */
async function trimmed(token: SecretBytes): Promise<SecretBytes> {
  const { SecretBytes: Secret } = await import('@conclave/sealed');
  try {
    return token.use((view) => {
      const isSpace = (byte: number | undefined): boolean => byte !== undefined && byte <= 0x20;
      let start = 0;
      let end = view.length;
      while (start < end && isSpace(view[start])) start += 1;
      while (end > start && isSpace(view[end - 1])) end -= 1;
      const copy = new Uint8Array(new ArrayBuffer(end - start));
      copy.set(view.subarray(start, end));
      return Secret.take(copy);
    });
  } finally {
    token.wipe();
  }
}

async function readToken(call: Call): Promise<SecretBytes> {
  const given = call.arguments[1];
  const path = call.flags.text('tokenFile');
  if (given !== undefined && path !== undefined) {
    throw usageError('only one of TOKEN and --token-file can be given');
  }
  const { SecretBytes: Secret } = await import('@conclave/sealed');
  if (path !== undefined) return trimmed(await readSecretFile(path, TOKEN_BYTES_MAX));
  if (given !== undefined && given !== '-') return Secret.take(new TextEncoder().encode(given));
  if (given === undefined && call.io.stdin.isTerminal) {
    return trimmed(await readHidden(call.io, 'token (not shown): ', TOKEN_BYTES_MAX));
  }
  return trimmed(await readSecret(call.io.stdin.chunks(), TOKEN_BYTES_MAX));
}

const JOIN: CommandSpec = {
  path: 'join',
  isOfHost: true,
  arguments: '<address> [token]',
  summary: 'Make this host a member of a cluster',
  details: [
    'ADDRESS is the join address of a manager, HOST:PORT. The role is that of the token.',
    'A token on the command line can be read by everybody on this host with ps until the command ' +
      'has ended. Safer: give - as TOKEN and pipe it, use --token-file, or leave TOKEN away on a ' +
      'terminal and type it without echo. Create it with --uses 1 and a short --ttl.',
  ],
  examples: [
    'conclave join 10.0.0.5:7421',
    'conclave join 10.0.0.5:7421 - < token.txt',
    'conclave join 10.0.0.5:7421 --token-file /run/conclave-token',
  ],
  options: [
    { flags: '--token-file <path>', help: 'read the token from a file' },
    { flags: '--advertise <host[:port]>', help: 'managers: address that the others reach' },
    { ...AUTO_UNLOCK, help: `managers: ${AUTO_UNLOCK.help}` },
    ...DONE_OPTIONS,
  ],
  fields: ['clusterId', 'nodeId', 'role', 'membership', 'notes'],
  run: async (call) => {
    checkDoneOptions(call);
    const token = await readToken(call);
    try {
      if (token.size === 0) throw usageError('the token is empty');
      const client = await call.client();
      const advertise = call.flags.text('advertise');
      const autoUnlock = call.flags.text('autoUnlock');
      const spec = { address: argument(call, 0), token, advertise, autoUnlock };
      const joined = await client.local.join(spec, { signal: call.tools.signal });
      const { clusterId, membership, nodeId, role } = joined;
      const state = membership === '' ? '' : ` (${membership})`;
      const notes = joined.notes.map((note) => `\nnote: ${note}`).join('');
      const text = `joined cluster ${clusterId} as ${role} ${nodeId}${state}${notes}`;
      const data = { clusterId, nodeId, role, membership, notes: joined.notes };
      await printDone(call, { text, data, id: nodeId });
    } finally {
      token.wipe();
    }
  },
};

const LEAVE: CommandSpec = {
  path: 'leave',
  isOfHost: true,
  summary: 'Take this host out of its cluster',
  details: ['Its tasks stop, its identity ends, and its keys and stored state are destroyed.'],
  examples: ['conclave leave --yes'],
  options: [
    { flags: '--force', help: 'although the cluster may lose its quorum or cannot be reached' },
    YES_OPTION,
    ...DONE_OPTIONS,
  ],
  fields: ['nodeId', 'isUntold'],
  run: async (call) => {
    checkDoneOptions(call);
    const isForced = call.flags.isOn('force');
    const loss = isForced ? ', with all secrets if it is the last manager' : '';
    await confirm(call, `Take this host out of its cluster and destroy its keys${loss}?`);
    const client = await call.client();
    const { isUntold, nodeId } = await client.local.leave({ isForced, signal: call.tools.signal });
    const rest = isUntold
      ? `the others were not told: on a manager run \`conclave node rm ${nodeId} --force\``
      : `node ${nodeId} ends`;
    await printDone(call, {
      text: `left the cluster; ${rest}`,
      data: { nodeId, isUntold },
      id: nodeId,
    });
  },
};

/** Commands that make this host a member, or not. */
export const MEMBERSHIP_COMMANDS: readonly CommandSpec[] = [INIT, JOIN, LEAVE];
