import { isConclaveError } from '@conclave/kernel';
import type { CompromiseStatus, ConclaveClient, EvictedNode } from '@conclave/client';
import type { Call, CommandSpec } from '../command-spec.js';
import { confirm, YES_OPTION } from '../confirm.js';
import { usageError } from '../flags.js';
import { checkDoneOptions, DONE_OPTIONS, printDone } from '../output/print.js';
import { KIT_OPTIONS } from '../recovery-kit.js';
import { carryOut, compromiseOf } from './compromise-steps.js';
import { plural } from './shared.js';

/** A version that somebody else may know. */
interface Exposed {
  readonly nodeId: string;
  readonly hostname: string;
  readonly secretName: string;
  readonly version: number;
}

/**
 * Versions that a worker was given, or for a manager all that are stored: it had the log until it was
 * out, which is not on record and may be long behind the begin. One too many does no harm.
 */
async function exposedOf(
  call: Call,
  client: ConclaveClient,
  { hostname, id: nodeId, isManager }: EvictedNode,
): Promise<Exposed[]> {
  const { signal } = call.tools;
  const found: Exposed[] = [];
  const add = (secretName: string, version: number): void => {
    found.push({ nodeId, hostname, secretName, version });
  };
  if (isManager) {
    // A list names the current version only.
    for await (const { id } of client.secrets.list({ signal })) {
      const secret = await client.secrets
        .get(id, { signal })
        .catch(nothingFor('CV_SECRET_NOT_FOUND'));
      for (const { destroyed, version } of secret?.versions ?? []) {
        if (!destroyed) add(secret?.name ?? '', version);
      }
    }
    return found;
  }
  try {
    for await (const row of client.nodes.exposure(nodeId, { signal })) {
      add(row.secretName, row.version);
    }
  } catch (error) {
    // Of a node that was never given anything nothing is on record.
    if (!isConclaveError(error) || error.code !== 'CV_NODE_NOT_FOUND') throw error;
  }
  return found;
}

/** What has gone meanwhile is not an error. */
function nothingFor(code: string): (error: unknown) => undefined {
  return (error) => {
    if (isConclaveError(error) && error.code === code) return undefined;
    throw error;
  };
}

const namesOf = (nodes: readonly EvictedNode[]): string =>
  nodes
    .map(({ hostname, isManager }) => (isManager ? `${hostname} (manager)` : hostname))
    .join(', ');

interface Plan {
  readonly evicted: readonly EvictedNode[];
  readonly tokens: number;
  readonly admins: number;
}

function planLines({ admins, evicted, tokens }: Plan): string[] {
  return [
    evicted.length === 0 ? 'no node is evicted' : `evict ${namesOf(evicted)}; their tasks move`,
    `end ${plural(tokens, 'join token')} and ${plural(admins, 'administrator')}`,
    'replace the root certificate, then the key ring; every listed node takes part',
    'replace the recovery key; every manager takes a new local key',
    'list the secret versions that the evicted nodes had',
  ];
}

/** Begins what is not on its way yet. */
async function begin(call: Call, client: ConclaveClient): Promise<'begun' | 'planned'> {
  const evict = call.flags.list('evict');
  const endsAdmins = !call.flags.isOn('keepAdmins');
  const running = await compromiseOf(call, client);
  const { stderr, stdout } = call.io;
  const isDryRun = call.flags.isOn('dryRun');
  const { signal } = call.tools;
  const plan = await client.compromise.begin({ evict, endsAdmins, isDryRun: true }, { signal });
  if (isDryRun) {
    const { admins, evicted, tokens } = plan;
    const left = running?.openSteps ?? ['evict', 'root', 'ring', 'recovery-key'];
    const text = planLines(plan).join('\n');
    if (checkDoneOptions(call) === 'text') await stdout.write(`${text}\n`);
    else await printDone(call, { text, data: { evicted, tokens, admins, openSteps: left } });
    return 'planned';
  }
  // Nobody new: what the begin did is done, and it is not done once more.
  if (running !== null && plan.evicted.length === 0) {
    await stderr.write(`goes on; left to do: ${running.openSteps.join(', ') || 'its end'}\n`);
    return 'begun';
  }
  await stderr.write(`${planLines(plan).join('\n')}\n`);
  await confirm(call, 'Begin?');
  await client.compromise.begin({ evict, endsAdmins }, { signal });
  return 'begun';
}

