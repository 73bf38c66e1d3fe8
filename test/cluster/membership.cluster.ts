import { randomBytes } from 'node:crypto';
import { existsSync } from 'node:fs';
import { readFile, readdir, rm, stat, truncate } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, test } from '@jest/globals';
import type { Task } from '@conclave/client';
import { eventually, holds, run, runOk } from '@conclave/testing';
import type { Host } from '@conclave/testing';
import { lackOfMounts, testUnless } from './lacks.js';
import { Cluster, refusalOf } from './support.js';

const MIB = 1024 * 1024;
/** Milliseconds for a case that writes a hundred megabytes on a machine that does much else. */
const LARGE_MS_MAX = 300_000;
/** More of the largest values than a manager keeps in its log without a snapshot (64 MiB). */
const LARGE_COUNT_MAX = 80;
const LARGE_BYTES = MIB;
/** Entries that stay behind a snapshot for members that lag a little (1 000), and some more. */
const SMALL_COUNT = 1_050;
/** Writes under way at a time: many small ones share a round, large ones fill the machine. */
const SMALL_AT_A_TIME = 64;
const LARGE_AT_A_TIME = 4;

/** Runs `act` for 0, 1, 2, ... until it answers true, `width` at a time. */
async function inParallel(width: number, act: (number: number) => Promise<boolean>): Promise<void> {
  let next = 0;
  let isDone = false;
  const worker = async (): Promise<void> => {
    while (!isDone) {
      const number = next;
      next += 1;
      if (await act(number)) isDone = true;
    }
  };
  await Promise.all(Array.from({ length: width }, worker));
}

let cluster: Cluster;
/** Ends what a test does in the background, also when the test has run out of time. */
let isOver = false;

beforeAll(async () => {
  cluster = await Cluster.start({ tag: 'cmem', managers: 3, workers: 2, spare: ['solo'] });
});
afterAll(() => cluster?.close());
afterEach(async () => {
  isOver = true;
  await cluster.mend();
});

interface Background {
  readonly written: number;
  readonly ended: Promise<void>;
}

/** Writes one value after the other until the test is over; tells how many were acknowledged. */
function keepWriting(name: (number: number) => string, from: Host): Background {
  isOver = false;
  const background = { written: 0, ended: Promise.resolve() };
  const run = async (): Promise<void> => {
    while (!isOver) {
      await cluster.set(name(background.written), `value ${background.written}`, { from });
      background.written += 1;
    }
  };
  background.ended = run();
  return background;
}

const others = (host: Host): Host[] => cluster.managers.filter((other) => other !== host);

async function logged(host: Host, event: string): Promise<number> {
  return (await readFile(host.logFile, 'utf8')).split(`"${event}"`).length - 1;
}

async function nodeId(host: Host): Promise<string> {
  return (await (await cluster.client(host)).local.status()).nodeId;
}

async function stateOf(hostname: string): Promise<string | undefined> {
  for await (const node of (await cluster.client()).nodes.list()) {
    if (node.hostname === hostname) return node.state;
  }
  return undefined;
}

/** Joins again after a leave, as somebody new. */
async function rejoin(host: Host, oldId: string): Promise<void> {
  await cluster.admit(host);
  expect(await nodeId(host)).not.toBe(oldId);
}

/** Nothing of an identity or of the cluster's state is left in a data folder. */
async function expectNothingLeft(host: Host): Promise<void> {
  const names = (await readdir(host.dataDir, { recursive: true })).sort();
  expect(
    names.filter((name) => /key|cert|identity|store|raft|ring|\.ldb|\.log$/.test(name)),
  ).toEqual([]);
}

describe('a node is removed', () => {
  test('not while it is READY, and not a manager that votes', async () => {
    const worker = refusalOf(await cluster.seed.conclave(['node', 'rm', 'w2', '--yes']));
    expect(worker).toMatchObject({ code: 65, error: expect.stringMatching(/READY/) });
    expect(worker.hint).toMatch(/force/);
    const manager = refusalOf(await cluster.seed.conclave(['node', 'rm', 'm2', '--yes']));
    expect(manager.code).toBe(65);
    await cluster.whole();
  });

  test('when it is DOWN: its tasks are orphaned, what it held is named, and it stays out', async () => {
    await cluster.set('held/by-w2', 'held value');
    const spec = ['--secret', 'held/by-w2', '--constraint', 'node.hostname==w2'];
    await cluster.seed.ok(['service', 'create', 'on-w2', ...spec, '--', 'sleep', '100000']);
    const [task] = await cluster.running('on-w2', 1);
    if (task === undefined) throw new Error('no task');
    const gone = cluster.host('w2');
    const oldId = await nodeId(gone);
    await gone.stop('SIGKILL');
    await eventually('w2 is DOWN', async () =>
      (await stateOf('w2')) === 'DOWN' ? true : undefined,
    );
    const removed = await cluster.seed.json<
      { heldCount: number; held: { secretName: string }[]; orphanedTasks: number }[]
    >(['node', 'rm', 'w2', '--yes']);
    const [answer] = [removed].flat();
    expect(answer?.held.map(({ secretName }) => secretName)).toContain('held/by-w2');
    expect(answer?.orphanedTasks).toBeGreaterThan(0);
    const orphan = await cluster.task('on-w2', ({ id }: Task) => id === task.id);
    expect(orphan.state).toBe('ORPHANED');

    await gone.start([], 60_000);
    await holds(3_000, async () => expect(await stateOf('w2')).toBeUndefined());
    // It gives itself up, and may come again as somebody else.
    const left = await gone.conclave(['leave', '--yes', '--force']);
    expect(left.code).toBe(0);
    expect(existsSync(cluster.folderOf(task))).toBe(false);
    await expectNothingLeft(gone);
    await rejoin(gone, oldId);
    await cluster.running('on-w2', 1);
    await cluster.seed.ok(['service', 'rm', 'on-w2', '--yes']);
  });
});

