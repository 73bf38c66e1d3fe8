import { randomBytes } from 'node:crypto';
import { spawn } from 'node:child_process';
import { mkdir, mkdtemp, readFile, readdir, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { eventually, LeakScanner, runOk } from '@conclave/testing';
import type { Host, Marker, ScanReport } from '@conclave/testing';
import { Cluster } from './support.js';

const MIB = 1024 * 1024;
/** Divisible by three, so that the base64 text of one goes on in that of the next. */
const UNIT_BYTES = 36;
/** More of the largest values than a manager keeps in its log without a snapshot (64 MiB). */
const FILL_COUNT_MAX = 80;
const FILL_AT_A_TIME = 4;
/** Milliseconds for half a life on a machine that does much else. */
const LIFE_MS_MAX = 420_000;

const raw = { base64: randomBytes(UNIT_BYTES), hex: randomBytes(UNIT_BYTES) };
/** What every planted value is made of; a part of a value gives it away as well as the whole. */
const UNITS: Readonly<Record<string, Buffer>> = {
  text: Buffer.from(randomBytes(27).toString('base64url')),
  base64: Buffer.from(raw.base64.toString('base64')),
  hex: Buffer.from(raw.hex.toString('hex')),
  binary: randomBytes(UNIT_BYTES),
};
const KINDS = Object.keys(UNITS);

const MARKERS: readonly Marker[] = [
  ...Object.entries(UNITS).map(([name, bytes]) => ({ name, bytes })),
  { name: 'base64 decoded', bytes: raw.base64 },
  { name: 'hex decoded', bytes: raw.hex },
];

function unitOf(kind: string): Buffer {
  const unit = UNITS[kind];
  if (unit === undefined) throw new Error(`no unit ${kind}`);
  return unit;
}

/** The planted values of one round: `small` and `large` of each kind. */
function planted(round: number): Map<string, Buffer> {
  const tail = Buffer.from(` ${round}`);
  return new Map(
    KINDS.flatMap((kind): [string, Buffer][] => [
      [`${kind}-small`, Buffer.concat([unitOf(kind), tail])],
      [`${kind}-large`, Buffer.concat([tail, Buffer.alloc(MIB - tail.length, unitOf(kind))])],
    ]),
  );
}

describe('the search itself', () => {
  let folder: string;
  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'cleak-control-'));
  });
  afterAll(() => rm(folder, { recursive: true, force: true }));

  test.each(KINDS)('finds a planted %s value in every form and every place', async (kind) => {
    const found = async (act: (scanner: LeakScanner) => Promise<void>): Promise<string[]> => {
      const scanner = new LeakScanner(MARKERS);
      await act(scanner);
      return scanner.report().leaks.map(({ marker }) => marker);
    };
    const inFile = async (content: Uint8Array | string): Promise<string[]> => {
      const own = await mkdtemp(join(folder, 'file-'));
      await mkdir(join(own, 'deep'));
      await writeFile(join(own, 'deep', 'file'), content);
      return found((scanner) => scanner.folder(own));
    };
    for (const value of planted(1).values()) {
      if (!value.includes(unitOf(kind))) continue;
      const cut = value.subarray(0, Math.min(value.length, 3 * UNIT_BYTES));
      expect(await inFile(value)).toContain(kind);
      for (const form of ['hex', 'base64'] as const) {
        expect(await inFile(`{"value":"${cut.toString(form)}"}`)).toContain(kind);
      }
    }
    const text = unitOf(kind).toString('hex');
    const names = await mkdtemp(join(folder, 'names-'));
    await symlink(text, join(names, 'link'));
    expect(await found((scanner) => scanner.folder(names))).toContain(kind);
    const child = spawn('sleep', ['60'], { env: { PATH: process.env['PATH'], PLANTED: text } });
    try {
      expect(await found((scanner) => scanner.process(child.pid ?? 0))).toContain(kind);
    } finally {
      child.kill('SIGKILL');
    }
  });
});

