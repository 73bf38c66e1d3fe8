import { spawn } from 'node:child_process';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import process from 'node:process';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { cleanEnvironment, eventually, run } from '@conclave/testing';
import type { Host, RunResult } from '@conclave/testing';
import { BUNDLE, Cluster } from './support.js';

/** What the daemons must refuse, tried by a program that runs with the very flags of one. */
const PROBE = `
  const refused = (act) => { try { act(); return false; } catch (error) { return error.name; } };
  console.log(JSON.stringify({
    read: refused(() => ({}).__proto__),
    write: refused(() => { ({}).__proto__ = {}; }),
    parsed: refused(() => Object.assign({}, JSON.parse('{"__proto__":{"polluted":1}}'))),
    polluted: ({}).polluted === undefined,
    compile: refused(() => new Function('return 1')),
    evaluate: refused(() => (0, eval)('1')),
    secureHeap: require('node:crypto').secureHeapUsed().total,
  }));`;

/** The capabilities of deploy/systemd/conclaved-worker.service. */
const WORKER_RIGHTS = '00000000002c01eb';

let cluster: Cluster;

beforeAll(async () => {
  cluster = await Cluster.start({ tag: 'cproc', managers: 1, workers: 1 });
});
afterAll(() => cluster?.close());

const procOf = (host: Host, name: string): Promise<string> =>
  readFile(`/proc/${host.pid}/${name}`, 'utf8');

interface ProcessStatus {
  readonly process: string;
}

describe('a daemon that was started by its name', () => {
  test('runs with flags that refuse __proto__ and text as code, and with a secure heap', async () => {
    for (const host of cluster.farm.hosts) {
      const argv = (await procOf(host, 'cmdline')).split('\0');
      const flags = argv.slice(1, argv.indexOf(join(BUNDLE, 'conclaved.js')));
      expect(flags).toHaveLength(3);
      const probe = await run([process.execPath, ...flags, '-e', PROBE]);
      expect(JSON.parse(probe.stdout)).toEqual({
        read: 'Error',
        write: 'Error',
        parsed: 'Error',
        polluted: true,
        compile: 'EvalError',
        evaluate: 'EvalError',
        secureHeap: 1 << 20,
      });
    }
  });

  test('writes no core file, makes private files, and has no rights but those of a worker', async () => {
    for (const host of cluster.farm.hosts) {
      const status = await procOf(host, 'status');
      const field = (name: string): string =>
        new RegExp(`^${name}:\\s*(\\S+)$`, 'm').exec(status)?.[1] ?? '';
      const isRoot = process.getuid?.() === 0;
      const rights = isRoot ? WORKER_RIGHTS : '0000000000000000';
      expect({ umask: field('Umask'), rights: field('CapEff') }).toEqual({ umask: '0077', rights });
      if (isRoot) expect(field('CapBnd')).toBe(WORKER_RIGHTS);
      expect(await procOf(host, 'limits')).toMatch(/^Max core file size +0 +0 /m);
      expect((await procOf(host, 'coredump_filter')).trim()).toMatch(/^0+$/);
    }
  });

  test('says so', async () => {
    for (const host of cluster.farm.hosts) {
      const { local } = await host.json<{ local: ProcessStatus }>(['status']);
      expect(local.process).toMatch(/^hardened; /);
    }
    expect(await readFile(cluster.seed.logFile, 'utf8')).not.toContain('process.weak');
  });

  test('opens no inspector when it is asked to', async () => {
    const { pid } = cluster.seed;
    process.kill(pid, 'SIGUSR1');
    await cluster.set('after/usr1', 'x');
    const { stdout } = await run(['ss', '--listening', '--tcp', '--numeric', '--processes']);
    const ours = stdout.split('\n').filter((line) => line.includes(`pid=${pid},`));
    expect(ours.filter((line) => line.includes(':9229'))).toEqual([]);
    expect(await readFile(cluster.seed.logFile, 'utf8')).not.toContain('Debugger listening');
  });

  // Attack row M09.
  test('takes the names of a prototype for ordinary names, also when it reads them again', async () => {
    const { seed } = cluster;
    const named = [
      '--env',
      '__proto__=taken',
      '--label',
      '__proto__=label',
      '--label',
      'constructor=x',
    ];
    await seed.ok(['service', 'create', 'names', ...named, '--', 'sleep', '100000']);
    const [task] = await cluster.running('names', 1);
    if (task === undefined) throw new Error('no task');
    const environment = await readFile(`/proc/${await cluster.pidOf(task)}/environ`, 'utf8');
    expect(environment.split('\0')).toContain('__proto__=taken');
    for (const host of cluster.farm.hosts) {
      await host.stop('SIGKILL');
      await host.start([], 60_000);
    }
    await cluster.whole();
    expect(await cluster.running('names', 1)).toMatchObject([{ id: task.id }]);
    const text = await seed.ok(['service', 'inspect', 'names', '-o', 'json']);
    expect(text).toContain('"__proto__": "taken"');
    expect(text).toContain('"__proto__": "label"');
  });

  test('is the process that was started: it ends on its signal, with its code', async () => {
    const program = join(BUNDLE, 'conclaved.js');
    const bad = await run([program, '--nope']);
    expect(bad).toMatchObject({ code: 64, stderr: expect.stringContaining('--nope') });
    const worker = cluster.host('w1');
    expect(await worker.stop('SIGTERM')).toBe(0);
    await worker.start([], 60_000);
    await cluster.whole();
  });

  test('is what `conclave daemon` becomes', async () => {
    const folder = ['--data-dir', '/nowhere/data', '--run-dir', '/nowhere/run'];
    const child = spawn(join(BUNDLE, 'conclave.js'), ['daemon', ...folder, '--log-level', 'nope'], {
      env: cleanEnvironment(),
      stdio: ['ignore', 'ignore', 'pipe'],
    });
    let stderr = '';
    child.stderr.on('data', (chunk: Buffer) => (stderr += chunk.toString()));
    const code = await new Promise<number | null>((resolve) => child.once('close', resolve));
    expect({ code, stderr }).toEqual({ code: 64, stderr: expect.stringContaining('log') });
  });
});

