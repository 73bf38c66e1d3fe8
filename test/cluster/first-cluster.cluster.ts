import { createHash } from 'node:crypto';
import { existsSync } from 'node:fs';
import { readFile, stat } from 'node:fs/promises';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import type { Secret, SecretEvent, SecretUse, Task } from '@conclave/client';
import { eventually, LeakScanner, run } from '@conclave/testing';
import { Cluster, isRoot, refusalOf } from './support.js';

/** Milliseconds from the answer of `secret set` to the new bytes in the task. */
const ARRIVAL_MS_MAX = 2_000;
/** Milliseconds from the end of a task to the end of its files. */
const WIPE_MS_MAX = 2_000;

let cluster: Cluster;

beforeAll(async () => {
  cluster = await Cluster.start({ tag: 'cfirst', managers: 3, workers: 2 });
});
afterAll(() => cluster?.close());

const sha256 = (bytes: Uint8Array | string): string =>
  createHash('sha256').update(bytes).digest('hex');

/** Creates a service through the command and waits for its tasks. */
async function serve(name: string, options: readonly string[], command: string): Promise<Task[]> {
  const replicas = options.includes('--replicas')
    ? Number(options[options.indexOf('--replicas') + 1])
    : 1;
  await cluster.seed.ok(['service', 'create', name, ...options, '--', 'sh', '-c', command]);
  return cluster.running(name, replicas);
}

async function one(name: string, options: readonly string[], command: string): Promise<Task> {
  const [task] = await serve(name, options, command);
  if (task === undefined) throw new Error(`no task of ${name}`);
  return task;
}

describe('the members', () => {
  test('init, two managers and two workers make one cluster that all of them describe alike', async () => {
    const nodes = await cluster.seed.json<{ hostname: string; role: string; state: string }[]>([
      'node',
      'ls',
    ]);
    expect(nodes.map(({ hostname, role, state }) => `${hostname} ${role} ${state}`)).toEqual([
      'm1 manager READY',
      'm2 manager READY',
      'm3 manager READY',
      'w1 worker READY',
      'w2 worker READY',
    ]);
    const answers = await Promise.all(
      cluster.managers.map((host) => host.json<{ cluster: { leaderId: string } }>(['status'])),
    );
    expect(new Set(answers.map(({ cluster: { leaderId } }) => leaderId)).size).toBe(1);
  });

  test('init and join on a member are refused and change nothing', async () => {
    const [again, token] = await Promise.all([
      cluster.seed.conclave(['init']),
      cluster.token('worker'),
    ]);
    expect(refusalOf(again)).toMatchObject({ code: 65, error: expect.stringMatching(/member/) });
    const joined = await cluster.join(cluster.host('w1'), token);
    expect(refusalOf(joined)).toMatchObject({ code: 65, error: expect.stringMatching(/member/) });
    expect((await cluster.status()).nodesReady).toBe(5);
  });

  test('a worker answers only for itself and says whom to ask', async () => {
    const refused = await cluster.host('w1').conclave(['secret', 'ls']);
    expect(refusalOf(refused)).toMatchObject({ code: 75, error: expect.stringMatching(/worker/) });
    const status = await cluster.host('w1').json<{ local: { role: string } }>(['status']);
    expect(status.local.role).toBe('worker');
  });
});