describe('a host leaves', () => {
  test('a worker: its tasks end and are wiped, and they run elsewhere', async () => {
    await cluster.set('moving', 'moving value');
    const spec = ['--replicas', '2', '--secret', 'moving'];
    await cluster.seed.ok(['service', 'create', 'moving', ...spec, '--', 'sleep', '100000']);
    const tasks = await cluster.running('moving', 2);
    const own = tasks.filter(({ nodeHostname }) => nodeHostname === 'w1');
    const pids = await Promise.all(own.map((task) => cluster.pidOf(task)));
    const oldId = await nodeId(cluster.host('w1'));
    await cluster.host('w1').ok(['leave', '--yes']);
    expect(own.map((task) => existsSync(cluster.folderOf(task)))).toEqual(own.map(() => false));
    expect(pids.map((pid) => existsSync(`/proc/${pid}`))).toEqual(pids.map(() => false));
    await expectNothingLeft(cluster.host('w1'));
    expect(await stateOf('w1')).toBeUndefined();
    for (const task of await cluster.running('moving', 2)) {
      expect(task.nodeHostname).toBe('w2');
      expect(String(await cluster.contentOf(task, 'moving'))).toBe('moving value');
    }
    await rejoin(cluster.host('w1'), oldId);
  });

  test('a follower: the cluster shrinks and goes on, and its store is destroyed', async () => {
    const leader = await cluster.leader();
    const [follower = leader] = others(leader).filter((host) => host !== cluster.seed);
    const oldId = await nodeId(follower);
    await follower.ok(['leave', '--yes']);
    await expectNothingLeft(follower);
    await eventually('it is no member', async () => {
      const { managers } = await cluster.status(leader);
      return managers.some(({ hostname }) => hostname === follower.name) ? undefined : true;
    });
    await cluster.set('after/follower', 'x', { from: leader });
    await rejoin(follower, oldId);
    await cluster.level();
  });

  test('the leader: another one takes over while writes go on', async () => {
    const leader = await cluster.leader();
    const rest = others(leader);
    const [from = leader] = rest;
    const oldId = await nodeId(leader);
    const background = keepWriting(() => 'during/leave', from);
    const moreThan = (count: number): Promise<true> =>
      eventually('writes', () => (background.written > count ? true : undefined));
    await moreThan(10);
    await leader.ok(['leave', '--yes']);
    await moreThan(background.written + 10);
    isOver = true;
    await background.ended;
    await expectNothingLeft(leader);
    await cluster.leader(rest);
    await rejoin(leader, oldId);
    await cluster.level();
  });

  test('the last manager does not without being told twice', async () => {
    const solo = cluster.host('solo');
    await solo.ok(['init', '-q']);
    const refused = refusalOf(await solo.conclave(['leave', '--yes']));
    expect(refused).toMatchObject({ code: 65, error: expect.stringMatching(/last manager/) });
    await solo.ok(['secret', 'set', 'still'], { input: 'works' });
    await solo.ok(['leave', '--yes', '--force']);
    await expectNothingLeft(solo);
  });
});

