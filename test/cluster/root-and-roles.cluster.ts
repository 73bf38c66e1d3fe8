import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { eventually } from '@conclave/testing';
import type { Host } from '@conclave/testing';
import { Cluster } from './support.js';

// Hosts that join, become managers and become workers while the root is being replaced. A worker
// that is down holds one phase, a manager that stands still the next one.
let cluster: Cluster;
const host = (name: string): Host => cluster.host(name);

beforeAll(async () => {
  cluster = await Cluster.start({
    tag: 'crole',
    network: 'loopback',
    managers: 3,
    workers: 2,
    spare: ['early', 'late'],
  });
  await cluster.set('used', 'first value');
}, 240_000);
afterAll(() => cluster?.close());

interface RootStatus {
  readonly generation: number;
  readonly phase: string;
  readonly waitingFor: readonly string[];
}

async function root(): Promise<RootStatus> {
  // Its exit code tells that a node is down.
  const { stdout } = await cluster.seed.conclave(['status', '-o', 'json']);
  return (JSON.parse(stdout) as { cluster: { root: RootStatus } }).cluster.root;
}

/** Waits until the rotation is in this phase and only these are missing. */
const waitsFor = (phase: string, names: readonly string[]): Promise<RootStatus> =>
  eventually(
    `the rotation waits for ${names.join()} while ${phase}`,
    async () => {
      const status = await root();
      const isSame = status.waitingFor.toSorted().join() === names.toSorted().join();
      if (status.phase === phase && isSame) return status;
      throw new Error(`${status.phase}: ${status.waitingFor.join()}`);
    },
    60_000,
  );

const becomes = (name: string, role: 'manager' | 'worker'): Promise<true> =>
  eventually(
    `${name} is a ${role}`,
    async () => {
      const node = await cluster.seed.json<Record<string, string>>(['node', 'inspect', name]);
      const own = await (await cluster.client(host(name))).local.status();
      const isVoter = role === 'worker' || node['membership'] === 'voter';
      const isReady = node['state'] === 'READY' && node['role'] === role && own.role === role;
      if (isVoter && isReady) return true as const;
      throw new Error(`${JSON.stringify(node)}, ${own.role} ${own.message}`);
    },
    60_000,
  );

async function joins(name: string): Promise<void> {
  const token = await cluster.token('worker');
  // A manager that has no certificate under the new root yet is not recognised by a new token.
  await eventually(`${name} joins`, async () => {
    const { code, stderr } = await cluster.join(host(name), token);
    if (code === 0) return true;
    throw new Error(stderr);
  });
  await becomes(name, 'worker');
}

test('hosts change their roles and join in every phase, and all end under the new root', async () => {
  const w2 = host('w2');
  const m3 = host('m3');
  await w2.stop('SIGKILL');
  await cluster.seed.ok(['keys', 'rotate-root']);
  await waitsFor('spreading', ['w2']);
  // Nothing is issued under the new root yet: who changes now trusts both, and is waited for.
  await cluster.seed.ok(['node', 'promote', 'w1']);
  await becomes('w1', 'manager');
  await joins('early');
  await waitsFor('spreading', ['w2']);
  process.kill(m3.pid, 'SIGSTOP');
  try {
    await w2.start([], 60_000);
    expect(await waitsFor('renewing', ['m3'])).toMatchObject({ generation: 2 });
    // What is issued now is under the new root.
    await cluster.seed.ok(['node', 'demote', 'w1']);
    await becomes('w1', 'worker');
    await cluster.seed.ok(['node', 'promote', 'early']);
    await becomes('early', 'manager');
    await joins('late');
    await waitsFor('renewing', ['m3']);
  } finally {
    process.kill(m3.pid, 'SIGCONT');
  }
  await eventually(
    'the rotation ends',
    async () => {
      const { phase, waitingFor } = await root();
      if (phase === '') return true;
      throw new Error(`${phase}, waits for ${waitingFor.join()}`);
    },
    90_000,
  );
  for (const name of ['m1', 'm2', 'm3', 'early']) await becomes(name, 'manager');
  for (const name of ['w1', 'w2', 'late']) await becomes(name, 'worker');
  const service = ['all', '--mode', 'global', '--secret', 'used', '--', 'sleep', '100000'];
  await host('early').ok(['service', 'create', ...service]);
  for (const task of await cluster.running('all', 3)) {
    await cluster.arrives(task, 'used', { value: 'first value' });
  }
}, 400_000);