describe('a daemon that was started without its launcher', () => {
  const bare = (host: Host): [program: string, ...rest: string[]] => {
    const [program = '', ...rest] = host.daemonArgv();
    return [program, ...rest];
  };
  const LAUNCHED = [
    '--disable-proto=throw',
    '--disallow-code-generation-from-strings',
    '--secure-heap=1048576',
  ];
  /** Ends with its exit code; a daemon that goes on instead fails the test by its time. */
  const refusal = (...flags: string[]): Promise<RunResult> =>
    run([
      'prlimit',
      '--core=0',
      process.execPath,
      ...flags,
      join(BUNDLE, 'conclaved.js'),
      '--data-dir',
      '/nowhere/data',
      '--run-dir',
      '/nowhere/run',
    ]);

  test('is refused, with the names of what it lacks', async () => {
    const { code, stderr } = await refusal();
    expect({ code, stderr }).toEqual({
      code: 71,
      stderr: expect.stringMatching(/without --disable-proto=throw, .*--secure-heap\n.*conclaved/s),
    });
    expect(stderr).not.toContain('/nowhere');
    const cores = await run([
      'sh',
      '-c',
      `ulimit -c unlimited; exec "$@"`,
      'sh',
      process.execPath,
      ...LAUNCHED,
      join(BUNDLE, 'conclaved.js'),
    ]);
    expect(cores).toMatchObject({ code: 71, stderr: expect.stringContaining('core files') });
  });

  test.each([
    '--inspect=127.0.0.1:0',
    '--heapsnapshot-signal=SIGUSR2',
    '--report-on-signal',
    '--diagnostic-dir=/tmp',
  ])('is refused with %s', async (flag) => {
    const { code, stderr } = await refusal(...LAUNCHED, flag);
    expect({ code, stderr }).toEqual({
      code: 71,
      stderr: expect.stringContaining(`Node was started with ${flag.replace(/=.*/, '')}`),
    });
  });

  test('warns in its log and in its status when that was asked for', async () => {
    const [host] = cluster.workers;
    if (host === undefined) throw new Error('no worker');
    await host.stop();
    const argv = [process.execPath, ...bare(host), '--insecure-dev'];
    const child = spawn(...spawnArgs(host.on(argv)));
    let log = '';
    child.stderr?.on('data', (chunk: Buffer) => (log += chunk.toString()));
    try {
      const { local } = await eventually('it answers', () =>
        host.json<{ local: ProcessStatus }>(['status']),
      );
      const lacks = 'weak, runs without --disable-proto=throw, --disallow-code-generation';
      expect(local.process).toContain(lacks);
      expect(log).toContain('"event":"process.weak"');
    } finally {
      const ended = new Promise((resolve) => child.once('exit', resolve));
      child.kill('SIGTERM');
      await ended;
      await host.start([], 60_000);
    }
  });
});

function spawnArgs(argv: readonly string[]): Parameters<typeof spawn> {
  const stdio: ['ignore', 'ignore', 'pipe'] = ['ignore', 'ignore', 'pipe'];
  return [argv[0] ?? '', argv.slice(1), { env: cleanEnvironment(), stdio }];
}
