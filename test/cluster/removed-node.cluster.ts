import { existsSync } from 'node:fs';
import { open, readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import type { Task } from '@conclave/client';
import { eventually } from '@conclave/testing';
import type { Host } from '@conclave/testing';
import { lackOfLinks, testUnless } from './lacks.js';
import { Cluster } from './support.js';

/** Milliseconds from the answer of `node rm` until the node has no stream any more. */
const CUT_MS_MAX = 1_000;
/** Milliseconds until the node has heard it from most managers and has ended everything. */
const WIPE_MS_MAX = 8_000;

let cluster: Cluster;

beforeAll(async () => {
  cluster = await Cluster.start({ tag: 'cgone', managers: 3, workers: 3 });
  await cluster.set('kept', 'kept value');
  const service = ['kept', '--replicas', '3', '--secret', 'kept', '--', 'sleep', '100000'];
  await cluster.seed.ok(['service', 'create', ...service]);
  await cluster.running('kept', 3);
});
afterAll(() => cluster?.close());

async function tasksOn(host: Host): Promise<Task[]> {
  const tasks = await cluster.tasks('kept');
  return tasks.filter(
    ({ nodeHostname, state }) => nodeHostname === host.name && state === 'RUNNING',
  );
}

const local = async (host: Host) => (await cluster.client(host)).local.status();

const remove = (host: Host): Promise<string> =>
  cluster.seed.ok(['node', 'rm', host.name, '--force', '--yes']);

/** What of the tasks is still there: processes, folders, mounts in any namespace. */
async function leftOf(host: Host, tasks: readonly Task[], pids: readonly number[]) {
  const mounts = new Set<string>();
  for (const pid of await readdir('/proc')) {
    if (!/^\d+$/.test(pid)) continue;
    const table = await readFile(`/proc/${pid}/mountinfo`, 'utf8').catch(() => '');
    for (const { id } of tasks) if (table.includes(id)) mounts.add(id);
  }
  return {
    pids: pids.filter((pid) => existsSync(`/proc/${pid}`)),
    folders: tasks.filter((task) => existsSync(cluster.folderOf(task))).map(({ id }) => id),
    mounts: [...mounts],
    records: (await readdir(join(host.runDir, 'records'))).filter((name) =>
      tasks.some(({ id }) => name.startsWith(id)),
    ),
  };
}

const NOTHING = { pids: [], folders: [], mounts: [], records: [] };

async function isNothingLeft(host: Host, tasks: readonly Task[], pids: readonly number[]) {
  await eventually(
    `nothing is left on ${host.name}`,
    async () => {
      const left = await leftOf(host, tasks, pids);
      if (JSON.stringify(left) === JSON.stringify(NOTHING)) return true;
      throw new Error(JSON.stringify(left));
    },
    WIPE_MS_MAX,
  );
}

test('a worker that is removed while it runs loses its streams, its tasks and every file', async () => {
  const host = cluster.host('w3');
  const tasks = await tasksOn(host);
  expect(tasks).toHaveLength(1);
  const pids = await Promise.all(tasks.map((task) => cluster.pidOf(task)));
  const [task] = tasks;
  const held = await open(await cluster.fileOf(task as Task, 'kept'), 'r');
  try {
    await remove(host);
    await eventually(
      'its session is cut',
      async () => ((await local(host)).connectedManager === '' ? true : undefined),
      CUT_MS_MAX,
    );
    await isNothingLeft(host, tasks, pids);
    // Somebody who had the file open finds nothing in it.
    expect((await held.read(Buffer.alloc(64), 0, 64, 0)).bytesRead).toBe(0);
  } finally {
    await held.close();
  }
  expect(await local(host)).toMatchObject({
    message: expect.stringMatching(/was removed from the cluster/),
    runningTasks: 0,
    heldVersions: 0,
    connectedManager: '',
  });
});

test('its task runs elsewhere with its secret', async () => {
  const running = await cluster.running('kept', 3);
  expect(running.map(({ nodeHostname }) => nodeHostname)).not.toContain('w3');
  for (const task of running) {
    expect(String(await cluster.contentOf(task, 'kept'))).toBe('kept value');
  }
});

test('it stays out, also after a restart', async () => {
  const host = cluster.host('w3');
  expect(await host.stop('SIGTERM')).toBe(0);
  await host.start([], 60_000);
  await eventually('it knows again', async () =>
    /was removed/.test((await local(host)).message) ? true : undefined,
  );
  const nodes = await cluster.seed.json<{ hostname: string }[]>(['node', 'ls']);
  expect(nodes.map(({ hostname }) => hostname)).toEqual(['m1', 'm2', 'm3', 'w1', 'w2']);
  expect(await readdir(join(host.runDir, 'tasks'))).toEqual([]);
});

test('it leaves without force and may join anew, as another node', async () => {
  const host = cluster.host('w3');
  await host.ok(['leave', '--yes']);
  const joined = await cluster.join(host, await cluster.token('worker'));
  expect(joined.code).toBe(0);
  await cluster.whole();
  await cluster.seed.ok(['service', 'scale', 'kept=6']);
  await cluster.running('kept', 6);
  expect(await tasksOn(host)).not.toEqual([]);
});

test('a worker that was off when it was removed ends its tasks when it starts', async () => {
  const host = cluster.host('w2');
  const tasks = await tasksOn(host);
  const pids = await Promise.all(tasks.map((task) => cluster.pidOf(task)));
  expect(pids.length).toBeGreaterThan(0);
  await host.stop('SIGKILL');
  await remove(host);
  await cluster.running('kept', 6, { without: host });
  // Nobody is there who could end them: they go on, as with every loss of the agent.
  for (const pid of pids) expect(existsSync(`/proc/${pid}`)).toBe(true);
  await host.start([], 60_000);
  await isNothingLeft(host, tasks, pids);
  expect((await local(host)).message).toMatch(/was removed/);
});

testUnless(await lackOfLinks())(
  'one manager that it reaches is not enough where it knows three',
  async () => {
    const { network, hosts } = cluster.farm;
    const host = cluster.host('w1');
    const tasks = await tasksOn(host);
    const pids = await Promise.all(tasks.map((task) => cluster.pidOf(task)));
    await network.setLink(hosts.indexOf(host), false);
    await eventually('it is alone', async () =>
      (await local(host)).connectedManager === '' ? true : undefined,
    );
    await remove(host);
    // Two managers are off when it can be reached again; the third one says what it has committed.
    const [last, ...off] = [...cluster.managers].reverse();
    if (last === undefined) throw new Error('a manager');
    await cluster.level();
    await Promise.all(off.map((manager) => manager.stop('SIGKILL')));
    await network.setLink(hosts.indexOf(host), true);
    await eventually('a manager has refused it', async () =>
      /a manager refuses this host/.test((await local(host)).message) ? true : undefined,
    );
    for (const pid of pids) expect(existsSync(`/proc/${pid}`)).toBe(true);
    for (const task of tasks) {
      expect(String(await cluster.contentOf(task, 'kept'))).toBe('kept value');
    }
    await Promise.all(off.map((manager) => manager.start([], 60_000)));
    await isNothingLeft(host, tasks, pids);
    expect((await local(host)).message).toMatch(/was removed/);
  },
);
