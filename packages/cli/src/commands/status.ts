import { EXIT_CODES, isConclaveError } from '@conclave/kernel';
import type { ClusterStatus, ConclaveClient, LocalStatus } from '@conclave/client';
import type { Call, CommandSpec } from '../command-spec.js';
import { formatTable } from '../output/table.js';
import { age, oneLine, time } from '../output/text.js';
import { formatYaml } from '../output/yaml.js';
import { ringText } from './ring.js';
import { rootText } from './root.js';
import { plural } from './shared.js';

/** Something that needs a person. */
interface Finding {
  readonly code: string;
  readonly message: string;
  readonly next: string;
}

interface Report {
  /** Absent when a context is asked: that is not about this host. */
  readonly local: LocalStatus | null;
  readonly cluster: ClusterStatus | null;
  readonly problems: readonly Finding[];
}

/** Only managers know the cluster. What keeps one from answering is a finding, not the end. */
async function readCluster(
  call: Call,
  client: ConclaveClient,
  local: LocalStatus | null,
): Promise<{ cluster: ClusterStatus | null; problems: readonly Finding[] }> {
  if (local !== null && (local.role !== 'manager' || local.state !== 'ready')) {
    return { cluster: null, problems: [] };
  }
  try {
    return { cluster: await client.cluster.status({ signal: call.tools.signal }), problems: [] };
  } catch (error) {
    if (!isConclaveError(error)) throw error;
    const { code, hint, message } = error;
    // Elsewhere the hint is to look here.
    const next = code === 'CV_NO_LEADER' ? 'Start the managers that are down.' : hint;
    return { cluster: null, problems: [{ code, message, next }] };
  }
}

function localProblems(local: LocalStatus | null): readonly Finding[] {
  if (local === null) return [];
  if (local.state === 'not-initialized') {
    const message = 'this host is not a member of a cluster';
    return [
      { code: 'CV_NOT_INITIALIZED', message, next: 'Run `conclave init` or `conclave join`.' },
    ];
  }
  if (local.state === 'locked') {
    const next = 'Run `conclave unlock` on this host with the recovery key.';
    return [{ code: 'CV_LOCKED', message: 'this manager is locked and takes no part', next }];
  }
  if (local.state === 'quarantined') {
    const next =
      `Keep a copy of ${local.dataDir}; run \`conclave node rm --force ${local.nodeId}\` on another ` +
      'manager, `conclave leave --force` here, and join anew.';
    return [{ code: 'CV_STATE_DIVERGED', message: local.message, next }];
  }
  if (local.state === 'failed') {
    return [{ code: 'FAILED', message: local.message, next: 'Read the log of the daemon.' }];
  }
  return [];
}

async function readReport(call: Call): Promise<Report> {
  const client = await call.client();
  const isHere = (await call.target()).kind === 'local';
  const { signal } = call.tools;
  const local = isHere ? await client.local.status({ signal }) : null;
  const { cluster, problems } = await readCluster(call, client, local);
  const found = [...localProblems(local), ...problems, ...(cluster?.problems ?? [])];
  return { local, cluster, problems: found };
}

function localRows(local: LocalStatus, nowMs: number): string[][] {
  const rows = [
    ['this host', [local.hostname, local.role, local.state].filter(Boolean).join(', ')],
  ];
  if (local.nodeId !== '') rows.push(['node', local.nodeId]);
  rows.push(['daemon', `${local.version}, started ${age(local.startedAtMs, nowMs)}`]);
  rows.push(['folders', `${local.dataDir}, ${local.runDir}`]);
  if (local.message !== '') rows.push(['message', local.message]);
  if (local.certificateNotAfterMs > 0) {
    rows.push(['certificate', `until ${time(local.certificateNotAfterMs)}`]);
  }
  if (local.role === 'worker') {
    rows.push(['manager', local.connectedManager === '' ? 'none' : local.connectedManager]);
    const held = plural(local.heldVersions, 'secret version');
    rows.push(['holds', `${plural(local.runningTasks, 'running task')}, ${held}`]);
    rows.push(['memory', local.medium]);
  }
  if (local.swap !== '') rows.push(['swap', local.swap]);
  if (local.process !== '') rows.push(['process', local.process]);
  return rows;
}

function clusterRows(cluster: ClusterStatus): string[][] {
  const leader = cluster.managers.find(({ isLeader }) => isLeader);
  const { appliedIndex, commitIndex, term } = cluster;
  return [
    ['cluster', cluster.clusterId],
    ['leader', leader?.hostname ?? 'none'],
    ['log', `term ${term}, committed ${commitIndex}, applied ${appliedIndex}`],
    ['nodes', `${cluster.nodesReady} ready, ${cluster.nodesDown} down`],
    ['objects', `${plural(cluster.secrets, 'secret')}, ${plural(cluster.services, 'service')}`],
    ...(cluster.ring === null ? [] : [['key ring', ringText(cluster.ring)]]),
    ...(cluster.root === null ? [] : [['root', rootText(cluster.root)]]),
    ['tasks', `${cluster.tasksRunning} running, ${cluster.tasksPending} pending`],
  ];
}

function managerTable(cluster: ClusterStatus): string {
  const title = ['MANAGER', 'ADDRESS', 'MEMBERSHIP', 'STATE', 'MATCH'];
  const rows = cluster.managers.map((manager) => [
    manager.hostname,
    manager.address,
    manager.membership,
    manager.isLeader ? 'leader' : manager.reachable ? 'reachable' : 'unreachable',
    String(manager.matchIndex),
  ]);
  return formatTable([title, ...rows]);
}

function textOf(report: Report, nowMs: number): string {
  const { cluster, local, problems } = report;
  const rows = [
    ...(cluster === null ? [] : clusterRows(cluster)),
    ...(local === null ? [] : localRows(local, nowMs)),
  ];
  const parts = [formatTable(rows)];
  if (cluster !== null) parts.push(managerTable(cluster));
  if (problems.length > 0) {
    const lines = problems.map(({ code, message, next }) =>
      [`${code}: ${message}`, ...(next === '' ? [] : [`  next: ${next}`])].map(oneLine).join('\n'),
    );
    parts.push(`${lines.join('\n')}\n`);
  }
  return parts.join('\n');
}

/** `status`: one screen, and an exit code for scripts. */
export const STATUS_COMMAND: CommandSpec = {
  path: 'status',
  summary: 'Show the cluster and this host; every problem with its next command',
  details: [
    'The exit code is 0 only when there is no problem, else 75. On a worker it is about this host.',
  ],
  examples: ['conclave status', 'conclave status -o json'],
  options: [{ flags: '-o, --output <format>', help: 'table, json or yaml' }],
  fields: ['local', 'cluster', 'problems'],
  run: async (call) => {
    const format = call.flags.choice('output', ['table', 'json', 'yaml']) ?? 'table';
    const report = await readReport(call);
    const { stdout } = call.io;
    if (format === 'json') await stdout.write(`${JSON.stringify(report, undefined, 2)}\n`);
    else if (format === 'yaml') await stdout.write(formatYaml(report));
    else await stdout.write(textOf(report, call.tools.clock.now()));
    if (report.problems.length > 0) call.setExitCode(EXIT_CODES['not-ready']);
  },
};
