import { existsSync } from 'node:fs';
import { readFile, stat } from 'node:fs/promises';
import { afterAll, afterEach, beforeAll, describe, expect, test } from '@jest/globals';
import type { LocalStatus, Secret, Task } from '@conclave/client';
import { isConclaveError } from '@conclave/kernel';
import { eventually, holds } from '@conclave/testing';
import type { Host } from '@conclave/testing';
import { lackOfLinks, testUnless } from './lacks.js';
import { Cluster, refusalOf } from './support.js';

/** Milliseconds until the others have a new leader after one was killed. */
const NEW_LEADER_MS_MAX = 3_000;
/** Milliseconds after which a leader without a quorum must have stepped down and say so. */
const STEP_DOWN_MS_MAX = 5_000;

/** Milliseconds that a leader hangs: longer than the grace that its successor gives all nodes. */
const HANG_MS = 13_000;

const testWithLinks = testUnless(await lackOfLinks());

let cluster: Cluster;

beforeAll(async () => {
  cluster = await Cluster.start({ tag: 'cfail', managers: 3, workers: 2 });
  await cluster.set('kept', 'kept value');
  const service = ['kept', '--replicas', '2', '--secret', 'kept', '--', 'sleep', '100000'];
  await cluster.seed.ok(['service', 'create', ...service]);
  await cluster.running('kept', 2);
});
afterAll(() => cluster?.close());
afterEach(() => cluster.mend());

/** What must not change while managers or agents fail: who runs, and the very files. */
async function trace(tasks: readonly Task[]): Promise<string[]> {
  return Promise.all(
    tasks.map(async (task) => {
      const file = await stat(await cluster.fileOf(task, 'kept'));
      const content = String(await cluster.contentOf(task, 'kept'));
      return `${task.id} ${await cluster.pidOf(task)} ${file.ino} ${file.ctimeMs} ${content}`;
    }),
  );
}

/**
 * A write that is repeated with its key for as long as its outcome is not known. Any other failure
 * is one, at once: writers must need no more than repetition.
 */
async function write(name: string, key: string, from: Host): Promise<number> {
  const outcome = await eventually(`the write ${key}`, async () => {
    try {
      return await cluster.set(name, `value of ${key}`, {
        from,
        idempotencyKey: key,
        // Without the key, a repetition would make a second version.
        isForced: true,
      });
    } catch (error) {
      const isOpen = isConclaveError(error) && /^(unavailable|not-ready)$/.test(error.kind);
      return isOpen ? undefined : { error };
    }
  });
  if (typeof outcome === 'object') throw outcome.error;
  return outcome;
}

async function versionsOf(name: string, from: Host): Promise<number> {
  return (await (await cluster.client(from)).secrets.get(name)).versions.length;
}

/** A worker that runs one of the tasks. */
function hostOf([first]: readonly Task[]): Host {
  if (first === undefined) throw new Error('a task');
  return cluster.host(first.nodeHostname);
}

const others = (host: Host): Host[] => cluster.managers.filter((other) => other !== host);

/** What became of all nodes but one, and when. */
async function statesOf(from: Host, without: Host): Promise<string[]> {
  const states: string[] = [];
  for await (const node of (await cluster.client(from)).nodes.list()) {
    if (node.hostname === without.name) continue;
    states.push(`${node.hostname} ${node.state} since ${node.stateAtMs}`);
  }
  return states;
}

async function restart(...hosts: readonly Host[]): Promise<void> {
  await Promise.all(hosts.map((host) => host.start([], 60_000)));
  await cluster.whole();
}

