import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import type { Node } from '@conclave/client';
import { cleanEnvironment, eventually, run } from '@conclave/testing';
import type { Host } from '@conclave/testing';
import { BUNDLE, Cluster } from './support.js';

// Certificates that live a minute, for several lives, while secrets change (acceptance J13, P14).
const LIFE_MS = 60_000;
/** Certificates that each node gets meanwhile: one because the life is shortened, then by its own. */
const RENEWALS_MIN = 3;
/** Milliseconds: a quarter of a life, then three quarters for each further renewal, and some room. */
const DEADLINE_MS = LIFE_MS * (0.25 + 0.75 * (RENEWALS_MIN - 1)) + 30_000;
/** What a moment may be off: certificates count whole seconds, and the machine may be busy. */
const SHARE_SLACK = 0.06;

let cluster: Cluster;

beforeAll(async () => {
  cluster = await Cluster.start({ tag: 'crenew', network: 'loopback', managers: 3, workers: 2 });
  await cluster.set('used', 'first value');
  const service = ['user', '--replicas', '4', '--secret', 'used', '--', 'sleep', '100000'];
  await cluster.seed.ok(['service', 'create', ...service]);
  await cluster.running('user', 4);
}, 240_000);
afterAll(() => cluster?.close());

/** Certificates by node, in the order in which they were seen. */
class Seen {
  readonly ends = new Map<string, number[]>();
  readonly #serials = new Set<string>();

  note({ hostname, certificateSerial, certificateNotAfterMs }: Node): void {
    if (this.#serials.has(certificateSerial)) return;
    this.#serials.add(certificateSerial);
    this.ends.set(hostname, [...(this.ends.get(hostname) ?? []), certificateNotAfterMs]);
  }

  /** At which share of its life each certificate of a minute was replaced by the next one. */
  shares(): number[] {
    return [...this.ends.values()].flatMap((ends) =>
      ends.slice(2).map((endMs, place) => (endMs - (ends[place + 1] ?? 0)) / LIFE_MS),
    );
  }
}

async function nodes(from: Host): Promise<Node[]> {
  const list: Node[] = [];
  for await (const node of (await cluster.client(from)).nodes.list()) list.push(node);
  return list;
}

async function sessionsOf({ logFile }: Host): Promise<number> {
  return (await readFile(logFile, 'utf8')).split('session.opened').length - 1;
}

/** Changes secrets through every manager in turn until told to stop; answers how many changes. */
async function keepWriting(isOver: () => boolean): Promise<number> {
  let count = 0;
  for (; !isOver(); count += 1) {
    const from = cluster.managers[count % cluster.managers.length];
    if (from !== undefined) await cluster.set('used', `value ${count}`, { from });
    await new Promise((resolve) => setTimeout(resolve, 200));
  }
  return count;
}

/**
 * An administrator from elsewhere looks again and again, two commands at once; answers the serials
 * of its certificates.
 */
async function keepLooking(isOver: () => boolean): Promise<Set<string>> {
  const env = { ...cleanEnvironment(), XDG_CONFIG_HOME: join(cluster.farm.folder, 'contexts') };
  await cluster.seed.ok(['admin', 'create', 'ann', '--role', 'viewer'], { env });
  const look = async (): Promise<string> => {
    const words = ['--context', 'ann', 'admin', 'ls', '--format', '{{.serial}}'];
    const options = { input: '', env };
    const { code, stdout, stderr } = await run(
      [process.execPath, join(BUNDLE, 'conclave.js'), ...words],
      options,
    );
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
    return stdout.trim();
  };
  const serials = new Set<string>();
  while (!isOver()) {
    for (const serial of await Promise.all([look(), look()])) serials.add(serial);
    await new Promise((resolve) => setTimeout(resolve, 2_000));
  }
  return serials;
}

test('nodes and an administrator live through many certificates while secrets change', async () => {
  const tasks = await cluster.running('user', 4);
  const pids = await Promise.all(tasks.map((task) => cluster.pidOf(task)));
  const { term } = await cluster.status();
  const sessions = await Promise.all(cluster.workers.map(sessionsOf));
  const seen = new Seen();
  for (const node of await nodes(cluster.seed)) seen.note(node);
  const life = `${LIFE_MS / 1_000}s`;
  const lives = ['manager', 'worker', 'admin'].map(
    (whose) => `--${whose}-certificate-life=${life}`,
  );
  await cluster.seed.ok(['cluster', 'update', ...lives]);
  let isOver = false;
  const writing = keepWriting(() => isOver);
  const looking = keepLooking(() => isOver);
  // What fails before it is waited for is told by the wait.
  looking.catch(() => undefined);
  writing.catch(() => undefined);
  const down: string[] = [];
  try {
    await eventually(
      `every node has had ${RENEWALS_MIN} more certificates`,
      async () => {
        for (const node of await nodes(cluster.seed)) {
          seen.note(node);
          if (node.state !== 'READY') down.push(`${node.hostname} ${node.state}`);
        }
        const counts = [...seen.ends.values()].map((ends) => ends.length - 1);
        if (Math.min(...counts) >= RENEWALS_MIN) return true;
        throw new Error(`renewals: ${counts.join(', ')}`);
      },
      DEADLINE_MS,
    );
  } finally {
    isOver = true;
  }
  // No change failed, and a quorum was always there.
  expect(await writing).toBeGreaterThan(100);
  expect((await looking).size).toBeGreaterThanOrEqual(3);
  expect(down).toEqual([]);
  expect((await cluster.status()).term).toBe(term);
  for (const share of seen.shares()) {
    expect(share).toBeGreaterThanOrEqual(0.5 - SHARE_SLACK);
    expect(share).toBeLessThanOrEqual(0.75 + SHARE_SLACK);
  }
  // A renewal costs a worker one session, and its tasks nothing.
  for (const [place, worker] of cluster.workers.entries()) {
    const renewals = (seen.ends.get(worker.name)?.length ?? 0) - 1;
    expect((await sessionsOf(worker)) - (sessions[place] ?? 0)).toBeLessThanOrEqual(renewals);
  }
  expect(await Promise.all(tasks.map((task) => cluster.pidOf(task)))).toEqual(pids);
  await cluster.set('used', 'the last value');
  for (const task of tasks) await cluster.arrives(task, 'used', { value: 'the last value' });
}, 240_000);
