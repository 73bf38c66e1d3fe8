import {
  closeSync,
  existsSync,
  fstatSync,
  openSync,
  readdirSync,
  readFileSync,
  statSync,
  writeFileSync,
} from 'node:fs';

import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';

import type { Timers } from '@conclave/kernel';

import { START_MS_MAX } from '../src/limits.js';
import {
  filesOf,
  openHost,
  outputOf,
  outputUntil,
  planOf,
  realTimers,
  reasonToSkip,
  runTask,
  startTask,
} from './process-support.js';
import type { Host } from './process-support.js';

const skip = reasonToSkip();
const isRoot = process.geteuid?.() === 0;
const describeTasks = skip === undefined ? describe : describe.skip;
const because = skip === undefined ? '' : ` (skipped: ${skip})`;
const testAsRoot = isRoot ? test : test.skip;
const commandLines = (): string[] =>
  readdirSync('/proc')
    .filter((name) => /^[0-9]+$/.test(name) && existsSync(`/proc/${name}/cmdline`))
    .map((name) => {
      try {
        return readFileSync(`/proc/${name}/cmdline`, 'utf8');
      } catch {
        return '';
      }
    });
const FOREVER = 'echo up; while :; do sleep 1000; done';

describeTasks(`a task as a process${because}`, () => {
  let host: Host;
  beforeEach(async () => {
    host = await openHost();
  });
  afterEach(() => host.close());

  test('it reads its secrets at /run/secrets, on memory, read-only, and no other task does', async () => {
    const script = [
      'cat /run/secrets/password; echo',
      'grep " /run/secrets " /proc/self/mountinfo',
      'touch /run/secrets/x 2>&1',
      'ls -A /run/secrets',
    ].join('; ');
    const [exit, output] = await runTask(host, planOf(script));
    expect(exit).toEqual({ kind: 'exited', exitCode: 0, signal: undefined });
    expect(output).toContain('hunter-2\n');
    expect(output).toMatch(/\/run\/secrets ro,nosuid,nodev,noexec,\S* .*- tmpfs /);
    expect(output).toContain('Read-only file system');
    expect(existsSync('/run/secrets/password')).toBe(false);
  });

  test('it has no descriptor, environment or capability of the agent', async () => {
    process.env['CONCLAVE_TEST_MARK'] = 'of-the-agent';
    const script = [
      'for fd in /proc/self/fd/*; do readlink "$fd"; done | sort -u',
      'tr "\\0" "\\n" </proc/self/environ',
      'grep -E "^(Cap|NoNewPrivs|SigIgn)" /proc/self/status; umask; ulimit -c; pwd',
    ].join('; ');
    const plan = planOf(script, { env: { COLOR: 'a b\n"c"', CONCLAVE_SLOT: '99', LD_DEBUG: '' } });
    const [, output] = await runTask(host, plan);
    delete process.env['CONCLAVE_TEST_MARK'];
    expect(output).not.toMatch(/socket:|CONCLAVE_TEST_MARK|CV_W_/);
    expect(output).toContain('COLOR=a b\n"c"\n');
    expect(output).toContain(`CONCLAVE_TASK_ID=${plan.taskId}\n`);
    expect(output).toContain('CONCLAVE_SLOT=3\n');
    expect(output).toContain('CONCLAVE_SERVICE=web\n');
    expect(output).toContain('CONCLAVE_SECRETS_DIR=/run/secrets\n');
    expect(output).toMatch(/NoNewPrivs:\s1/);
    expect(output).toMatch(/SigIgn:\s0+\n/);
    for (const set of ['Inh', 'Prm', 'Eff', 'Amb']) {
      expect(output).toMatch(new RegExp(`Cap${set}:\\s0{16}`));
    }
    expect(output).toMatch(/0022\n0\n\/\n$/);
    const opened = output.split('\n').filter((line) => line.startsWith('/') && line !== '/');
    const allowed = /\/dev\/null|\/output\/std(out|err)|^\/proc\/[0-9]+\/fd$/;
    expect(opened.filter((line) => !allowed.test(line))).toEqual([]);
  });

  test('it cannot see the run folder of the agent, nor mounts of other tasks', async () => {
    const other = planOf(FOREVER);
    await startTask(host, other);
    const { runDir } = host.areas;
    const script = `ls -A ${runDir}; ls ${runDir}/tasks 2>&1; cat /proc/self/mountinfo`;
    const [, output] = await runTask(host, planOf(script));
    expect(output).not.toContain(other.taskId);
    expect(output).toContain(`cannot access '${runDir}/tasks'`);
  });

  testAsRoot('each task has a user of its own, which cannot look into another one', async () => {
    const first = planOf(`id -u; ${FOREVER}`);
    await startTask(host, first);
    const uid = Number((await outputUntil(host, first.taskId, 'up')).split('\n')[0]);
    expect(uid).toBeGreaterThanOrEqual(700_000);
    expect(uid).toBeLessThanOrEqual(765_535);
    const spy = `for p in /proc/[0-9]*; do cat $p/root/run/secrets/password 2>/dev/null; done; id -u`;
    const [, output] = await runTask(host, planOf(spy));
    // It finds its own, and only that.
    expect(output.match(/hunter-2/g)?.length ?? 0).toBeLessThanOrEqual(4);
    const lines = output.trim().split('\n');
    expect(Number(lines.at(-1)?.replaceAll('hunter-2', ''))).not.toBe(uid);
  });

  testAsRoot('a service may name its user', async () => {
    const [, output] = await runTask(host, planOf('id -u; id -g; id -G', { user: '1234:5678' }));
    expect(output).toBe('1234\n5678\n5678\n');
    await expect(host.executor.prepare(planOf('id', { user: '0' }))).rejects.toMatchObject({
      code: 'CV_UNSUPPORTED',
      message: expect.stringContaining('an account of the host'),
    });
  });

  test('status, signal and missing or unusable command are told apart', async () => {
    expect((await runTask(host, planOf('exit 7')))[0]).toMatchObject({ exitCode: 7 });
    const killed = (await runTask(host, planOf('kill -KILL $$')))[0];
    expect(killed).toEqual({ kind: 'exited', exitCode: 137, signal: 'SIGKILL' });
    const missing = await runTask(host, planOf('', { command: ['/no/such/program'] }));
    expect(missing[0]).toMatchObject({ exitCode: 127 });
    expect(missing[1]).toContain('/no/such/program');
    const unusable = await runTask(host, planOf('', { command: ['/etc/passwd'] }));
    expect(unusable[0]).toMatchObject({ exitCode: 126 });
  });

  test('a command is never read as shell text', async () => {
    const words = ['printf', '<%s>', '$(touch /tmp/x)', '`id`', '"', "'", '\\', 'a b', '*', ''];
    const [, output] = await runTask(host, planOf('', { command: words }));
    expect(output).toBe('<$(touch /tmp/x)><`id`><"><\'><\\><a b><*><>');
  });

  test('stop sends the stop signal to the whole group and reports the status', async () => {
    const plan = planOf('trap "echo bye; exit 3" USR1; sleep 1000 & echo up; wait', {
      stopSignal: 'USR1',
    });
    await startTask(host, plan);
    await outputUntil(host, plan.taskId, 'up');
    const exit = await host.executor.stop(plan.taskId, { graceMs: 10_000 });
    expect(exit).toMatchObject({ kind: 'exited', exitCode: 3 });
    expect(await outputOf(host, plan.taskId)).toContain('bye');
  });

  test('a task that ignores the stop signal, and all that it started, is killed', async () => {
    const script = `trap "" TERM INT; setsid sh -c 'trap "" TERM; echo $$; ${FOREVER}' & ${FOREVER}`;
    const plan = planOf(script);
    await startTask(host, plan);
    const output = await outputUntil(host, plan.taskId, 'up\n');
    const exit = await host.executor.stop(plan.taskId, { graceMs: 100 });
    expect(exit).toMatchObject({ exitCode: 137, signal: 'SIGKILL' });
    const daemon = /^[0-9]+$/m.exec(output)?.[0];
    if (daemon !== undefined) expect(existsSync(`/proc/${daemon}/exe`)).toBe(false);
    const leftovers = await host.files.remove(plan.taskId);
    expect(leftovers.filter(({ mountPoint }) => mountPoint === '/run/secrets')).toEqual([]);
  });

  test('what the main process leaves behind ends with it', async () => {
    const plan = planOf('setsid sleep 1000 & echo $!; exit 0');
    const [exit, output] = await runTask(host, plan);
    expect(exit).toMatchObject({ exitCode: 0 });
    expect(existsSync(`/proc/${output.trim()}/exe`)).toBe(false);
  });

  test('a signal reaches the main process', async () => {
    const plan = planOf('trap "echo reloaded" HUP; echo up; while :; do sleep 0.05; done');
    await startTask(host, plan);
    await outputUntil(host, plan.taskId, 'up');
    host.executor.signal(plan.taskId, 'HUP');
    await outputUntil(host, plan.taskId, 'reloaded');
  });

  test('a command inside the task has its mounts, user and environment, and gives its status', async () => {
    const plan = planOf(`id -u; ${FOREVER}`, { env: { COLOR: 'red' } });
    await startTask(host, plan);
    const before = await outputUntil(host, plan.taskId, 'up');
    const command =
      'cat /run/secrets/password; echo " $COLOR"; id -u; touch /run/secrets/y; exit 9';
    expect(await host.executor.exec(plan.taskId, command)).toBe(9);
    const output = await outputOf(host, plan.taskId);
    expect(output).toContain('hunter-2 red\n');
    expect(output.split('\n').filter((line) => line === before.split('\n')[0])).toHaveLength(2);
    expect(output).toContain('Read-only file system');
    expect(await host.executor.exec(plan.taskId, 'kill -9 $$')).toBe(137);
  });

  test('a new generation shows in the running task', async () => {
    const script = 'echo up; while [ "$(cat /run/secrets/password)" != new ]; do sleep 0.02; done';
    const plan = planOf(script);
    const user = await host.executor.prepare(plan);
    await host.files.create(plan.taskId);
    await host.files.write(plan.taskId, filesOf({ password: 'old' }, user));
    await host.executor.start(plan);
    await outputUntil(host, plan.taskId, 'up');
    await host.files.write(plan.taskId, filesOf({ password: 'new' }, user));
    expect(await host.executor.wait(plan.taskId)).toMatchObject({ exitCode: 0 });
  });

  test('the command can be started again in the same task', async () => {
    const plan = planOf(FOREVER);
    await startTask(host, plan);
    await outputUntil(host, plan.taskId, 'up');
    await host.executor.stop(plan.taskId, { graceMs: 5_000 });
    await host.executor.start(plan);
    await outputUntil(host, plan.taskId, 'up\nup');
    await host.executor.stop(plan.taskId, { graceMs: 5_000 });
  });

  test('the tail of the output is counted in lines', async () => {
    const plan = planOf('seq 1 100; echo err >&2');
    await runTask(host, plan);
    expect(await outputOf(host, plan.taskId, 2)).toBe('99\n100\nerr\n');
  });

  test('output is bounded: the newest part stays', async () => {
    const line = 'x'.repeat(99);
    const flood = `yes ${line} | head -c 20000000; echo flooded >&2`;
    const plan = planOf(`${flood}; ${FOREVER}`);
    await startTask(host, plan);
    await outputUntil(host, plan.taskId, 'flooded');
    expect(await host.executor.exec(plan.taskId, 'echo last')).toBe(0);
    const output = await outputOf(host, plan.taskId);
    expect(output).toContain('last\n');
    const folder = `${host.files.taskDir(plan.taskId)}/output`;
    const kept = readdirSync(folder).map((name) => readFileSync(`${folder}/${name}`).length);
    expect(kept.reduce((sum, size) => sum + size, 0)).toBeLessThan(3_000_000);
  });

  test('a task that fills the place of its output, or gives it any size, harms itself only', async () => {
    const fills = 'dd if=/dev/zero of=/dev/stdout bs=1M count=70 oflag=append conv=notrunc; exit 3';
    const plan = planOf(`truncate -s 4E /dev/stdout; sleep 1.5; ${fills}`);
    const sizeKept = (): number => {
      const folder = `${host.files.taskDir(plan.taskId)}/output`;
      const sizes = readdirSync(folder).map((name) => statSync(`${folder}/${name}`).size);
      return sizes.reduce((sum, size) => sum + size, 0);
    };
    await startTask(host, plan);
    expect(await host.executor.wait(plan.taskId)).toMatchObject({ exitCode: 3 });
    host.executor.finish(plan.taskId);
    expect(sizeKept()).toBeLessThan(3_000_000);

    // The same while the agent is away: the next one finds the place full.
    await host.executor.start({ ...plan, command: ['sh', '-c', fills] });
    host.executor.close();
    const exitNote = `${host.files.taskDir(plan.taskId)}/exit`;
    while (!existsSync(exitNote)) await new Promise((resolve) => setTimeout(resolve, 20));
    expect(sizeKept()).toBeGreaterThan(50_000_000);
    host = await host.restart();
    expect(await host.executor.adopt(plan)).toBeDefined();
    expect(await host.executor.wait(plan.taskId)).toMatchObject({ exitCode: 3 });
    host.executor.finish(plan.taskId);
    expect(sizeKept()).toBeLessThan(3_000_000);
  }, 30_000);

  test('a start that fails after the word leaves nothing running', async () => {
    const plan = planOf('setsid sleep 98761 & exec sleep 98761');
    const isRunning = (): boolean =>
      commandLines().some((line) => line.includes('sleep\u000098761'));
    // The agent never looks whether it was started, and its patience is over as soon as it is.
    const timers: Timers = {
      after: (ms, work) => {
        if (ms !== START_MS_MAX) return realTimers.after(ms, work);
        return realTimers.every(20, () => {
          if (isRunning()) work();
        });
      },
      every: () => ({ cancel: () => undefined }),
    };
    host = await host.restart({ timers });
    await expect(startTask(host, plan)).rejects.toThrow('took too long');
    expect(isRunning()).toBe(false);
  });

  test('plans that cannot run are refused before anything is made', async () => {
    const refused = [
      planOf('', { runtime: 'container' }),
      planOf('', { command: [] }),
      planOf('', { command: ['a=b'] }),
      planOf('', { command: ['a\0b'] }),
      planOf('', { env: { 'A=B': '' } }),
      planOf('', { env: { '': 'x' } }),
      planOf('', { workingDirectory: 'relative' }),
      planOf('', { stopSignal: 'NOPE' }),
      planOf('', { user: 'root' }),
      planOf('', { user: '1:2:3' }),
    ];
    for (const plan of refused) {
      await expect(host.executor.prepare(plan)).rejects.toMatchObject({
        code: expect.stringMatching(/^CV_(UNSUPPORTED|ARGUMENT_INVALID)$/),
      });
    }
    expect(host.files.list()).toEqual([]);
  });

  test('a restarted agent adopts a running task, its output and its end', async () => {
    const plan = planOf(`${'echo before;'} ${FOREVER}`);
    await startTask(host, plan);
    await outputUntil(host, plan.taskId, 'up');
    host = await host.restart();
    expect(await host.files.adopt(plan.taskId)).toEqual(['password']);
    expect(await host.executor.adopt(plan)).toBeDefined();
    expect(await outputOf(host, plan.taskId)).toBe('before\nup\n');
    expect(await host.executor.exec(plan.taskId, 'exit 4')).toBe(4);
    const exit = await host.executor.stop(plan.taskId, { graceMs: 5_000 });
    expect(exit).toMatchObject({ exitCode: 143, signal: 'SIGTERM' });
  });

  test('a restarted agent learns the status of a task that ended meanwhile', async () => {
    const plan = planOf('exit 5');
    await runTask(host, plan);
    host = await host.restart();
    await host.files.adopt(plan.taskId);
    expect(await host.executor.adopt(plan)).toBeDefined();
    expect(await host.executor.wait(plan.taskId)).toMatchObject({ exitCode: 5 });
  });

  test('without an agent the supervisor wipes the files of a task that ended', async () => {
    const plan = planOf(FOREVER);
    await startTask(host, plan);
    await outputUntil(host, plan.taskId, 'up');
    const user = { uid: process.geteuid?.() ?? 0, gid: process.getegid?.() ?? 0 };
    await host.files.write(plan.taskId, filesOf({ password: 'hunter-3', other: 'x' }, user));
    const view = host.files.viewPath(plan.taskId);
    const held = openSync(`${view}/password`, 'r');
    const old = readdirSync(`${view}/../old/.gen-1`).map((name) => `${view}/../old/.gen-1/${name}`);
    expect(old.map((path) => readFileSync(path, 'utf8'))).toEqual(['hunter-2']);
    // As after kill -9: nobody looks any more.
    host.executor.close();
    const main = Number.parseInt(readFileSync(`${view}/../../started`, 'utf8'), 10);
    process.kill(main, 'SIGKILL');
    const deadline = performance.now() + 15_000;
    const isLeft = (): boolean => existsSync(`${view}/password`) || old.some((p) => existsSync(p));
    while (isLeft() && performance.now() < deadline) {
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
    expect(isLeft()).toBe(false);
    expect(existsSync(`${view}/other`)).toBe(false);
    expect(fstatSync(held).size).toBe(0);
    closeSync(held);
    host = await host.restart();
    expect(await host.files.adopt(plan.taskId)).toEqual([]);
    expect(await host.executor.adopt(plan)).toBeDefined();
    expect(await host.executor.wait(plan.taskId)).toMatchObject({ exitCode: 137 });
  }, 30_000);

  test('the supervisor is gone with its task, so that it wipes no files of a later start', async () => {
    const plan = planOf('exit 0');
    await runTask(host, plan);
    const note = readFileSync(`${host.files.taskDir(plan.taskId)}/supervisor.json`, 'utf8');
    const { pid } = (JSON.parse(note) as { supervisor: { pid: number } }).supervisor;
    const state = /^State:\s(\S)/m.exec(
      existsSync(`/proc/${pid}`) ? readFileSync(`/proc/${pid}/status`, 'utf8') : '',
    );
    expect(state?.[1] ?? 'Z').toBe('Z');
  });

  test('a restarted agent takes no other process for a task of before', async () => {
    const plan = planOf(FOREVER);
    await startTask(host, plan);
    await outputUntil(host, plan.taskId, 'up');
    const folder = host.files.taskDir(plan.taskId);
    host = await host.restart();
    await host.executor.clear(plan.taskId);
    const own = readFileSync('/proc/self/stat', 'utf8');
    const later = own.replace(/(\) (?:\S+ ){19})\S+/, '$11');
    writeFileSync(`${folder}/started`, later);
    expect(await host.executor.adopt(plan)).toBeDefined();
    expect(await host.executor.wait(plan.taskId)).toMatchObject({ kind: 'lost' });
  });

  test('a task whose supervisor was killed is noticed when it ends', async () => {
    const plan = planOf(FOREVER);
    await startTask(host, plan);
    await outputUntil(host, plan.taskId, 'up');
    const note = readFileSync(`${host.files.taskDir(plan.taskId)}/supervisor.json`, 'utf8');
    process.kill((JSON.parse(note) as { supervisor: { pid: number } }).supervisor.pid, 'SIGKILL');
    await expect(host.executor.exec(plan.taskId, 'true')).rejects.toMatchObject({
      code: 'CV_EXECUTOR_FAILED',
    });
    expect(await host.executor.stop(plan.taskId, { graceMs: 5_000 })).toMatchObject({
      kind: 'lost',
    });
  });

  test('a folder that does not exist fails the start of the command, with a text', async () => {
    const [exit, output] = await runTask(host, planOf('true', { workingDirectory: '/no/such' }));
    expect(exit).toMatchObject({ exitCode: 125 });
    expect(output).toContain('/no/such');
  });
});