describe('the leader is killed during a stream of writes', () => {
  const COUNT = 90;
  const acknowledged = new Map<string, number>();

  test('others lead within three seconds, and the writers only have to repeat', async () => {
    const leader = await cluster.leader();
    const survivors = others(leader);
    let next = 0;
    const writer = async (from: Host): Promise<void> => {
      while (next < COUNT) {
        const number = next;
        next += 1;
        acknowledged.set(`w${number}`, await write(`stream/w${number}`, `key-${number}`, from));
      }
    };
    const killer = async (): Promise<number> => {
      await eventually('30 writes', () => (acknowledged.size >= 30 ? true : undefined));
      await leader.stop('SIGKILL');
      const startedAt = performance.now();
      await cluster.leader(survivors);
      return performance.now() - startedAt;
    };
    const [first, second] = survivors;
    if (first === undefined || second === undefined) throw new Error('two survivors');
    const writers = [first, second, first, second].map(writer);
    const [leaderMs] = await Promise.all([killer(), ...writers]);
    expect(leaderMs).toBeLessThan(NEW_LEADER_MS_MAX);
    expect(acknowledged.size).toBe(COUNT);
    await restart(leader);
  });

  test('every acknowledged write is there, once, on every manager', async () => {
    await cluster.level();
    for (const host of cluster.managers) {
      const client = await cluster.client(host);
      const found = new Map<string, Secret>();
      for await (const secret of client.secrets.list({ namePrefix: 'stream/', isStale: true })) {
        found.set(secret.name, secret);
      }
      expect(found.size).toBe(COUNT);
      for (const [name, version] of acknowledged) {
        const versions = found.get(`stream/${name}`)?.versions.map((row) => row.version);
        expect({ host: host.name, name, version, versions }).toEqual({
          host: host.name,
          name,
          version: 1,
          versions: [1],
        });
      }
    }
  });

  test('repeating all of them with their keys answers the same and does nothing', async () => {
    const before = (await cluster.status()).commitIndex;
    for (const number of [0, 29, 30, 31, 32, 33, 34, 60, COUNT - 1]) {
      const name = `stream/w${number}`;
      expect(await write(name, `key-${number}`, cluster.seed)).toBe(1);
      expect(await versionsOf(name, cluster.seed)).toBe(1);
    }
    // Repetitions may be entries of the log, but not many: everything else is at rest.
    expect((await cluster.status()).commitIndex - before).toBeLessThan(20);
  });

  test('a key that comes again with another request is refused', async () => {
    await expect(
      cluster.set('stream/other', 'x', { idempotencyKey: 'key-0', isForced: true }),
    ).rejects.toMatchObject({ code: 'CV_IDEMPOTENCY_REUSED' });
  });
});

describe('two of three managers are gone', () => {
  test('writes say so, tasks keep their files, and back again everything goes on', async () => {
    const tasks = await cluster.running('kept', 2);
    const before = await trace(tasks);
    const [last, ...gone] = [...cluster.managers].reverse();
    if (last === undefined) throw new Error('a manager');
    await Promise.all(gone.map((host) => host.stop('SIGKILL')));

    await eventually(
      'the last one knows',
      async () => ((await cluster.status(last)).hasQuorum ? undefined : true),
      STEP_DOWN_MS_MAX,
    );
    const startedAt = performance.now();
    await expect(
      cluster.set('lost/write', 'x', { from: last, deadlineMs: 500 }),
    ).rejects.toMatchObject({ kind: expect.stringMatching(/not-ready|unavailable/) });
    expect(performance.now() - startedAt).toBeLessThan(2_000);

    const [refused, status] = await Promise.all([
      last.conclave(['--timeout', '5s', 'secret', 'set', 'lost/write'], { input: 'x' }),
      last.conclave(['--timeout', '3s', 'status']),
    ]);
    expect(refusalOf(refused)).toMatchObject({
      code: 75,
      error: expect.stringMatching(/leader|quorum/),
    });
    expect(status.code).toBe(75);
    expect(status.stdout).toMatch(/^leader +none$/m);
    expect(status.stdout).toMatch(/^message +knows no leader/m);
    expect(await trace(tasks)).toEqual(before);

    await restart(...gone);
    await cluster.set('after/loss', 'x', { from: last });
    expect(await trace(await cluster.running('kept', 2))).toEqual(before);
  });
});