describe('a secret in its tasks', () => {
  const value = Buffer.from('first \0 value\r\nwith every kind of byte \xff', 'latin1');
  let tasks: readonly Task[] = [];

  test('a value from standard input arrives byte for byte in both replicas', async () => {
    const set = await cluster.seed.conclave(['secret', 'set', 'shop/db'], { input: value });
    expect({ code: set.code, out: set.stdout }).toEqual({
      code: 0,
      out: expect.stringMatching(/^shop\/db v1 {2}committed at index \d+\n$/),
    });
    tasks = await serve(
      'web',
      ['--replicas', '2', '--secret', 'shop/db', '--secret', 'shop/db:target=copy,mode=0440'],
      'sha256sum /run/secrets/db; exec sleep 1000',
    );
    expect(new Set(tasks.map(({ nodeHostname }) => nodeHostname))).toEqual(new Set(['w1', 'w2']));
    for (const task of tasks) expect(await cluster.contentOf(task, 'db')).toEqual(value);
  });

  test('the task itself reads the same checksum, and its output is asked for from a manager', async () => {
    await eventually('both checksums', async () => {
      const lines = await cluster.printed('web');
      return lines.filter((line) => line.includes(sha256(value))).length === 2 ? true : undefined;
    });
    const tail = await cluster.seed.ok(['service', 'logs', 'web', '--tail', '1']);
    expect(tail).toMatch(/web\.1@w\d/);
  });

  test('the files belong to the user of the task alone, with the mode of the binding', async () => {
    const uids = new Set<number>();
    for (const task of tasks) {
      const file = await stat(await cluster.fileOf(task, 'db'));
      const status = await readFile(`/proc/${await cluster.pidOf(task)}/status`, 'utf8');
      expect(file.mode & 0o7777).toBe(0o400);
      expect((await stat(await cluster.fileOf(task, 'copy'))).mode & 0o7777).toBe(0o440);
      expect(file.uid).toBe(Number(/^Uid:\t(\d+)/m.exec(status)?.[1]));
      uids.add(file.uid);
    }
    if (process.getuid?.() === 0) expect(uids).not.toContain(0);
  });

  test('they lie on a read-only memory file system that is never swapped', async () => {
    for (const task of tasks) {
      const mounts = await readFile(`/proc/${await cluster.pidOf(task)}/mountinfo`, 'utf8');
      const line = mounts.split('\n').find((text) => text.includes(' /run/secrets ')) ?? '';
      const [own = '', kind = ''] = line.split(' - ');
      expect(own.split(' ')[5]?.split(',')).toEqual(
        expect.arrayContaining(['ro', 'nosuid', 'nodev', 'noexec']),
      );
      // Without root the run folder's own tmpfs holds them, and only a host without swap will do.
      expect(kind).toMatch(isRoot ? /^(tmpfs .*\bnoswap\b|ramfs )/ : /^tmpfs /);
    }
  });

  test('the agent does not show its run folder, descriptors or environment to a task', async () => {
    for (const task of tasks) {
      const pid = await cluster.pidOf(task);
      const { runDir } = cluster.host(task.nodeHostname);
      expect(existsSync(`/proc/${pid}/root${runDir}/conclave.sock`)).toBe(false);
      const list = await run(['ls', '-l', `/proc/${pid}/fd`]);
      expect(list.stdout).not.toMatch(/socket:|conclave\.sock|anon_inode/);
      const environment = (await readFile(`/proc/${pid}/environ`, 'utf8')).split('\0');
      const names = environment.map((line) => line.split('=')[0] ?? '').filter(Boolean);
      // The shell that the service itself asked for adds PWD.
      expect(names.filter((name) => name !== 'PWD').sort()).toEqual([
        'CONCLAVE_SECRETS_DIR',
        'CONCLAVE_SERVICE',
        'CONCLAVE_SLOT',
        'CONCLAVE_TASK_ID',
        'HOME',
        'PATH',
      ]);
    }
  });

  test('a changed value is in every running task within two seconds, without a restart', async () => {
    const pids = await Promise.all(tasks.map((task) => cluster.pidOf(task)));
    await cluster.seed.ok(['secret', 'set', 'shop/db'], { input: 'second value' });
    const options = { value: 'second value', deadlineMs: ARRIVAL_MS_MAX };
    await Promise.all(tasks.map((task) => cluster.arrives(task, 'db', options)));
    expect(await Promise.all(tasks.map((task) => cluster.pidOf(task)))).toEqual(pids);
  });

  test('the same value makes no new version unless it is forced', async () => {
    const set = (...flags: string[]): Promise<{ version: number; unchanged: boolean }> =>
      cluster.seed.json(['secret', 'set', 'shop/db', ...flags], { input: 'second value' });
    expect(await set()).toMatchObject({ version: 2, unchanged: true });
    expect(await set('--force')).toMatchObject({ version: 3, unchanged: false });
  });

  test('rollback brings the older bytes back and stands in the history', async () => {
    await cluster.seed.ok(['secret', 'rollback', 'shop/db', '1']);
    const options = { value, deadlineMs: ARRIVAL_MS_MAX };
    await Promise.all(tasks.map((task) => cluster.arrives(task, 'db', options)));
    const history = await cluster.seed.json<SecretEvent[]>(['secret', 'history', 'shop/db']);
    expect(history.map(({ what, version }) => `${what} ${version}`)).toEqual([
      'set 1',
      'set 2',
      'set 3',
      'rollback 1',
    ]);
    for (const event of history) expect(event.by).toMatchObject({ kind: 'admin' });
  });

  test('status names every task with the version it has', async () => {
    const uses = await eventually('receipts of version 1', async () => {
      const found = await cluster.seed.json<SecretUse[]>(['secret', 'status', 'shop/db']);
      return found.every((use) => use.deliveredVersion === 1) ? found : undefined;
    });
    expect(uses.map(({ target, nodeHostname }) => `${target} ${nodeHostname}`).sort()).toEqual([
      'copy w1',
      'copy w2',
      'db w1',
      'db w2',
    ]);
    for (const use of uses) expect(use).toMatchObject({ wantedVersion: 1, outcome: 'delivered' });
  });

  test('a used secret is not removed, and the refusal names the users', async () => {
    await serve('second-user', ['--secret', 'shop/db'], 'exec sleep 1000');
    const refused = await cluster.seed.conclave(['secret', 'rm', 'shop/db', '--yes']);
    expect(refusalOf(refused)).toMatchObject({
      code: 65,
      error: expect.stringMatching(/second-user.*web|web.*second-user/),
    });
    expect((await cluster.seed.json<Secret>(['secret', 'get', 'shop/db'])).usedBy).toHaveLength(2);
    await cluster.seed.ok(['service', 'rm', 'second-user', '--yes']);
  });
});

