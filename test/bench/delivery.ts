import { createHash } from 'node:crypto';
import { readdir, readFile } from 'node:fs/promises';
import { SecretBytes } from '@conclave/sealed';
import { eventually } from '@conclave/testing';
import type { ConclaveClient, ServiceSpecInput } from '@conclave/client';
import { SYSTEM_RANDOM } from '../../packages/daemon/src/platform.js';
import type { BenchCluster } from './cluster.js';
import type { Figure } from './figures.js';

const digest = (bytes: Uint8Array): string => createHash('sha256').update(bytes).digest('hex');

/** What each task runs, and as which the kernel shows it. */
const COMMAND = ['sleep', '3600'];
const COMMAND_LINE = COMMAND.map((word) => `${word}\0`).join('');
/** Milliseconds after which a change that did not arrive ends the run. */
const ARRIVAL_MS_MAX = 30_000;

/**
 * Commands of tasks that see a file of this content at /run/secrets/NAME. What prepares a task sees
 * the file earlier, and has another command line.
 */
async function readers(name: string, wanted: string, among?: readonly number[]): Promise<number[]> {
  const pids = among ?? (await readdir('/proc')).filter((one) => /^\d+$/.test(one)).map(Number);
  const found: number[] = [];
  for (const pid of pids) {
    try {
      if ((await readFile(`/proc/${pid}/cmdline`, 'utf8')) !== COMMAND_LINE) continue;
      const content = await readFile(`/proc/${pid}/root/run/secrets/${name}`);
      if (digest(content) === wanted) found.push(pid);
    } catch {
      // Not a task, or not yet.
    }
  }
  return found;
}

const spec = (name: string, secret: string, replicas: number): ServiceSpecInput => ({
  name,
  replicas,
  command: COMMAND,
  bindings: [{ secretName: secret, target: 'value' }],
});

async function setRandom(client: ConclaveClient, name: string): Promise<string> {
  const bytes = SYSTEM_RANDOM.bytes(64);
  const wanted = digest(bytes);
  using value = SecretBytes.take(bytes);
  await client.secrets.set(name, value);
  return wanted;
}

/** D1: from the call that creates a service until its task can read the secret. */
export async function measureFirstDelivery(
  cluster: BenchCluster,
  rounds: number,
): Promise<Figure[]> {
  const client = await cluster.connect(await cluster.leader());
  const times: number[] = [];
  for (let turn = 0; turn < rounds; turn += 1) {
    const name = `d1-${turn}`;
    const wanted = await setRandom(client, name);
    const started = performance.now();
    await client.services.create(spec(name, name, 1));
    await eventually('the task reads it', async () => {
      return (await readers('value', wanted)).length > 0 || undefined;
    });
    times.push(performance.now() - started);
    await client.services.remove(name);
  }
  return [
    { id: 'D1', what: 'service create until readable in its process', unit: 'ms', rounds: times },
  ];
}

/** C1: from the call that changes a value until five running tasks read the new one. */
export async function measureChange(cluster: BenchCluster, rounds: number): Promise<Figure[]> {
  const client = await cluster.connect(await cluster.leader());
  const first = await setRandom(client, 'c1');
  await client.services.create(spec('c1', 'c1', 5));
  const tasks = await eventually('five tasks read it', async () => {
    const found = await readers('value', first);
    return found.length === 5 ? found : undefined;
  });
  const times: number[] = [];
  for (let turn = 0; turn < rounds; turn += 1) {
    const started = performance.now();
    const wanted = await setRandom(client, 'c1');
    const end = started + ARRIVAL_MS_MAX;
    for (let left: readonly number[] = tasks; left.length > 0;) {
      if (performance.now() > end) {
        throw new Error(`${left.length} of 5 tasks do not see the new value: ${left.join(', ')}`);
      }
      const done = new Set(await readers('value', wanted, left));
      left = left.filter((pid) => !done.has(pid));
    }
    times.push(performance.now() - started);
  }
  await client.services.remove('c1');
  return [
    { id: 'C1', what: 'changed value visible in 5 running tasks', unit: 'ms', rounds: times },
  ];
}

/** F1: from `kill -9` of the leader until the next write is committed. */
export async function measureFailover(cluster: BenchCluster, rounds: number): Promise<Figure[]> {
  const killed: number[] = [];
  const polite: number[] = [];
  for (const [signal, times] of [
    ['SIGKILL', killed],
    ['SIGTERM', polite],
  ] as const) {
    for (let turn = 0; turn < rounds; turn += 1) {
      const leader = await cluster.leader();
      const other = cluster.managers.find((host) => host !== leader);
      if (other === undefined) throw new Error('no other manager');
      const client = await cluster.connect(other);
      await setRandom(client, 'f1');
      const started = performance.now();
      const stopped = leader.stop(signal);
      await setRandom(client, 'f1');
      times.push(performance.now() - started);
      await stopped;
      await leader.start();
      await eventually('it follows again', async () => {
        const { managers } = await (await cluster.connect(leader)).cluster.status();
        return managers.every((one) => one.reachable) || undefined;
      });
    }
  }
  return [
    {
      id: 'F1',
      what: 'leader killed until the next write is committed',
      unit: 'ms',
      rounds: killed,
    },
    { id: 'F1', what: 'leader stopped politely until the same', unit: 'ms', rounds: polite },
  ];
}