describe('the disk of a manager is full', () => {
  const disk = async (host: Host, mib: number): Promise<void> => {
    await host.stop();
    await runOk(['mount', '-t', 'tmpfs', '-o', `size=${mib}m,mode=0700`, 'none', host.dataDir]);
    await host.start([], 60_000);
  };
  const ballast = (host: Host): string => join(host.dataDir, 'ballast');
  /** Takes the room that is left, all but `keepBytes`. */
  const fill = async (host: Host, keepBytes: number): Promise<void> => {
    await run(['dd', 'if=/dev/zero', `of=${ballast(host)}`, 'bs=64k']);
    if (keepBytes === 0) return;
    await truncate(ballast(host), (await stat(ballast(host))).size - keepBytes);
  };
  const testWithMounts = testUnless(lackOfMounts);

  // Before the others of its kind outside of here: a daemon does not start on a full disk.
  afterEach(async () => {
    for (const host of cluster.farm.hosts) await rm(ballast(host), { force: true });
  });

  testWithMounts(
    'writes are refused with the reason, reads go on, and room is enough to recover',
    async () => {
      const solo = cluster.host('solo');
      await disk(solo, 48);
      await solo.ok(['init', '-q', '--auto-unlock', 'host']);
      await solo.ok(['secret', 'set', 'before'], { input: 'before' });
      for (const keepBytes of [2 * MIB, 0]) {
        await fill(solo, keepBytes);
        const refused = await eventually('a refusal', async () => {
          const result = await solo.conclave(['--timeout', '3s', 'secret', 'set', 'during'], {
            input: randomBytes(100_000),
          });
          return result.code === 0 ? undefined : refusalOf(result);
        });
        expect(refused).toMatchObject({ code: 71, error: expect.stringMatching(/disk/) });
        expect(refused.hint).toMatch(/[Ff]ree/);
        await solo.ok(['secret', 'get', 'before']);
        expect(solo.isRunning).toBe(true);
        await rm(ballast(solo));
        await solo.ok(['secret', 'set', `after/${keepBytes}`], { input: 'after' });
      }
      await fill(solo, 0);
      await solo.stop('SIGKILL');
      await rm(ballast(solo));
      await solo.start([], 60_000);
      await eventually('it leads again', async () => {
        const names = await solo.json<{ name: string }[]>(['secret', 'ls']);
        expect(names.map(({ name }) => name)).toEqual(
          expect.arrayContaining(['after/0', `after/${2 * MIB}`, 'before']),
        );
        return true;
      });
    },
  );

  testWithMounts(
    'that of a follower: the cluster goes on, and the follower catches up',
    async () => {
      const leader = await cluster.leader();
      const [follower = leader] = others(leader).filter((host) => host !== cluster.seed);
      const oldId = await nodeId(follower);
      await follower.ok(['leave', '--yes']);
      await disk(follower, 300);
      await rejoin(follower, oldId);
      await fill(follower, 0);
      for (let number = 0; number < 20; number += 1) {
        await cluster.set(`full/${number}`, randomBytes(100_000), { from: leader });
      }
      await cluster.seed.ok(['secret', 'ls']);
      await rm(ballast(follower));
      if (!follower.isRunning) await follower.start([], 60_000);
      await cluster.whole();
      await cluster.level();
      const found: string[] = [];
      const client = await cluster.client(follower);
      for await (const secret of client.secrets.list({ namePrefix: 'full/', isStale: true })) {
        found.push(secret.name);
      }
      expect(found).toHaveLength(20);
    },
  );
});

describe('a manager lags', () => {
  test(
    'it catches up by a snapshot while writes go on',
    async () => {
      const leader = await cluster.leader();
      const [lagging = leader] = others(leader);
      await lagging.stop('SIGKILL');
      await inParallel(SMALL_AT_A_TIME, async (number) => {
        await cluster.set(`early/${number % 100}`, `value ${number}`, { from: leader });
        return number >= SMALL_COUNT;
      });
      const { secrets } = await cluster.client(leader);
      const writtenBefore = await logged(leader, 'snapshot.written');
      const restoredBefore = await logged(lagging, 'snapshot.restored');
      await inParallel(LARGE_AT_A_TIME, async (number) => {
        expect(number).toBeLessThan(LARGE_COUNT_MAX);
        await cluster.set(`large/${number}`, randomBytes(LARGE_BYTES), { from: leader });
        if ((await logged(leader, 'snapshot.written')) > writtenBefore) return true;
        // It is the log that must grow, not the state.
        await secrets.remove(`large/${number}`);
        return false;
      });
      const background = keepWriting((number) => `small/${number}`, leader);
      await lagging.start([], 60_000);
      await eventually(
        'the snapshot is restored',
        async () =>
          (await logged(lagging, 'snapshot.restored')) > restoredBefore ? true : undefined,
        120_000,
      );
      await cluster.whole();
      isOver = true;
      await background.ended;
      await cluster.level();
      const namesOn = async (host: Host): Promise<string[]> => {
        const found: string[] = [];
        for await (const secret of (await cluster.client(host)).secrets.list({ isStale: true })) {
          found.push(`${secret.name} ${secret.currentVersion} ${secret.versions.length}`);
        }
        return found;
      };
      expect(background.written).toBeGreaterThan(0);
      const names = await namesOn(leader);
      expect(await namesOn(lagging)).toEqual(names);
      const count = (prefix: string): number =>
        names.filter((name) => name.startsWith(prefix)).length;
      expect([count('early/'), count('small/')]).toEqual([100, background.written]);
    },
    LARGE_MS_MAX,
  );
});