describe('all managers are killed at once', () => {
  test('nothing acknowledged is lost, and no task notices', async () => {
    const tasks = await cluster.running('kept', 2);
    const before = await trace(tasks);
    const numbers = Array.from({ length: 12 }, (_, number) => number);
    await Promise.all(numbers.map((number) => cluster.set(`all/${number}`, `value ${number}`)));
    await Promise.all(cluster.managers.map((host) => host.stop('SIGKILL')));
    const worker = cluster.host('w1');
    await eventually('the worker knows that it is alone', async () => {
      const { local } = await worker.json<{ local: LocalStatus }>(['status']);
      return local.connectedManager === '' ? true : undefined;
    });
    expect(refusalOf(await worker.conclave(['leave', '--yes']))).toMatchObject({
      code: 69,
      error: 'no manager answers; no task was stopped',
    });
    expect(await trace(tasks)).toEqual(before);
    await restart(...cluster.managers);
    for (const number of numbers) expect(await versionsOf(`all/${number}`, cluster.seed)).toBe(1);
    const running = await cluster.running('kept', 2);
    expect(await trace(running)).toEqual(before);
    await cluster.set('kept', 'after the restart');
    for (const task of running) await cluster.arrives(task, 'kept', { value: 'after the restart' });
  });
});

describe('an agent is killed and started again', () => {
  test('its tasks are adopted untouched, and what changed meanwhile arrives', async () => {
    const tasks = await cluster.running('kept', 2);
    const before = await trace(tasks);
    const agent = hostOf(tasks);
    await agent.stop('SIGKILL');
    expect(await trace(tasks)).toEqual(before);
    await agent.start([], 60_000);
    await cluster.whole();
    expect(await trace(await cluster.running('kept', 2))).toEqual(before);

    await agent.stop('SIGKILL');
    await cluster.set('kept', 'set while the agent was away');
    await agent.start([], 60_000);
    for (const task of tasks) {
      await cluster.arrives(task, 'kept', { value: 'set while the agent was away' });
    }
    const pids = (lines: readonly string[]): string[] =>
      lines.map((line) => line.split(' ').slice(0, 2).join(' '));
    expect(pids(await trace(await cluster.running('kept', 2)))).toEqual(pids(before));
  });

  test('an orderly restart of the agent does not touch the tasks either', async () => {
    const tasks = await cluster.running('kept', 2);
    const before = await trace(tasks);
    const agent = hostOf(tasks);
    expect(await agent.stop('SIGTERM')).toBe(0);
    await restart(agent);
    expect(await trace(await cluster.running('kept', 2))).toEqual(before);
  });
});

describe('a worker is gone', () => {
  test('its task runs elsewhere with its secret; back again, it gives the old one up', async () => {
    const tasks = await cluster.running('kept', 2);
    const worker = hostOf(tasks);
    const lost = tasks.filter(({ nodeHostname }) => nodeHostname === worker.name);
    const oldPids = await Promise.all(lost.map((task) => cluster.pidOf(task)));
    await worker.stop('SIGKILL');
    await cluster.set('kept', 'set while a worker is gone');
    const moved = await cluster.running('kept', 2, { without: worker });
    for (const task of moved) {
      await cluster.arrives(task, 'kept', { value: 'set while a worker is gone' });
    }
    // Nobody has told them otherwise.
    expect(oldPids.filter((pid) => existsSync(`/proc/${pid}`))).toEqual(oldPids);
    await restart(worker);
    const isLeft = (): boolean =>
      oldPids.some((pid) => existsSync(`/proc/${pid}`)) ||
      lost.some((task) => existsSync(cluster.folderOf(task)));
    await eventually('the old tasks are over', () => (isLeft() ? undefined : true));
    const stay = (all: readonly Task[]): string[] => all.map(({ id }) => id).sort();
    expect(stay(await cluster.running('kept', 2))).toEqual(stay(moved));
  });
});

