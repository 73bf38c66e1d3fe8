import { spawn } from 'node:child_process';
import { existsSync, readdirSync, readlinkSync } from 'node:fs';
import { open, readdir, readFile } from 'node:fs/promises';
import type { FileHandle } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import type { Task } from '@conclave/client';
import { eventually } from '@conclave/testing';
import { Cluster, isEnded } from './support.js';

/** Milliseconds from the end of a task to the end of its files while the agent lives. */
const WIPE_MS_MAX = 2_000;
/** Milliseconds until the supervisor has wiped when no agent is there: five seconds and some. */
const WATCHDOG_MS_MAX = 10_000;
/** Each task has two mounts: its files and its output. */
const MANY = 25;
const SLEEP = ['sleep', '100000'];

let cluster: Cluster;

beforeAll(async () => {
  cluster = await Cluster.start({ tag: 'catk', managers: 1, workers: 2 });
  await cluster.set('s', 'the value');
});
afterAll(() => cluster?.close());

async function create(
  name: string,
  options: readonly string[],
  command: readonly string[],
): Promise<void> {
  const args = ['--secret', 's', '--restart-condition', 'none', ...options, '--', ...command];
  await cluster.seed.ok(['service', 'create', name, ...args]);
}

async function one(
  name: string,
  options: readonly string[],
  command: readonly string[],
): Promise<Task> {
  await create(name, options, command);
  const [task] = await cluster.running(name, 1);
  if (task === undefined) throw new Error(`no task of ${name}`);
  return task;
}

const on = (host: string): string[] => ['--constraint', `node.hostname==${host}`];

/** Mount namespaces of the host in which the files of a task are still mounted. */
async function mountsOf(task: Task): Promise<string[]> {
  const found = new Set<string>();
  for (const pid of await readdir('/proc')) {
    if (!/^\d+$/.test(pid)) continue;
    const table = await readFile(`/proc/${pid}/mountinfo`, 'utf8').catch(() => '');
    if (table.includes(`${task.id}-files`)) found.add(readlinkSync(`/proc/${pid}/ns/mnt`));
  }
  return [...found];
}

async function sizeOf(file: FileHandle): Promise<number> {
  return (await file.stat()).size;
}

/** The files of a task that have content, by the eyes of the agent. */
async function contentLeft(task: Task): Promise<string[]> {
  const view = join(cluster.folderOf(task), 'files', 'view');
  const entries = await readdir(view, { recursive: true, withFileTypes: true }).catch(() => []);
  return entries.filter((entry) => entry.isFile()).map(({ name }) => name);
}

// Attack row G03.
describe('the end of a task takes its file from every process of the host', () => {
  const ends: [string, string[], (task: Task) => Promise<unknown>][] = [
    ['it exits', ['sh', '-c', 'sleep 4'], () => Promise.resolve()],
    ['it fails', ['sh', '-c', 'sleep 4; exit 3'], () => Promise.resolve()],
    ['it is killed', SLEEP, async (task) => process.kill(await cluster.pidOf(task), 'SIGKILL')],
    [
      'it is placed elsewhere',
      SLEEP,
      ({ nodeHostname }) => cluster.seed.ok(['node', 'drain', nodeHostname]),
    ],
  ];
  test.each(ends)('%s', async (what, command, end) => {
    const task = await one(`ends-${what.replaceAll(' ', '-')}`, [], command);
    const pid = await cluster.pidOf(task);
    const held = await open(await cluster.fileOf(task, 's'), 'r');
    try {
      expect(await sizeOf(held)).toBe('the value'.length);
      await end(task);
      await eventually('it ends', () => (existsSync(`/proc/${pid}`) ? undefined : true), 15_000);
      await eventually(
        'nothing is left',
        async () => {
          const isLeft = (await mountsOf(task)).length > 0 || (await contentLeft(task)).length > 0;
          return isLeft ? undefined : true;
        },
        WIPE_MS_MAX,
      );
      expect(await sizeOf(held)).toBe(0);
    } finally {
      await held.close();
      await cluster.seed.ok(['node', 'activate', task.nodeHostname]);
    }
  });

  // Attack row G07.
  test('a mount that is kept in another namespace is empty there, and the agent says so', async () => {
    const task = await one('kept-mount', [], SLEEP);
    const path = join(cluster.folderOf(task), 'files/view/s');
    const holder = spawn('unshare', ['--mount', 'sh', '-c', `exec 3<${path}; exec sleep 1000`], {
      stdio: 'ignore',
    });
    try {
      const pid = holder.pid ?? 0;
      const copy = `/proc/${pid}/fd/3`;
      // Before that, its loader may have another file there.
      await eventually('it holds the file', async () =>
        (await readFile(copy, 'utf8')) === 'the value' ? true : undefined,
      );
      await cluster.seed.ok(['service', 'rm', 'kept-mount', '--yes']);
      await eventually(
        'it is empty there',
        async () => ((await readFile(copy, 'utf8')) === '' ? true : undefined),
        WIPE_MS_MAX,
      );
      await eventually('the agent has said so', async () => {
        const log = await readFile(cluster.host(task.nodeHostname).logFile, 'utf8');
        const line = log
          .split('\n')
          .find((text) => text.includes('outlived') && text.includes(task.id));
        return line?.includes(String(pid));
      });
    } finally {
      holder.kill('SIGKILL');
    }
  });
});

