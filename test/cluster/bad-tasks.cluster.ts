import { existsSync } from 'node:fs';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import type { Service, Task } from '@conclave/client';
import { eventually, holds } from '@conclave/testing';
import { Cluster, isEnded, refusalOf } from './support.js';

let cluster: Cluster;

beforeAll(async () => {
  cluster = await Cluster.start({ tag: 'ctask', managers: 1, workers: 1 });
});
afterAll(() => cluster?.close());

const FAST = ['--restart-delay', '100ms'];

async function create(name: string, options: readonly string[], command: string[]): Promise<void> {
  await cluster.seed.ok(['service', 'create', name, ...options, '--', ...command]);
}

/** Waits until the tasks of a service are no more than these and have all ended. */
async function settled(name: string, count: number): Promise<Task[]> {
  return eventually(`${count} ended tasks of ${name}`, async () => {
    const tasks = await cluster.tasks(name);
    return tasks.length === count && tasks.every(isEnded) ? tasks : undefined;
  });
}

describe('commands that cannot run', () => {
  test('a command that does not exist fails with the reason, and is tried as often as allowed', async () => {
    await create(
      'missing',
      [...FAST, '--restart-condition', 'on-failure', '--restart-attempts', '2'],
      ['/no/such/program', 'argument'],
    );
    const tasks = await settled('missing', 3);
    for (const task of tasks) {
      expect(task).toMatchObject({ state: expect.stringMatching(/FAILED|REJECTED/) });
      expect(`${task.error} ${task.message}`).toMatch(/no\/such\/program|not found|No such file/i);
    }
  });

  test('a folder or a file without the right to run it is no command', async () => {
    await create('folder', ['--restart-condition', 'none'], ['/etc']);
    await create('text', ['--restart-condition', 'none'], ['/etc/passwd']);
    for (const name of ['folder', 'text']) {
      const [task] = await settled(name, 1);
      expect(task?.state).toMatch(/FAILED|REJECTED/);
      expect(`${task?.error} ${task?.message}`).toMatch(/cannot be executed/);
    }
  });

  test('a working folder that does not exist is the reason', async () => {
    await create(
      'nowhere',
      ['--restart-condition', 'none', '--workdir', '/no/such/folder'],
      ['sleep', '1000'],
    );
    const [task] = await settled('nowhere', 1);
    expect(task?.state).toMatch(/FAILED|REJECTED/);
    expect(`${task?.error} ${task?.message}`).toMatch(/working directory/);
  });
});

describe('users that no service may name', () => {
  test.each([
    ['root', '0', /an account of the host/],
    ['a group of root', '4711:0', /an account of the host/],
  ])('%s: the host refuses the task with the reason', async (_, user, reason) => {
    const name = `spy-${user.replace(':', '-')}`;
    await create(name, ['--restart-condition', 'none', '--user', user], ['sleep', '1000']);
    const [task] = await settled(name, 1);
    expect(task?.state).toBe('REJECTED');
    expect(task?.error).toMatch(reason);
    await cluster.seed.ok(['service', 'rm', '--yes', name]);
  });

  test('one of those that tasks are given is refused by the managers', async () => {
    const command = ['service', 'create', 'neighbour', '--user', '700001', '--', 'sleep', '1000'];
    const refused = await cluster.seed.conclave(command);
    expect(refused.code).toBe(64);
    expect(refused.stderr).toMatch(/spec\.user/);
  });
});

describe('commands that end', () => {
  test.each([
    ['none', 'exit 0', 'COMPLETE', 1],
    ['none', 'exit 7', 'FAILED', 1],
    ['on-failure', 'exit 0', 'COMPLETE', 1],
    ['on-failure', 'exit 7', 'FAILED', 3],
    ['any', 'exit 0', 'COMPLETE', 3],
  ])('restart %s, "%s": %s after %d runs', async (condition, script, state, runs) => {
    const name = `ends-${condition}-${script.replace(' ', '')}`;
    await create(
      name,
      [...FAST, '--restart-condition', condition, '--restart-attempts', '2'],
      ['sh', '-c', script],
    );
    const tasks = await settled(name, runs);
    for (const task of tasks) {
      expect(task).toMatchObject({ state, exitCode: Number(script.split(' ')[1]) });
    }
    // No further one comes: the condition or the attempts forbid it.
    await holds(1_000, async () => expect(await cluster.tasks(name)).toHaveLength(runs));
  });

  test('a task killed by a signal fails and says which', async () => {
    await create('killed', ['--restart-condition', 'none'], ['sh', '-c', 'kill -9 $$']);
    const [task] = await settled('killed', 1);
    expect(task).toMatchObject({ state: 'FAILED', exitCode: 137 });
    expect(`${task?.error} ${task?.message}`).toMatch(/SIGKILL/);
  });

  test('the history of a task that fails for ever stays bounded', async () => {
    await create('for-ever', ['--restart-delay', '50ms'], ['sh', '-c', 'exit 1']);
    const seen = new Set<string>();
    let endedMost = 0;
    await eventually('ten runs', async () => {
      const tasks = await cluster.tasks('for-ever');
      for (const { id } of tasks) seen.add(id);
      endedMost = Math.max(endedMost, tasks.filter(isEnded).length);
      return seen.size > 10 ? true : undefined;
    });
    expect(endedMost).toBeLessThanOrEqual(6);
    await cluster.seed.ok(['service', 'rm', 'for-ever', '--yes']);
  });
});