describe('which host is given which secret', () => {
  test('a worker without a task for a secret never receives it', async () => {
    const marker = { name: 'w1 only', bytes: Buffer.from('only-for-w1-Nq8rT2vXzL5m') };
    await cluster.seed.ok(['secret', 'set', 'only/w1'], { input: marker.bytes });
    const constraint = ['--constraint', 'node.hostname==w1'];
    const task = await one('lone', ['--secret', 'only/w1', ...constraint], 'exec sleep 1000');
    expect(await cluster.contentOf(task, 'w1')).toEqual(marker.bytes);

    const exposure = async (node: string): Promise<string[]> => {
      const rows = await cluster.seed.json<{ secretName: string }[]>(['node', 'exposure', node]);
      return rows.map(({ secretName }) => secretName);
    };
    expect(await exposure('w1')).toContain('only/w1');
    expect(await exposure('w2')).not.toContain('only/w1');

    const scanned = async (name: string): Promise<number> => {
      const scanner = new LeakScanner([marker]);
      const { dataDir, logFile, pid, runDir } = cluster.host(name);
      await scanner.folder(runDir);
      await scanner.folder(dataDir);
      await scanner.file(logFile);
      await scanner.process(pid);
      if (process.getuid?.() === 0) await scanner.memory(pid);
      return scanner.report().leaks.length;
    };
    expect(await scanned('w1')).toBeGreaterThan(0);
    expect(await scanned('w2')).toBe(0);
  });

  test('the file is gone within two seconds when its last task has ended', async () => {
    const [task] = await cluster.running('lone', 1);
    if (task === undefined) throw new Error('no task');
    const folder = cluster.folderOf(task);
    const pid = await cluster.pidOf(task);
    await cluster.seed.ok(['service', 'scale', 'lone=0']);
    await eventually('the task has ended', () => (existsSync(`/proc/${pid}`) ? undefined : true));
    await eventually(
      'its folder and mounts are gone',
      async () => {
        const mounts = await readFile('/proc/self/mountinfo', 'utf8');
        return existsSync(folder) || mounts.includes(task.id) ? undefined : true;
      },
      WIPE_MS_MAX,
    );
  });
});