describe('a hostile task', () => {
  const HOSTILE = `
import mmap, os, sys, time
path = '/run/secrets/s'
first = open(path, 'rb')
mapped = mmap.mmap(first.fileno(), 0, prot=mmap.PROT_READ)
for attempt in (lambda: open(path, 'wb'), lambda: open('/run/secrets/fill', 'wb'),
                lambda: os.rename(path, path + '2'), lambda: os.symlink('/etc', '/run/secrets/l'),
                lambda: os.unlink(path), lambda: os.chmod(path, 0o777)):
    try:
        attempt()
        print('allowed')
    except OSError:
        pass
held = [open(path, 'rb') for _ in range(900)]
print('ready', len(held), mapped[:3], flush=True)
time.sleep(1000)
`;

  // Attack row G13.
  test('that maps and opens its secret hundreds of times loses it all the same', async () => {
    const task = await one('hostile', [], ['python3', '-c', HOSTILE]);
    await eventually('it is ready', async () =>
      (await cluster.printed('hostile')).some((line) => line.includes("ready 900 b'the'"))
        ? true
        : undefined,
    );
    expect((await cluster.printed('hostile')).filter((line) => line.includes('allowed'))).toEqual(
      [],
    );
    const held = await open(await cluster.fileOf(task, 's'), 'r');
    const daemon = cluster.host(task.nodeHostname).pid;
    const opened = readdirSync(`/proc/${daemon}/fd`).length;
    await cluster.seed.ok(['service', 'rm', 'hostile', '--yes']);
    await eventually('its file is empty', async () =>
      (await sizeOf(held)) === 0 ? true : undefined,
    );
    await held.close();
    await eventually('its mounts are gone', async () =>
      (await mountsOf(task)).length === 0 ? true : undefined,
    );
    expect(readdirSync(`/proc/${daemon}/fd`).length).toBeLessThanOrEqual(opened + 10);
  });

  // Attack row G15.
  test('has no descriptor of the agent, and no socket', async () => {
    const task = await one('descriptors', [], SLEEP);
    const pid = await cluster.pidOf(task);
    const links = readdirSync(`/proc/${pid}/fd`).map((fd) => readlinkSync(`/proc/${pid}/fd/${fd}`));
    expect(links).toHaveLength(3);
    for (const link of links) expect(link).toMatch(/^\/dev\/null$|\/std(out|err)$/);
    const environ = await readFile(`/proc/${pid}/environ`, 'utf8');
    for (const name of environ.split('\0').filter(Boolean)) {
      expect(name).toMatch(/^(HOME|PATH|PWD|CONCLAVE_(SECRETS_DIR|SERVICE|SLOT|TASK_ID))=/);
    }
    await cluster.seed.ok(['service', 'rm', 'descriptors', '--yes']);
  });
});

