import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { identityOf } from '@conclave/pki';
import { eventually } from '@conclave/testing';
import type { Host } from '@conclave/testing';
import { Cluster } from './support.js';

// Workers whose certificates have ended, with the shortest life that a cluster takes: 1 minute.
// One wait for the end is enough for all of them.
const LIFE_MS = 60_000;
const NAMES = ['alone', 'follower', 'distrusting', 'removed'] as const;

let cluster: Cluster;
const host = (name: (typeof NAMES)[number]): Host => cluster.host(name);

interface Stored {
  readonly nodeId: string;
  readonly serial: string;
  readonly notAfterMs: number;
  readonly roots: readonly string[];
}

/** What a worker has on its disk. */
async function storedOn({ dataDir }: Host): Promise<Stored> {
  const text = await readFile(join(dataDir, 'identity.json'), 'utf8');
  const { certificate, nodeId, roots } = JSON.parse(text) as Record<string, string> & {
    roots: string[];
  };
  const { serial, notAfterMs } = identityOf(Buffer.from(certificate ?? '', 'base64'));
  return { nodeId: nodeId ?? '', serial, notAfterMs, roots };
}

/** Waits until the certificate that lies on the disk of a worker has ended. */
const ended = (worker: Host): Promise<true> =>
  eventually(
    `the certificate of ${worker.name} has ended`,
    async () => ((await storedOn(worker)).notAfterMs < Date.now() ? true : undefined),
    LIFE_MS + 30_000,
  );

/** Waits until a worker says this of itself; answers its words. */
const said = (worker: Host, pattern: RegExp): Promise<string> =>
  eventually(
    `${worker.name} says ${String(pattern)}`,
    async () => {
      const { message } = await (await cluster.client(worker)).local.status();
      if (pattern.test(message)) return message;
      throw new Error(message);
    },
    90_000,
  );

const hasSession = (worker: Host): Promise<string> => said(worker, /^has a session$/);

/** Waits for the end of a whole rotation; answers the number of the root. */
async function rotate(...options: string[]): Promise<number> {
  const argv = ['keys', 'rotate-root', '--wait', ...options];
  return (await cluster.seed.json<{ generation: number }>(argv)).generation;
}

beforeAll(async () => {
  cluster = await Cluster.start({
    tag: 'cended',
    network: 'loopback',
    managers: 3,
    workers: 0,
    spare: NAMES,
  });
  await cluster.set('kept', 'first value');
  const service = ['kept', '--mode', 'global', '--secret', 'kept', '--', 'sleep', '100000'];
  await cluster.seed.ok(['service', 'create', ...service]);
  await cluster.seed.ok(['cluster', 'update', '--worker-certificate-life', '1m']);
  const token = await cluster.token('worker', '--uses', String(NAMES.length));
  for (const { code, stderr } of await Promise.all(
    NAMES.map((name) => cluster.join(host(name), token)),
  )) {
    expect({ code, stderr }).toMatchObject({ code: 0 });
  }
  await cluster.running('kept', NAMES.length);
}, 240_000);
afterAll(() => cluster?.close());

test('one that ran alone keeps its tasks, one that was removed meanwhile ends them', async () => {
  const alone = host('alone');
  const removed = host('removed');
  const tasks = await cluster.running('kept', NAMES.length);
  const task = tasks.find(({ nodeHostname }) => nodeHostname === 'alone');
  if (task === undefined) throw new Error('a task on the one that is to be alone');
  const pid = await cluster.pidOf(task);
  const off = [host('follower'), host('distrusting'), removed];
  await Promise.all(off.map((worker) => worker.stop('SIGKILL')));
  await cluster.seed.ok(['node', 'rm', 'removed', '--force', '--yes']);
  await Promise.all(cluster.managers.map((manager) => manager.stop('SIGKILL')));
  const [before, removedBefore] = await Promise.all([storedOn(alone), storedOn(removed)]);
  await Promise.all([alone, ...off].map(ended));
  await said(alone, /certificate has ended: asks on for another/);
  const back = [...cluster.managers, removed];
  await Promise.all(back.map((one) => one.start([], 60_000)));
  await hasSession(alone);
  const after = await storedOn(alone);
  expect(after).toMatchObject({ nodeId: before.nodeId, roots: before.roots });
  expect(after.serial).not.toBe(before.serial);
  expect(await cluster.pidOf(task)).toBe(pid);
  await cluster.set('kept', 'second value');
  await cluster.arrives(task, 'kept', { value: 'second value' });
  await said(removed, /was removed from the cluster/);
  await eventually('its tasks are gone', async () => {
    const { runningTasks } = await (await cluster.client(removed)).local.status();
    return runningTasks === 0 || undefined;
  });
  expect((await storedOn(removed)).serial).toBe(removedBefore.serial);
}, 200_000);

test('one that was off comes back as the node it was, behind two other roots', async () => {
  const follower = host('follower');
  const before = await storedOn(follower);
  // Nobody was left behind that still counted.
  expect(before.notAfterMs).toBeLessThan(Date.now());
  expect(await rotate()).toBe(2);
  expect(await rotate()).toBe(3);
  await follower.start([], 60_000);
  await hasSession(follower);
  const after = await storedOn(follower);
  expect(after.nodeId).toBe(before.nodeId);
  expect(after.serial).not.toBe(before.serial);
  expect(after.roots).toEqual((await storedOn(host('alone'))).roots);
  for (const task of await cluster.running('kept', 2, { without: host('distrusting') })) {
    await cluster.arrives(task, 'kept', { value: 'second value' });
  }
}, 200_000);

test('no root of before leads to one that was made after a compromise', async () => {
  const distrusting = host('distrusting');
  // The one that came back is waited for, and goes through this rotation like the others.
  expect(await rotate('--compromised')).toBe(4);
  const { roots } = await storedOn(host('alone'));
  expect((await storedOn(host('follower'))).roots).toEqual(roots);
  const before = await storedOn(distrusting);
  await distrusting.start([], 60_000);
  const text = await said(distrusting, /no other is given/);
  expect(text).toMatch(/conclave node rm.*conclave leave --force.*join anew/);
  expect(await storedOn(distrusting)).toEqual(before);
  await cluster.seed.ok(['node', 'rm', 'distrusting', '--force', '--yes']);
  await distrusting.ok(['leave', '--force', '--yes']);
  const joined = await cluster.join(distrusting, await cluster.token('worker'));
  expect(joined).toMatchObject({ code: 0 });
  await hasSession(distrusting);
}, 200_000);