describe('the whole life of a cluster that logs all it can', () => {
  let cluster: Cluster;
  /** Where core files of the daemons go. */
  let coreFolder: string;
  const printed: string[] = [];

  beforeAll(async () => {
    coreFolder = await mkdtemp(join(tmpdir(), 'cleak-cores-'));
    cluster = await Cluster.start({
      tag: 'cleak',
      managers: 3,
      workers: 2,
      daemonArgs: ['--log-level', 'debug'],
      prefix: ['env', `--chdir=${coreFolder}`],
    });
  });
  afterAll(async () => {
    await cluster?.close();
    await rm(coreFolder, { recursive: true, force: true });
  });

  /** Runs a command that must end with `code`; what it prints is searched later. */
  async function say(
    host: Host,
    args: readonly string[],
    { input = '', code = 0 }: { input?: Uint8Array | string; code?: number } = {},
  ): Promise<void> {
    const result = await host.conclave(args, { input });
    printed.push(result.stdout, result.stderr);
    expect({ args, code: result.code, err: code === 0 ? result.stderr : '' }).toEqual({
      args,
      code,
      err: '',
    });
  }

  async function setAll(round: number, from: readonly Host[]): Promise<void> {
    let next = 0;
    for (const [name, value] of planted(round)) {
      const host = from[next % from.length] ?? cluster.seed;
      next += 1;
      await say(host, ['secret', 'set', `plant/${name}`], { input: value });
    }
  }

  /** Everything but the files and the output of tasks that run, which are in memory and theirs. */
  async function search(): Promise<ScanReport> {
    const { farm } = cluster;
    const scanner = new LeakScanner(MARKERS);
    await scanner.folder(farm.folder);
    await scanner.folder(farm.memoryFolder, (path) => /\/tasks\/[^/]+\/(files|output)$/.test(path));
    await scanner.folder(coreFolder);
    for (const pid of await farm.processes()) await scanner.process(pid);
    for (const [number, text] of printed.entries()) scanner.text(text, `command ${number}`);
    return scanner.report();
  }

  /** Searches command lines and environments for as long as `act` takes. */
  async function whileWatched(act: () => Promise<void>): Promise<void> {
    let isDone = false;
    const scanner = new LeakScanner(MARKERS);
    const watch = async (): Promise<void> => {
      while (!isDone) {
        for (const pid of await cluster.farm.processes()) await scanner.process(pid);
      }
    };
    const watching = watch();
    try {
      await act();
    } finally {
      isDone = true;
      await watching;
    }
    expect(scanner.report().files).toBeGreaterThan(0);
    expect(scanner.report().leaks).toEqual([]);
  }

  /** Writes planted values until the leader has taken a snapshot. */
  async function fillUntilSnapshot(): Promise<void> {
    const leader = await cluster.leader();
    const { secrets } = await cluster.client(leader);
    const value = Buffer.alloc(MIB, unitOf('text'));
    const hasSnapshot = async (): Promise<boolean> =>
      (await readFile(leader.logFile, 'utf8')).includes('"snapshot.written"');
    let next = 0;
    const fill = async (): Promise<void> => {
      while (!(await hasSnapshot())) {
        const name = `fill/${next}`;
        next += 1;
        expect(next).toBeLessThan(FILL_COUNT_MAX);
        await cluster.set(name, value, { from: leader });
        await secrets.remove(name);
      }
    };
    await Promise.all(Array.from({ length: FILL_AT_A_TIME }, fill));
  }

  /** Tasks that print what they were given, on both ways out; one of them fails right after. */
  async function printInTasks(host: Host): Promise<void> {
    const small = KINDS.flatMap((kind) => ['--secret', `plant/${kind}-small`]);
    for (const [name, end] of Object.entries({ chatty: 'exec sleep 100000', dying: 'exit 3' })) {
      const shell = ['sh', '-c', `cat /run/secrets/*; cat /run/secrets/* >&2; ${end}`];
      const once = ['--restart-condition', 'none', '--', ...shell];
      await say(host, ['service', 'create', name, ...small, ...once]);
    }
    await cluster.running('chatty', 1);
    await cluster.task('dying', ({ state }) => state === 'FAILED');
  }

  /** Commands that fail on a value, and commands that show all that is known of one. */
  async function askAround(host: Host): Promise<void> {
    const tooLarge = Buffer.alloc(MIB + 1, unitOf('text'));
    await say(host, ['secret', 'set', 'plant/too-large'], { input: tooLarge, code: 65 });
    await say(host, ['secret', 'set', 'no such//name'], { input: unitOf('text'), code: 64 });
    for (const args of [
      ['secret', 'history', 'plant/text-small'],
      ['secret', 'get', 'plant/hex-large', '-o', 'json'],
      ['service', 'inspect', 'holds', '-o', 'json'],
      ['service', 'ps', 'dying'],
      ['status'],
    ]) {
      await say(host, args);
    }
  }

  async function isDown(name: string): Promise<true | undefined> {
    for await (const node of (await cluster.client()).nodes.list()) {
      if (node.hostname === name && node.state === 'DOWN') return true;
    }
    return undefined;
  }

  test(
    'set, used, changed, rolled back, crashed and restarted: nothing leaks',
    async () => {
      const { managers, seed } = cluster;
      await whileWatched(() => setAll(1, managers));
      const bindings = [...planted(1).keys()].flatMap((name) => ['--secret', `plant/${name}`]);
      const rest = ['--replicas', '2', ...bindings, '--on-change', 'exec:true', '--'];
      await say(seed, ['service', 'create', 'holds', ...rest, 'sleep', '100000']);
      await printInTasks(seed);
      const tasks = await cluster.running('holds', 2);

      await whileWatched(() => setAll(2, managers));
      for (const task of tasks) {
        for (const [name, value] of planted(2)) await cluster.arrives(task, name, { value });
      }
      await say(seed, ['secret', 'rollback', 'plant/text-small']);
      await say(seed, ['secret', 'destroy-version', 'plant/hex-small', '1', '--yes', '--force']);
      await askAround(seed);

      const leader = await cluster.leader();
      // Not KILL: these leave core files where the kernel writes any.
      for (const host of [leader, cluster.host('w1')]) {
        // The daemon allows itself none.
        await runOk(['prlimit', '--pid', String(host.pid), '--core=unlimited']);
        await host.stop('SIGABRT');
        await host.start([], 60_000);
        await cluster.whole();
      }
      await fillUntilSnapshot();
      await cluster.running('holds', 2);

      const report = await search();
      expect(report.leaks).toEqual([]);
      // It has really read what was written: each manager has the log of all rounds.
      expect(report.bytes).toBeGreaterThan(3 * KINDS.length * MIB);
      const pattern = await readFile('/proc/sys/kernel/core_pattern', 'utf8');
      // Else the kernel gives core files to a program or to a folder of the system.
      if (/^[^|/]/.test(pattern)) expect(await readdir(coreFolder)).not.toEqual([]);
    },
    LIFE_MS_MAX,
  );

  test(
    'removed, left and stopped: nothing leaks, and no file of any task is left',
    async () => {
      const { managers, seed } = cluster;
      const [w1, w2] = [cluster.host('w1'), cluster.host('w2')];
      await w2.stop('SIGKILL');
      await eventually('w2 is DOWN', () => isDown('w2'));
      await say(seed, ['node', 'rm', 'w2', '--yes']);
      await w2.start([], 60_000);
      await say(w2, ['leave', '--yes', '--force']);
      for (const name of ['holds', 'chatty', 'dying']) {
        await say(seed, ['service', 'rm', name, '--yes']);
      }
      await say(seed, ['secret', 'rm', 'plant/text-large', 'plant/binary-small', '--yes']);
      await say(w1, ['leave', '--yes']);
      const [last = seed] = managers.filter((host) => host !== seed);
      await say(last, ['leave', '--yes']);
      await Promise.all(cluster.farm.hosts.map((host) => host.stop()));

      expect((await search()).leaks).toEqual([]);
      const scanner = new LeakScanner(MARKERS);
      await scanner.folder(cluster.farm.memoryFolder);
      expect(scanner.report().leaks).toEqual([]);
    },
    LIFE_MS_MAX,
  );
});