describe('links are cut', () => {
  const number = (host: Host): number => cluster.farm.hosts.indexOf(host);
  const link = (host: Host, isUp: boolean): Promise<void> =>
    cluster.farm.network.setLink(number(host), isUp);

  testWithLinks(
    'a leader without its peers steps down, the others go on, and nothing is invented',
    async () => {
      const leader = await cluster.leader();
      await link(leader, false);
      try {
        // Into the log of a leader that does not know yet: never acknowledged.
        const blind = cluster
          .set('partition/minority', 'x', { from: leader, deadlineMs: 4_000 })
          .then(
            () => 'done',
            (error: unknown) => (isConclaveError(error) ? error.kind : 'other'),
          );
        const successor = await cluster.leader(others(leader));
        await cluster.set('partition/majority', 'x', { from: successor });
        expect(await blind).toMatch(/not-ready|unavailable/);
        // Workers that were connected to the one that is cut off look for another.
        await cluster.set('kept', 'set during the partition', { from: successor });
        for (const task of await cluster.running('kept', 2, { from: successor })) {
          await cluster.arrives(task, 'kept', { value: 'set during the partition' });
        }
        await eventually(
          'the cut one knows',
          async () => ((await cluster.status(leader)).hasQuorum ? undefined : true),
          STEP_DOWN_MS_MAX,
        );
      } finally {
        await link(leader, true);
      }
      await cluster.whole();
      await cluster.level();
      for (const host of cluster.managers) {
        const client = await cluster.client(host);
        const names: string[] = [];
        for await (const secret of client.secrets.list({
          namePrefix: 'partition/',
          isStale: true,
        })) {
          names.push(secret.name);
        }
        expect(names).toEqual(['partition/majority']);
      }
    },
  );

  testWithLinks(
    'a worker without the managers keeps its tasks; they run elsewhere too until it is back',
    async () => {
      const tasks = await cluster.running('kept', 2);
      const worker = hostOf(tasks);
      const there = tasks.filter(({ nodeHostname }) => nodeHostname === worker.name);
      const before = await trace(there);
      await link(worker, false);
      try {
        await cluster.running('kept', 2, { without: worker });
        expect(await trace(there)).toEqual(before);
        await eventually('the worker says so itself', async () => {
          const { connectedManager } = await (await cluster.client(worker)).local.status();
          return connectedManager === '' ? true : undefined;
        });
      } finally {
        await link(worker, true);
      }
      await cluster.whole();
      await eventually('the old ones are over', () =>
        there.some((task) => existsSync(cluster.folderOf(task))) ? undefined : true,
      );
      expect(await cluster.running('kept', 2)).toHaveLength(2);
    },
  );

  test('a leader that hangs takes no node and no task with it, and leads no more', async () => {
    const tasks = await cluster.running('kept', 2);
    const before = await trace(tasks);
    const leader = await cluster.leader();
    const states = await statesOf(others(leader)[0] ?? leader, leader);
    process.kill(leader.pid, 'SIGSTOP');
    const stoppedAt = performance.now();
    const caught = cluster.set('caught', 'x', { from: others(leader)[0] ?? leader });
    try {
      const successor = await cluster.leader(others(leader));
      // The one that hangs would have kept it for ten seconds.
      expect(await caught).toBe(1);
      expect(performance.now() - stoppedAt).toBeLessThan(9_000);
      await cluster.set('slept', 'x', { from: successor });
      await holds(HANG_MS - (performance.now() - stoppedAt), async () => {
        // Since when, too: DOWN for a moment is noticed.
        expect(await statesOf(successor, leader)).toEqual(states);
      });
      expect(await trace(await cluster.running('kept', 2, { from: successor }))).toEqual(before);
    } finally {
      process.kill(leader.pid, 'SIGCONT');
    }
    await cluster.whole();
    expect(await trace(await cluster.running('kept', 2))).toEqual(before);
    expect(await statesOf(leader, leader)).toEqual(states);
    const client = await cluster.client(leader);
    for (const name of ['slept', 'caught']) {
      expect((await client.secrets.get(name)).currentVersion).toBe(1);
    }
  });
});

test('no manager has logged a defect of Conclave in all of this', async () => {
  for (const host of cluster.farm.hosts) {
    const log = await readFile(host.logFile, 'utf8');
    const lines = log.split('\n').filter((line) => line.includes('CV_INTERNAL'));
    expect({ host: host.name, lines }).toEqual({ host: host.name, lines: [] });
  }
});