// Attack row G09.
describe('an agent that is killed with fifty mounts', () => {
  const pids = new Map<string, number>();

  /** Which of the tasks of before still run as the same process, with their file. */
  async function survivors(): Promise<string[]> {
    const found: string[] = [];
    for (const task of await cluster.tasks('many')) {
      if (isEnded(task) || !existsSync(`/proc/${pids.get(task.id)}`)) continue;
      if (String(await cluster.contentOf(task, 's')) === 'the value') found.push(task.id);
    }
    return found.sort();
  }

  test('adopts all of them when it is back', async () => {
    await create('many', ['--replicas', String(MANY), ...on('w1')], SLEEP);
    for (const task of await cluster.running('many', MANY)) {
      pids.set(task.id, await cluster.pidOf(task));
    }
    const host = cluster.host('w1');
    await host.stop('SIGKILL');
    await host.start([], 60_000);
    await cluster.whole();
    expect(await survivors()).toEqual([...pids.keys()].sort());
    const { local } = await cluster.client(host);
    await eventually('it has adopted them', async () =>
      (await local.status()).runningTasks >= MANY ? true : undefined,
    );
    expect(await survivors()).toEqual([...pids.keys()].sort());
  });

  test('wipes what had ended meanwhile before it knows any manager, and keeps the rest', async () => {
    const host = cluster.host('w1');
    await host.stop('SIGKILL');
    await cluster.seed.stop('SIGTERM');
    const [first = '', second = '', ...rest] = [...pids.keys()].sort();
    process.kill(pids.get(first) ?? 0, 'SIGKILL');
    const supervisors = await readFile(
      join(host.runDir, 'tasks', second, 'supervisor.json'),
      'utf8',
    );
    const { supervisor } = JSON.parse(supervisors) as { supervisor: { pid: number } };
    process.kill(supervisor.pid, 'SIGKILL');
    process.kill(pids.get(second) ?? 0, 'SIGKILL');
    await host.start([], 60_000);
    for (const id of [first, second]) {
      await eventually('its files are gone', () =>
        existsSync(join(host.runDir, 'tasks', id, 'files')) ? undefined : true,
      );
    }
    for (const id of rest) expect(existsSync(`/proc/${pids.get(id)}`)).toBe(true);
    const log = await readFile(host.logFile, 'utf8');
    const lost = log.split('\n').filter((line) => line.includes('task.ended'));
    expect(lost.some((line) => line.includes(second) && line.includes('supervisor'))).toBe(true);
    await cluster.seed.start([], 60_000);
    await cluster.whole();
    expect(await survivors()).toEqual(rest);
    const reported = await eventually('both are reported', async () => {
      const tasks = (await cluster.tasks('many')).filter(({ id }) => id === first || id === second);
      return tasks.every(isEnded) ? tasks : undefined;
    });
    const byId = new Map(reported.map((task) => [task.id, task]));
    expect(byId.get(first)).toMatchObject({ state: 'FAILED', exitCode: 137 });
    expect(byId.get(second)?.error).toMatch(/together with its supervisor/);
    pids.delete(first);
    pids.delete(second);
  });

  test('gives up what was taken away meanwhile', async () => {
    const host = cluster.host('w1');
    await host.stop('SIGKILL');
    await cluster.seed.ok(['service', 'rm', 'many', '--yes']);
    await host.start([], 60_000);
    await eventually('all are gone', () => {
      const left = [...pids].filter(
        ([id, pid]) => existsSync(`/proc/${pid}`) || existsSync(join(host.runDir, 'tasks', id)),
      );
      return left.length === 0 ? true : undefined;
    });
  });
});

describe('an agent that does not come back', () => {
  test('a task that runs keeps its file; one that ends loses it by its supervisor', async () => {
    const [stays, ends] = [await one('stays', on('w2'), SLEEP), await one('goes', on('w2'), SLEEP)];
    const host = cluster.host('w2');
    const held = await open(await cluster.fileOf(ends, 's'), 'r');
    const pid = await cluster.pidOf(ends);
    await host.stop('SIGKILL');
    process.kill(pid, 'SIGTERM');
    await eventually(
      'the file is gone',
      async () => ((await contentLeft(ends)).length === 0 ? true : undefined),
      WATCHDOG_MS_MAX,
    );
    expect(await sizeOf(held)).toBe(0);
    await held.close();
    expect(await contentLeft(stays)).toEqual(['s']);
    await host.start([], 60_000);
    const ended = await cluster.task('goes', isEnded);
    expect(ended).toMatchObject({ state: expect.stringMatching(/FAILED|ORPHANED/) });
    await cluster.seed.ok(['service', 'rm', 'stays', '--yes']);
  });
});

// Attack row G23.
describe('an agent that sleeps', () => {
  test('wakes up, opens a session again, and gives up what runs elsewhere by now', async () => {
    await cluster.whole();
    const args = ['--secret', 's', '--restart-condition', 'any'];
    await cluster.seed.ok(['service', 'create', 'sleepy', ...args, '--', ...SLEEP]);
    const [task] = await cluster.running('sleepy', 1);
    if (task === undefined) throw new Error('a task');
    const host = cluster.host(task.nodeHostname);
    const pid = await cluster.pidOf(task);
    process.kill(host.pid, 'SIGSTOP');
    try {
      const [moved] = await cluster.running('sleepy', 1, { without: host });
      expect(moved?.nodeHostname).not.toBe(host.name);
      // Nobody is there to end it: what runs keeps what it was given.
      expect(String(await cluster.contentOf(task, 's'))).toBe('the value');
    } finally {
      process.kill(host.pid, 'SIGCONT');
    }
    await cluster.whole();
    await eventually('the old one is over', () =>
      existsSync(`/proc/${pid}`) || existsSync(cluster.folderOf(task)) ? undefined : true,
    );
    expect(await cluster.running('sleepy', 1)).toHaveLength(1);
  });
});
