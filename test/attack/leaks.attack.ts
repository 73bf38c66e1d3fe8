import { randomBytes } from 'node:crypto';
import { mkdir, mkdtemp, readFile, readdir, rm, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { eventually, LeakScanner } from '@conclave/testing';
import type { Host, Marker, ScanReport } from '@conclave/testing';
import { testUnless } from '../cluster/lacks.js';
import { BUNDLE, Cluster } from '../cluster/support.js';
import { plantControls } from './controls.js';
import { MemoryGroup, SQUEEZED_PART } from './memory-group.js';
import { KINDS, MARKERS, MIB, planted, unitOf } from './planted.js';
import { LACKS_DISKS, RawDisk, SwapDisk } from './raw-disks.js';

/** More of the largest values than a manager keeps in its log without a snapshot (64 MiB). */
const FILL_COUNT_MAX = 80;
const FILL_AT_A_TIME = 4;
const SECRET_COUNT = 100;
const DISK_MIB = 6_144;
const SWAP_MIB = 1_024;
/** Milliseconds for half a life on a machine that does much else. */
const LIFE_MS_MAX = 420_000;

/** Stand in every name that people choose, one in each kind of name. */
const word = (): string => randomBytes(8).toString('hex');
const NAMES = { secret: word(), service: word(), node: word() };
const NAME_MARKERS: readonly Marker[] = Object.entries(NAMES).map(([kind, text]) => ({
  name: `${kind} name`,
  bytes: Buffer.from(text),
}));
/** A text that is shown once, named by its first letters. */
const markerOf = (text: string): Marker => ({ name: text.slice(0, 7), bytes: Buffer.from(text) });
const secretName = (name: string): string => `${NAMES.secret}/${name}`;
const serviceName = (name: string): string => `${name}-${NAMES.service}`;

// Attack rows R01, R05, R07.
describe('the whole life of a cluster that logs all it can', () => {
  let cluster: Cluster;
  let work: string;
  let disk: RawDisk | undefined;
  let swap: SwapDisk | undefined;
  let group: MemoryGroup | undefined;
  /** Where core files go. */
  let coreFolder: string;
  const printed: string[] = [];
  /** Shown once, and never to be found again. */
  const recoveryKeys: Marker[] = [];
  const tokens: Marker[] = [];

  beforeAll(async () => {
    work = await mkdtemp(join(tmpdir(), 'cleak-'));
    if (LACKS_DISKS === '') {
      disk = await RawDisk.create(work, 'disk', DISK_MIB);
      swap = await SwapDisk.create(work, SWAP_MIB);
      group = await MemoryGroup.create(`cleak-${process.pid}`);
    }
    const diskFolder = disk?.folder ?? work;
    const folders = ['home', 'tmp', 'cores'].map((name) => join(diskFolder, name));
    for (const folder of folders) await mkdir(folder, { mode: 0o700 });
    const [home, temporary, cores = ''] = folders;
    coreFolder = cores;
    cluster = await Cluster.start({
      tag: 'cleak',
      managers: 3,
      workers: 2,
      // Another namespace for the network would hide the control groups of the machine.
      network: 'loopback',
      diskFolder,
      hostnameSuffix: `-${NAMES.node}`,
      daemonArgs: ['--log-level', 'debug', '--insecure-dev'],
      // Not by the launcher, which allows no core file: what would be in one is looked at.
      program: [process.execPath, join(BUNDLE, 'conclaved.js')],
      prefix: [
        ...(group?.prefix ?? []),
        'prlimit',
        '--core=unlimited',
        '--',
        'env',
        `--chdir=${cores}`,
        `HOME=${home}`,
        `TMPDIR=${temporary}`,
      ],
    });
    recoveryKeys.push(markerOf(cluster.recoveryKey));
  });
  afterAll(async () => {
    await cluster?.close();
    await group?.close();
    await swap?.close();
    await disk?.close();
    await rm(work, { recursive: true, force: true });
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
      await say(host, ['secret', 'set', secretName(name)], { input: value });
    }
  }

  /** What is in memory: not the files and the output of tasks that run, which are theirs. */
  async function searchMemory(): Promise<ScanReport> {
    const { farm } = cluster;
    const scanner = new LeakScanner([...MARKERS, ...recoveryKeys, ...tokens]);
    await scanner.folder(farm.memoryFolder, (path) => /\/tasks\/[^/]+\/(files|output)$/.test(path));
    for (const pid of await farm.processes()) await scanner.process(pid);
    const commands = new LeakScanner(MARKERS);
    for (const [number, text] of printed.entries()) commands.text(text, `command ${number}`);
    expect(commands.report().leaks).toEqual([]);
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
        const name = secretName(`fill-${next}`);
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
    const small = KINDS.flatMap((kind) => ['--secret', secretName(`${kind}-small`)]);
    for (const [name, end] of Object.entries({ chatty: 'exec sleep 100000', dying: 'exit 3' })) {
      const shell = ['sh', '-c', `cat /run/secrets/*; cat /run/secrets/* >&2; ${end}`];
      const once = ['--restart-condition', 'none', '--', ...shell];
      await say(host, ['service', 'create', serviceName(name), ...small, ...once]);
    }
    await cluster.running(serviceName('chatty'), 1);
    await cluster.task(serviceName('dying'), ({ state }) => state === 'FAILED');
  }

  /** Commands that fail on a value, and commands that show all that is known of one. */
  async function askAround(host: Host): Promise<void> {
    const tooLarge = Buffer.alloc(MIB + 1, unitOf('text'));
    await say(host, ['secret', 'set', secretName('too-large')], { input: tooLarge, code: 65 });
    await say(host, ['secret', 'set', 'no such//name'], { input: unitOf('text'), code: 64 });
    for (const args of [
      ['secret', 'history', secretName('text-small')],
      ['secret', 'get', secretName('hex-large'), '-o', 'json'],
      ['service', 'inspect', serviceName('holds'), '-o', 'json'],
      ['service', 'ps', serviceName('dying')],
      ['status'],
    ]) {
      await say(host, args);
    }
  }

  /** Another version of the ring, another recovery key, and tokens that nobody uses. */
  async function changeKeys(host: Host): Promise<void> {
    await say(host, ['keys', 'rotate', '--wait']);
    const rotate = ['keys', 'rotate-recovery', '-y', '--recovery-shares', '2/2'];
    const { recoveryKey } = await host.json<{ recoveryKey: string[] }>(rotate);
    recoveryKeys.push(...recoveryKey.map(markerOf));
    const confirm = ['keys', 'confirm-recovery'];
    await eventually('every manager has sealed to the new recovery key', async () => {
      const { code, stderr } = await host.conclave(confirm, { input: recoveryKey.join('\n') });
      if (code === 0) return true;
      throw new Error(stderr);
    });
    await say(host, ['keys', 'check-kit'], { input: recoveryKey.join('\n') });
    for (const role of ['worker', 'manager']) {
      tokens.push(markerOf((await host.ok(['token', 'create', role, '-q'])).trim()));
    }
  }

  /** Ends daemons so that they leave core files where the kernel writes any. */
  async function crash(hosts: ReadonlyMap<Host, NodeJS.Signals>): Promise<void> {
    for (const [host, signal] of hosts) {
      await host.stop(signal);
      await host.start([], 60_000);
      await cluster.whole();
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
      for (let number = planted(1).size; number < SECRET_COUNT; number += 1) {
        const kind = KINDS[number % KINDS.length] ?? '';
        await cluster.set(secretName(String(number)), Buffer.concat([unitOf(kind), unitOf(kind)]));
      }
      const names = [...planted(1).keys()];
      const bindings = names.flatMap((name) => ['--secret', secretName(name)]);
      const rest = ['--replicas', '2', ...bindings, '--on-change', 'exec:true', '--'];
      const holds = serviceName('holds');
      await say(seed, ['service', 'create', holds, ...rest, 'sleep', '100000']);
      await printInTasks(seed);
      const tasks = await cluster.running(holds, 2);

      await whileWatched(() => setAll(2, managers));
      for (const task of tasks) {
        for (const [name, value] of planted(2)) await cluster.arrives(task, name, { value });
      }
      await say(seed, ['secret', 'rollback', secretName('text-small')]);
      const destroy = ['destroy-version', secretName('hex-small'), '1', '--yes', '--force'];
      await say(seed, ['secret', ...destroy]);
      await askAround(seed);
      await changeKeys(seed);
      if (group !== undefined) expect(await group.squeeze(SQUEEZED_PART)).toBeGreaterThan(MIB);

      const leader = await cluster.leader();
      const worker = cluster.host('w1');
      await crash(new Map([[leader, 'SIGABRT'] as const, [worker, 'SIGSEGV'] as const]));
      await fillUntilSnapshot();
      await cluster.running(holds, 2);
      expect((await searchMemory()).leaks).toEqual([]);
    },
    LIFE_MS_MAX,
  );

  test(
    'removed, left and stopped: no file of any task is left in memory',
    async () => {
      const { managers, seed } = cluster;
      const [w1, w2] = [cluster.host('w1'), cluster.host('w2')];
      await w2.stop('SIGKILL');
      await eventually('w2 is DOWN', () => isDown(w2.hostname));
      await say(seed, ['node', 'rm', w2.hostname, '--yes']);
      await w2.start([], 60_000);
      await say(w2, ['leave', '--yes', '--force']);
      for (const name of ['holds', 'chatty', 'dying']) {
        await say(seed, ['service', 'rm', serviceName(name), '--yes']);
      }
      const gone = ['text-large', 'binary-small'].map(secretName);
      await say(seed, ['secret', 'rm', ...gone, '--yes']);
      await say(w1, ['leave', '--yes']);
      const [last = seed] = managers.filter((host) => host !== seed);
      await say(last, ['leave', '--yes']);
      await Promise.all(cluster.farm.hosts.map((host) => host.stop()));

      expect((await searchMemory()).leaks).toEqual([]);
      const scanner = new LeakScanner([...MARKERS, ...recoveryKeys, ...tokens]);
      await scanner.folder(cluster.farm.memoryFolder);
      expect(scanner.report().leaks).toEqual([]);
    },
    LIFE_MS_MAX,
  );

  testUnless(LACKS_DISKS)('the daemons said that swap is on', async () => {
    for (const host of cluster.farm.hosts) {
      expect(await readFile(host.logFile, 'utf8')).toContain('"host.swap-on"');
    }
  });

  test('no file of the disk has a value, a key, a token or a name', async () => {
    const scanner = new LeakScanner([...MARKERS, ...recoveryKeys, ...tokens, ...NAME_MARKERS]);
    await scanner.folder(disk?.folder ?? work);
    expect(scanner.report().leaks).toEqual([]);
    // It has really read what was written: each manager has the log of all rounds.
    expect(scanner.report().bytes).toBeGreaterThan(3 * KINDS.length * MIB);
    const pattern = await readFile('/proc/sys/kernel/core_pattern', 'utf8');
    // Else the kernel gives core files to a program or to a folder of the system.
    if (LACKS_DISKS === '' && /^[^|/]/.test(pattern)) {
      expect(await readdir(coreFolder)).not.toEqual([]);
    }
  });

  testUnless(LACKS_DISKS)(
    'the raw disk and the swap device have none either, and show what was planted there',
    async () => {
      if (disk === undefined || swap === undefined || group === undefined) throw new Error('none');
      const control = { file: word(), core: word(), swap: word() };
      await plantControls(disk, { group, control });
      const controls = Object.entries(control).map(([name, text]) => ({
        name,
        bytes: Buffer.from(text),
      }));
      const values = [...MARKERS, ...recoveryKeys, ...tokens, ...controls];
      const images = { disk: await disk.image(), swap: await swap.image() };
      const onDisk = await searched(images.disk, [...values, ...NAME_MARKERS]);
      expect(onDisk).toEqual(new Set(['file', 'core']));
      // Managers know all names: only the host keeps those out of swap.
      expect(await searched(images.swap, values)).toEqual(new Set(['swap']));
    },
    LIFE_MS_MAX,
  );
});

/** Names of the markers on an image, all of which was read. */
async function searched(image: string, markers: readonly Marker[]): Promise<Set<string>> {
  const scanner = new LeakScanner(markers);
  await scanner.file(image);
  const { bytes, leaks } = scanner.report();
  expect(bytes).toBe((await stat(image)).size);
  return new Set(leaks.map(({ marker }) => marker));
}