describe('what a task does when its secret changes', () => {
  test('none: the file changes under a pinned binding only when the service does', async () => {
    await cluster.set('pin', 'one');
    const task = await one(
      'pinned',
      ['--secret', 'pin@1', '--secret', 'pin:target=latest'],
      'exec sleep 1000',
    );
    await cluster.set('pin', 'two');
    await cluster.arrives(task, 'latest', { value: 'two' });
    expect(String(await cluster.contentOf(task, 'pin'))).toBe('one');
    await cluster.seed.ok(['service', 'rm', 'pinned', '--yes']);
  });

  test('signal and exec run in the same process, restart makes a new one', async () => {
    await cluster.set('reload', 'one');
    const [signalled, executed, restarted] = await Promise.all([
      one(
        'by-signal',
        ['--secret', 'reload:on-change=signal:HUP'],
        'trap "echo hup \\$(cat /run/secrets/reload)" HUP; while :; do sleep 0.1; done',
      ),
      one(
        'by-exec',
        ['--secret', 'reload:on-change=exec:echo exec $(cat /run/secrets/reload)'],
        'exec sleep 1000',
      ),
      one(
        'by-restart',
        ['--secret', 'reload:on-change=restart'],
        'echo start $(cat /run/secrets/reload); exec sleep 1000',
      ),
    ]);
    const before = await Promise.all([signalled, executed, restarted].map((t) => cluster.pidOf(t)));
    const answer = await cluster.seed.json<{ delivery: Record<string, number> }>(
      ['secret', 'set', 'reload', '--wait'],
      { input: 'two' },
    );
    expect(answer.delivery).toMatchObject({ bindingCount: 3, reloadedCount: 3, failedCount: 0 });
    await eventually('each has reloaded', async () => {
      const printed = await Promise.all(
        ['by-signal', 'by-exec', 'by-restart'].map((name) => cluster.printed(name)),
      );
      return ['hup two', 'exec two', 'start two'].every((wanted, index) =>
        (printed[index] ?? []).some((line) => line.endsWith(wanted)),
      )
        ? true
        : undefined;
    });
    const after = await Promise.all([signalled, executed].map((task) => cluster.pidOf(task)));
    expect(after).toEqual(before.slice(0, 2));
    for (const task of await cluster.running('by-restart', 1)) {
      expect(await cluster.pidOf(task)).not.toBe(before[2]);
    }
    await cluster.seed.ok(['service', 'rm', 'by-signal', 'by-exec', 'by-restart', '--yes']);
  });

  test('a reload that fails is reported by --wait with the task, and exits 71', async () => {
    await cluster.set('bad-reload', 'one');
    await one('fails', ['--secret', 'bad-reload:on-change=exec:exit 3'], 'exec sleep 1000');
    const result = await cluster.seed.conclave(['secret', 'set', 'bad-reload', '--wait'], {
      input: 'two',
    });
    expect(refusalOf(result)).toMatchObject({ code: 71, error: expect.stringMatching(/3/) });
    await cluster.seed.ok(['service', 'rm', 'fails', '--yes']);
  });
});

