import { limits } from '@conclave/kernel';
import type { CreatedToken } from '@conclave/client';
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
import { TOKEN_VIEW } from '../views/tokens.js';
import { removeEach } from './remove-each.js';
import { argument, IDEMPOTENCY_OPTION, plural, writeOptions } from './shared.js';

/** What the token is worth to somebody who should not have it. */
function worthOf({ needsApproval, role }: CreatedToken['token']): string {
  if (needsApproval) {
    return 'Who joins with it gets nothing before you run `conclave node approve HOST`.';
  }
  return role === 'manager'
    ? 'Whoever uses it first gets the key ring, so every secret: --approval asks you before.'
    : 'Whoever uses it may be given tasks with their secrets: --approval asks you before.';
}

async function printToken(call: Call, created: CreatedToken): Promise<void> {
  const { index, joinAddresses, token } = created;
  const text = created.text.use((view) => new TextDecoder().decode(view));
  created.text.wipe();
  const address = joinAddresses[0] ?? 'ADDRESS:7421';
  const until = time(token.expiresAtMs);
  const lines = [
    `${token.role} token ${token.id} admits ${plural(token.usesLeft, 'host')} until ${until}; committed at index ${index}.`,
    'It is shown only now. On the other host this asks for it, so that no list of processes has it:',
    '',
    `    conclave join ${address}`,
    '',
    `    ${text}`,
    '',
    worthOf(token),
  ];
  const { expiresAtMs, id, needsApproval, role, usesLeft } = token;
  const data = {
    id,
    role,
    usesLeft,
    needsApproval,
    expiresAtMs,
    token: text,
    joinAddresses,
    index,
  };
  await printDone(call, { text: lines.join('\n'), data, id: text });
}

const CREATE: CommandSpec = {
  path: 'token create',
  arguments: '<role>',
  summary: 'Make a join token; ROLE is worker or manager',
  details: [
    '-q prints the bare token, for a pipe: the cluster cannot show it again.',
    'A host that joins with a token of --approval is listed, and every call of it is refused, until ' +
      '`conclave node approve`; `conclave node rm` turns it away. Without it a token is worth what ' +
      'its role is worth, until its uses or its time are over.',
    '--from counts the address that the manager sees, so that of a gateway between them. A host ' +
      'chooses its name itself: --node-name keeps mistakes out, not people.',
  ],
  examples: [
    'conclave token create worker --uses 5 --ttl 1h',
    'conclave token create manager --approval',
    "conclave token create worker --from 10.0.0.0/8 --node-name 'web-*'",
    'conclave token create worker -q | ssh host-2 conclave join 10.0.0.5:7421 -',
  ],
  options: [
    { flags: '--uses <n>', help: `hosts that may join, 1 to ${limits.TOKEN_USES_MAX} (1)` },
    { flags: '--ttl <duration>', help: 'up to 30d (24h for workers, 1h for managers)' },
    { flags: '--approval', help: 'who joins waits for `conclave node approve`' },
    { flags: '--from <range>', help: 'only from 10.0.0.0/8 and the like', isRepeated: true },
    { flags: '--node-name <pattern>', help: "only hosts of such a name: 'web-*'" },
    IDEMPOTENCY_OPTION,
    ...DONE_OPTIONS,
  ],
  fields: [
    'id',
    'role',
    'usesLeft',
    'needsApproval',
    'expiresAtMs',
    'token',
    'joinAddresses',
    'index',
  ],
  run: async (call) => {
    checkDoneOptions(call);
    const role = argument(call, 0);
    if (role !== 'worker' && role !== 'manager') throw usageError('ROLE must be worker or manager');
    const uses = call.flags.count('uses', { min: 1, max: limits.TOKEN_USES_MAX });
    const ttlMs = call.flags.durationMs('ttl');
    if (ttlMs !== undefined && (ttlMs < 1 || ttlMs > limits.TOKEN_TTL_MS_MAX)) {
      throw usageError('--ttl must be more than 0 and at most 30d');
    }
    const client = await call.client();
    const spec = {
      role,
      uses,
      ttlMs,
      needsApproval: call.flags.isOn('approval'),
      addressRanges: call.flags.list('from'),
      hostnamePattern: call.flags.text('nodeName'),
    } as const;
    await printToken(call, await client.tokens.create(spec, writeOptions(call)));
  },
};

const LIST: CommandSpec = {
  path: 'token ls',
  summary: 'List join tokens; their texts are not kept',
  examples: ['conclave token ls -f revoked=false'],
  options: LIST_OPTIONS,
  fields: TOKEN_VIEW.fields,
  run: (call) =>
    printList(call, TOKEN_VIEW, async () => {
      const client = await call.client();
      return client.tokens.list({ signal: call.tools.signal });
    }),
};

const REVOKE: CommandSpec = {
  path: 'token revoke',
  arguments: '<id...>',
  summary: 'Make tokens useless; hosts that joined with them stay',
  examples: ['conclave token revoke ow6xk3s4tqcfe --yes'],
  options: [YES_OPTION, IDEMPOTENCY_OPTION, ...DONE_OPTIONS],
  fields: ['name', 'index'],
  run: (call) =>
    removeEach(call, {
      what: 'token',
      verb: 'Revoke',
      past: 'revoked',
      consequence: '',
      remove: async (id) => (await call.client()).tokens.revoke(id, writeOptions(call)),
    }),
};

/** Commands about join tokens. */
export const TOKEN_COMMANDS: readonly CommandSpec[] = [CREATE, LIST, REVOKE];