describe('tasks that do not want to end', () => {
  test('SIGTERM is ignored: killed after the grace period, children included', async () => {
    await create(
      'stubborn',
      ['--stop-grace', '1s'],
      [
        'sh',
        '-c',
        'trap "" TERM; sh -c \'trap "" TERM; while :; do sleep 1; done\' & while :; do sleep 1; done',
      ],
    );
    const [task] = await cluster.running('stubborn', 1);
    if (task === undefined) throw new Error('no task');
    const pid = await cluster.pidOf(task);
    const folder = cluster.folderOf(task);
    const startedAt = performance.now();
    await cluster.seed.ok(['service', 'scale', 'stubborn=0']);
    await eventually('killed', () => (existsSync(`/proc/${pid}`) ? undefined : true), 20_000);
    expect(performance.now() - startedAt).toBeGreaterThan(1_000);
    await eventually('files gone', () => (existsSync(folder) ? undefined : true), 5_000);
    expect(await cluster.farm.processes()).toEqual(
      cluster.farm.hosts.map(({ pid: daemon }) => daemon).sort((a, b) => a - b),
    );
  });

  test('the stop signal of the service is the one that is sent', async () => {
    await create(
      'polite',
      ['--stop-signal', 'USR1', '--stop-grace', '20s'],
      ['sh', '-c', 'trap "exit 5" USR1; while :; do sleep 0.1; done'],
    );
    await cluster.running('polite', 1);
    await cluster.seed.ok(['service', 'update', 'polite', '--env-add', 'A=1']);
    const ended = await cluster.task('polite', (task) => isEnded(task));
    expect(ended).toMatchObject({ exitCode: 5 });
  });
});

describe('secrets that are not there', () => {
  test('a service with a required secret that does not exist is refused', async () => {
    const refused = await cluster.seed.conclave([
      'service',
      'create',
      'lost',
      '--secret',
      'no/such',
      '--',
      'sleep',
      '1000',
    ]);
    expect(refused.code).toBe(66);
    expect(refused.stderr).toMatch(/bindings\[0\]\.secret_name: no secret has this name/);
  });

  test('a required version that was destroyed makes the task REJECTED with the reason', async () => {
    await cluster.set('doomed', 'one');
    await cluster.set('doomed', 'two');
    await create('pinned', ['--replicas', '0', '--secret', 'doomed@1'], ['sleep', '1000']);
    const refused = await cluster.seed.conclave([
      'secret',
      'destroy-version',
      'doomed',
      '1',
      '--yes',
    ]);
    expect({ code: refused.code, err: refused.stderr }).toEqual({
      code: 65,
      err: expect.stringMatching(/pinned/),
    });
    await cluster.seed.ok(['secret', 'destroy-version', 'doomed', '1', '--yes', '--force']);
    await cluster.seed.ok(['service', 'scale', 'pinned=1']);
    const rejected = await cluster.task('pinned', ({ state }) => state === 'REJECTED');
    expect(rejected.error).toMatch(/doomed/);
    expect(rejected.error).toMatch(/1/);
    const service = await cluster.seed.json<Service>(['service', 'inspect', 'pinned']);
    expect(service.runningTasks).toBe(0);
  });

  test('an optional secret that does not exist: the task starts, and the file comes with it', async () => {
    await create('early', ['--secret', 'not/yet:optional'], ['sleep', '1000']);
    const [task] = await cluster.running('early', 1);
    if (task === undefined) throw new Error('no task');
    const path = await cluster.fileOf(task, 'yet');
    expect(existsSync(path)).toBe(false);
    await cluster.set('not/yet', 'here it is');
    await cluster.arrives(task, 'yet', { value: 'here it is' });
    const removal = await cluster.seed.conclave(['secret', 'rm', 'not/yet', '--yes']);
    expect(refusalOf(removal)).toMatchObject({ code: 65, error: expect.stringMatching(/early/) });
    await cluster.set('not/yet', 'and changes');
    await cluster.arrives(task, 'yet', { value: 'and changes' });
  });

  test('an optional version that was destroyed: the task starts without the file', async () => {
    await cluster.set('content', 'there');
    await cluster.set('doomed', 'three');
    const bindings = ['--secret', 'content', '--secret', 'doomed@2:target=gone,optional'];
    await create('lenient', ['--replicas', '0', ...bindings], ['sleep', '1000']);
    await cluster.seed.ok(['secret', 'destroy-version', 'doomed', '2', '--yes', '--force']);
    await cluster.seed.ok(['service', 'scale', 'lenient=1']);
    const [task] = await cluster.running('lenient', 1);
    if (task === undefined) throw new Error('no task');
    expect(String(await cluster.contentOf(task, 'content'))).toBe('there');
    expect(existsSync(await cluster.fileOf(task, 'gone'))).toBe(false);
  });
});

test('after all of it the node is well and runs the next task', async () => {
  await create('well', [], ['sleep', '1000']);
  await cluster.running('well', 1);
  const status = await cluster.seed.conclave(['status']);
  expect(status.code).toBe(0);
});