describe('services', () => {
  test('scale adds and removes tasks, the others stay', async () => {
    const before = await cluster.running('web', 2);
    await cluster.seed.ok(['service', 'scale', 'web=4']);
    const more = await cluster.running('web', 4);
    await cluster.seed.ok(['service', 'scale', 'web=2']);
    const after = await cluster.running('web', 2);
    const ids = (tasks: readonly Task[]): string[] => tasks.map(({ id }) => id).sort();
    expect(ids(more)).toEqual(expect.arrayContaining(ids(before)));
    expect(ids(after)).toEqual(ids(before));
  });

  test('update replaces the tasks one after the other', async () => {
    const before = (await cluster.running('web', 2)).map(({ id }) => id);
    await cluster.seed.ok(['service', 'update', 'web', '--env-add', 'ROUND=2']);
    const after = await eventually('two new tasks', async () => {
      const tasks = await cluster.running('web', 2);
      return tasks.every(({ id }) => !before.includes(id)) ? tasks : undefined;
    });
    for (const task of after) {
      const environment = await readFile(`/proc/${await cluster.pidOf(task)}/environ`, 'utf8');
      expect(environment.split('\0')).toContain('ROUND=2');
    }
  });

  test('drain moves the tasks with their secrets, and activate takes the node back', async () => {
    await cluster.seed.ok(['node', 'drain', 'w2']);
    await eventually('all on w1', async () => {
      const tasks = await cluster.running('web', 2);
      return tasks.every(({ nodeHostname }) => nodeHostname === 'w1') ? true : undefined;
    });
    const status = await eventually('w2 holds nothing', async () => {
      const found = await cluster
        .host('w2')
        .json<{ local: { heldVersions: number; runningTasks: number } }>(['status']);
      return found.local.heldVersions === 0 ? found : undefined;
    });
    expect(status.local.runningTasks).toBe(0);
    await cluster.seed.ok(['node', 'activate', 'w2']);
    await cluster.seed.ok(['service', 'scale', 'web=4']);
    const tasks = await cluster.running('web', 4);
    expect(tasks.some(({ nodeHostname }) => nodeHostname === 'w2')).toBe(true);
  });

  test('remove ends the tasks, and the secret can be removed once, then is unknown', async () => {
    await cluster.seed.ok(['service', 'rm', 'web', '--yes']);
    await eventually('the tasks are gone', async () => {
      const tasks = await cluster.seed.json<Task[]>(['task', 'ls', '--live']);
      return tasks.some(({ serviceName }) => serviceName === 'web') ? undefined : true;
    });
    await cluster.seed.ok(['secret', 'rm', 'shop/db', '--yes']);
    const again = await cluster.seed.conclave(['secret', 'rm', 'shop/db', '--yes']);
    expect(refusalOf(again).code).toBe(66);
  });
});

test('the fields of -o json are those of the reference', async () => {
  await cluster.set('shape/a', 'value');
  await one('shape', ['--secret', 'shape/a'], 'exec sleep 1000');
  const reference = await readFile(new URL('../../docs/reference/cli.md', import.meta.url), 'utf8');
  const fieldsOf = (command: string): string[] => {
    const section = reference.split(`### conclave ${command}\n`)[1]?.split('\n### ')[0] ?? '';
    const line = /^Fields of JSON: (.*)\.$/m.exec(section)?.[1] ?? '';
    return line.split(', ').map((field) => field.replaceAll('`', ''));
  };
  const commands: readonly (readonly [string, readonly string[]])[] = [
    ['secret ls', []],
    ['secret get', ['shape/a']],
    ['secret history', ['shape/a']],
    ['secret status', ['shape/a']],
    ['service ls', []],
    ['service inspect', ['shape']],
    ['service ps', ['shape']],
    ['task ls', []],
    ['node ls', []],
    ['node inspect', ['w1']],
    ['node exposure', ['w1']],
    ['token ls', []],
    ['status', []],
  ];
  for (const [command, words] of commands) {
    const answer = await cluster.seed.json<unknown>([...command.split(' '), ...words]);
    const object = (Array.isArray(answer) ? answer[0] : answer) as Record<string, unknown>;
    const known = fieldsOf(command);
    // A field without a value may be absent; one that nobody wrote down may not be there.
    expect({ command, unknown: Object.keys(object).filter((key) => !known.includes(key)) }).toEqual(
      { command, unknown: [] },
    );
    expect(Object.keys(object).length).toBeGreaterThanOrEqual(known.length - 1);
  }
});
