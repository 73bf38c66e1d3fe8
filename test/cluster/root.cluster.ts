import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { toPem } from '@conclave/pki';
import { cleanEnvironment, eventually, run } from '@conclave/testing';
import type { Host, RunResult } from '@conclave/testing';
import { CLUSTER_PORT, greet } from './hostile.js';
import { BUNDLE, Cluster, refusalOf } from './support.js';

// Rotation of the root certificate (acceptance D16, D17, J15). On loopback addresses, so that this
// process can come to the listeners with an identity of before.
let cluster: Cluster;
let home: string;

beforeAll(async () => {
  const spare = ['late', 'later'];
  cluster = await Cluster.start({
    tag: 'croot',
    network: 'loopback',
    managers: 3,
    workers: 2,
    spare,
  });
  home = join(cluster.farm.folder, 'contexts');
  await cluster.set('used', 'first value');
  const service = ['user', '--replicas', '2', '--secret', 'used', '--', 'sleep', '100000'];
  await cluster.seed.ok(['service', 'create', ...service]);
  await cluster.running('user', 2);
}, 240_000);
afterAll(() => cluster?.close());

interface RootStatus {
  readonly generation: number;
  readonly phase: string;
  readonly waitingFor: readonly string[];
}

async function root(from: Host = cluster.seed): Promise<RootStatus> {
  const { stdout } = await from.conclave(['status', '-o', 'json']);
  return (JSON.parse(stdout) as { cluster: { root: RootStatus } }).cluster.root;
}

/** Waits until no rotation is on its way and answers the number of the root. */
function settled(from: Host = cluster.seed): Promise<number> {
  return eventually(
    'the rotation ends',
    async () => {
      const { generation, phase, waitingFor } = await root(from);
      if (phase === '') return generation;
      throw new Error(`${phase}, waits for ${waitingFor.join(', ')}`);
    },
    90_000,
  );
}

interface Identity {
  readonly certificate: Buffer;
  readonly key: Buffer;
  readonly roots: readonly string[];
}

async function identityOf(worker: Host): Promise<Identity> {
  const text = await readFile(join(worker.dataDir, 'identity.json'), 'utf8');
  const stored = JSON.parse(text) as { certificate: string; roots: string[] };
  return {
    certificate: Buffer.from(toPem('CERTIFICATE', Buffer.from(stored.certificate, 'base64'))),
    key: await readFile(join(worker.dataDir, 'identity/key.pem')),
    roots: stored.roots,
  };
}

/** True when the cluster listener of the host lets this identity make a call. */
async function isHeard(host: Host, { certificate, key }: Identity): Promise<boolean> {
  const options = { host: host.address, port: CLUSTER_PORT, cert: certificate, key };
  try {
    const raw = await greet(options);
    raw.call(1, '/conclave.v1.Dispatcher/Session');
    const isOpen = await Promise.race([
      raw.closed.then(() => false),
      new Promise<boolean>((resolve) => setTimeout(resolve, 1_000, true)),
    ]);
    raw.destroy();
    return isOpen;
  } catch {
    return false;
  }
}

const environment = (): Record<string, string> => ({
  ...cleanEnvironment(),
  XDG_CONFIG_HOME: home,
});

/** Runs `conclave` without any socket, with nothing but its contexts. */
function remote(args: readonly string[]): Promise<RunResult> {
  const argv = [process.execPath, join(BUNDLE, 'conclave.js'), ...args];
  return run(argv, { input: '', env: environment() });
}