async function finish(
  call: Call,
  client: ConclaveClient,
  { evicted, startedAtMs }: CompromiseStatus,
): Promise<void> {
  const { signal } = call.tools;
  const exposed: Exposed[] = [];
  for (const node of evicted) exposed.push(...(await exposedOf(call, client, node)));
  const lines = exposed.map(
    ({ hostname, secretName, version }) => `  ${secretName} v${version}  (${hostname})`,
  );
  const advice =
    lines.length === 0
      ? ['no secret version was given to an evicted node']
      : ['rotate each of these at its source, then `conclave secret set` the new value:', ...lines];
  const text = ['every key is new, and what was evicted is refused', ...advice].join('\n');
  const { recovery, ring, root } = await keysOf(call, client);
  // Told before it is over: whoever is interrupted here runs it again and is told again.
  await printDone(call, {
    text,
    data: { startedAtMs, evicted, root, keyId: ring, recoveryGeneration: recovery, exposed },
  });
  await client.compromise.finish({ signal });
}

async function keysOf(
  call: Call,
  client: ConclaveClient,
): Promise<{ root: number; ring: number; recovery: number }> {
  const { signal } = call.tools;
  const { ring, root } = await client.cluster.status({ signal });
  const { current } = await client.recovery.get({ signal });
  return {
    root: root?.generation ?? 0,
    ring: ring?.keyId ?? 0,
    recovery: current?.generation ?? 0,
  };
}

/** Where the new recovery key can go: to a person who types it back, or to a file. */
function demandPlaceForKey(call: Call): void {
  const { stderr, stdin } = call.io;
  const hasPerson = stdin.isTerminal && stderr.isTerminal;
  if (hasPerson || call.flags.isOn('dryRun')) return;
  if (call.flags.text('recoveryKeyFile') !== undefined) return;
  throw usageError(
    'there is no terminal to show the new recovery key on',
    'Name a new file for it: --recovery-key-file PATH.',
  );
}

/** `cluster compromise-recovery`: every key anew, without the nodes that somebody else may have. */
export const COMPROMISE_COMMAND: CommandSpec = {
  path: 'cluster compromise-recovery',
  isOfHost: true,
  summary: 'Take hosts out that somebody else may have, and replace every key of the cluster',
  details: [
    'In this order: evicts the nodes; ends every join token and, unless kept, every administrator; ' +
      'replaces the root certificate, the key ring and the recovery key, which has to be proven; ' +
      'lists every secret version that the evicted nodes were given. Tasks of other nodes do not ' +
      'notice.',
    'Whatever interrupts it, run it again: it goes on where it stopped, without --evict or with ' +
      'more of them. Run it on a manager that stays. A listed node that is down holds it up: start ' +
      'it, or evict it too.',
  ],
  examples: [
    'conclave cluster compromise-recovery --evict m3 --evict w7 --dry-run',
    'conclave cluster compromise-recovery --evict m3 --evict w7',
    'conclave cluster compromise-recovery --yes --recovery-key-file /media/stick/recovery-key',
  ],
  options: [
    {
      flags: '--evict <node>',
      help: 'an id or host name that somebody else may have',
      isRepeated: true,
    },
    { flags: '--keep-admins', help: 'do not end the certificates of administrators' },
    { flags: '--dry-run', help: 'say what would be done, change nothing' },
    ...KIT_OPTIONS,
    YES_OPTION,
    ...DONE_OPTIONS,
  ],
  fields: ['startedAtMs', 'evicted', 'root', 'keyId', 'recoveryGeneration', 'exposed'],
  run: async (call) => {
    checkDoneOptions(call);
    demandPlaceForKey(call);
    const client = await call.client();
    if ((await begin(call, client)) === 'planned') return;
    try {
      await carryOut(call, client);
      const compromise = await compromiseOf(call, client);
      if (compromise !== null) await finish(call, client, compromise);
    } catch (error) {
      const again = 'It is not over: run `conclave cluster compromise-recovery` again to go on.';
      await call.io.stderr.write(`${again}\n`).catch(() => undefined);
      throw error;
    }
  },
};