describe('keys rotate-root', () => {
  test('gives every node a certificate under a new root, and tasks do not notice', async () => {
    const env = environment();
    for (const name of ['ann', 'bob']) {
      await cluster.seed.ok(['admin', 'create', name, '--role', 'viewer'], { env });
    }
    const token = await cluster.token('worker');
    const [w1] = cluster.workers;
    if (w1 === undefined) throw new Error('a worker');
    const before = await identityOf(w1);
    expect(await isHeard(cluster.seed, before)).toBe(true);
    const tasks = await cluster.running('user', 2);
    const pids = await Promise.all(tasks.map((task) => cluster.pidOf(task)));
    let isDone = false;
    let written = 0;
    const write = async (): Promise<void> => {
      for (; !isDone; written += 1) await cluster.set(`during/${written % 10}`, `value ${written}`);
    };
    const rotate = async (): Promise<void> => {
      try {
        const answer = await cluster.seed.ok(['keys', 'rotate-root', '--wait']);
        expect(answer).toMatch(/under root number 2.*\n.*conclave token create/);
      } finally {
        isDone = true;
      }
    };
    await Promise.all([rotate(), write()]);
    expect(written).toBeGreaterThan(0);
    expect(await root()).toMatchObject({ generation: 2, phase: '', waitingFor: [] });
    // The same tasks, and what comes now still reaches them.
    expect(await Promise.all(tasks.map((task) => cluster.pidOf(task)))).toEqual(pids);
    await cluster.set('used', 'after the root');
    for (const task of tasks) await cluster.arrives(task, 'used', { value: 'after the root' });
    // The root of before is good for nothing, on every manager.
    const after = await identityOf(w1);
    expect(after.roots).toHaveLength(1);
    expect(after.roots).not.toEqual(before.roots);
    for (const host of cluster.managers) {
      expect([await isHeard(host, before), await isHeard(host, after)]).toEqual([false, true]);
    }
    const late = refusalOf(await cluster.join(cluster.host('late'), token));
    expect(late).toMatchObject({ error: expect.stringMatching(/another cluster|token/) });
    expect(late.hint).toMatch(/conclave token create/);
    const stale = refusalOf(await remote(['--context', 'ann', 'secret', 'ls']));
    expect(stale.hint).toMatch(/conclave admin create/);
    // A fresh token and a fresh administrator do.
    const fresh = await cluster.join(cluster.host('late'), await cluster.token('worker'));
    expect(fresh).toMatchObject({ code: 0 });
    await cluster.seed.ok(['context', 'rm', 'ann', '--yes'], { env });
    await cluster.seed.ok(['admin', 'create', 'ann', '--role', 'viewer'], { env });
    expect(await remote(['--context', 'ann', 'secret', 'ls'])).toMatchObject({ code: 0 });
  }, 240_000);

  test('waits for a worker that is down, through the loss of its leader', async () => {
    const [, w2] = cluster.workers;
    if (w2 === undefined) throw new Error('a second worker');
    await w2.stop('SIGKILL');
    const leader = await cluster.leader();
    const others = cluster.managers.filter((host) => host !== leader);
    const [from] = others;
    if (from === undefined) throw new Error('another manager');
    await from.ok(['keys', 'rotate-root']);
    await leader.stop('SIGKILL');
    await eventually('a leader', () => cluster.leader(others));
    await eventually('it names who is missing', async () => {
      const { phase, waitingFor } = await root(from);
      const isNamed = waitingFor.includes(w2.name) && waitingFor.includes(leader.name);
      return (phase === 'spreading' && isNamed) || undefined;
    });
    await leader.start([], 60_000);
    await eventually('only the worker is missing', async () => {
      const { waitingFor } = await root(from);
      return waitingFor.join() === w2.name || undefined;
    });
    // Nothing is under the new root before everybody trusts it.
    expect(await root(from)).toMatchObject({ generation: 2, phase: 'spreading' });
    // Another one takes its place; the end is under the last one.
    await from.ok(['keys', 'rotate-root']);
    await w2.start([], 60_000);
    expect(await settled(from)).toBe(3);
    await cluster.running('user', 2, { deadlineMs: 90_000 });
    await cluster.set('used', 'after the loss', { from });
  }, 240_000);

  test('goes on after all managers and a worker were killed in its middle', async () => {
    const [w1] = cluster.workers;
    if (w1 === undefined) throw new Error('a worker');
    await cluster.seed.ok(['keys', 'rotate-root']);
    await eventually('the new root is in force', async () => {
      const { generation } = await root();
      return generation === 4 || undefined;
    });
    const victims = [...cluster.managers, w1];
    await Promise.all(victims.map((host) => host.stop('SIGKILL')));
    await Promise.all(victims.map((host) => host.start([], 60_000)));
    expect(await settled()).toBe(4);
    await cluster.running('user', 2, { deadlineMs: 90_000 });
    await cluster.set('used', 'after all of them');
    for (const task of await cluster.running('user', 2)) {
      await cluster.arrives(task, 'used', { value: 'after all of them' });
    }
  }, 240_000);

  test('does not count a node that is removed', async () => {
    const late = cluster.host('late');
    await late.stop('SIGKILL');
    await cluster.seed.ok(['keys', 'rotate-root']);
    await eventually('it waits for it', async () => {
      const { waitingFor } = await root();
      return waitingFor.includes(late.name) || undefined;
    });
    const ring = refusalOf(await cluster.seed.conclave(['keys', 'rotate']));
    expect(ring).toMatchObject({ code: 65, error: expect.stringMatching(/root/) });
    await cluster.seed.ok(['node', 'rm', late.name, '--force', '--yes']);
    expect(await settled()).toBe(5);
  }, 240_000);
});
