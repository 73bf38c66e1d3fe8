import { chmod, cp, mkdir, readdir, readFile, readlink, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { eventually, LeakScanner } from '@conclave/testing';
import type { Host, Marker } from '@conclave/testing';
import { Cluster, refusalOf } from './support.js';

/** Milliseconds for a start that has to do nothing but say that it is locked. */
const START_MS_MAX = 30_000;
const LOCKED_VALUE = 'marker of a locked value';

let cluster: Cluster;

beforeAll(async () => {
  cluster = await Cluster.start({
    tag: 'clock',
    managers: 3,
    workers: 0,
    autoUnlock: '',
    spare: ['thief'],
  });
});
afterAll(() => cluster?.close());

interface Slot {
  readonly id: string;
  readonly kind: string;
  readonly detail: string;
}

interface Local {
  readonly state: string;
  readonly role: string;
  readonly message: string;
}

/** What a host says of itself; locked ones end with 75. */
async function localOf(host: Host): Promise<Local> {
  const { stdout } = await host.conclave(['status', '-o', 'json']);
  return (JSON.parse(stdout) as { local: Local }).local;
}

async function restart(host: Host, signal: NodeJS.Signals = 'SIGTERM'): Promise<void> {
  await host.stop(signal);
  await host.start([], START_MS_MAX);
}

const stateOf = (host: Host, state: string): Promise<Local> =>
  eventually(`${host.name} is ${state}`, async () => {
    const local = await localOf(host);
    if (local.state === state) return local;
    throw new Error(`${local.state} ${local.message}`);
  });

/** TCP ports on which a process listens, by the tables of the kernel. */
async function listeningPorts(pid: number): Promise<number[]> {
  const links = (await readdir(`/proc/${pid}/fd`)).map((fd) =>
    readlink(`/proc/${pid}/fd/${fd}`).catch(() => ''),
  );
  const own = new Set(await Promise.all(links));
  const tables = ['tcp', 'tcp6'].map((name) => readFile(`/proc/${pid}/net/${name}`, 'utf8'));
  return (await Promise.all(tables))
    .flatMap((table) => table.split('\n'))
    .map((line) => line.trim().split(/\s+/))
    .filter(([, , , state, , , , , , inode]) => state === '0A' && own.has(`socket:[${inode}]`))
    .map(([, local = '']) => Number.parseInt(local.split(':')[1] ?? '', 16))
    .sort((left, right) => left - right);
}

/** True after so many milliseconds: what a kill is aimed at has no event to wait for. */
function waits(delayMs: number): () => true | undefined {
  const end = performance.now() + delayMs;
  return () => performance.now() >= end || undefined;
}

const unlock = (host: Host, input: string = cluster.recoveryKey): ReturnType<Host['conclave']> =>
  host.conclave(['unlock'], { input: `${input}\n` });

describe('a manager that restarts', () => {
  let follower: Host;

  test('comes up locked, says so with the command, and the others go on', async () => {
    const leader = await cluster.leader();
    follower = cluster.managers.find((host) => host !== leader) as Host;
    await restart(follower);
    const status = await follower.conclave(['status']);
    expect(status.code).toBe(75);
    expect(status.stdout).toMatch(/CV_LOCKED: .*locked.*\n {2}next: .*conclave unlock/);
    expect(await localOf(follower)).toMatchObject({ state: 'locked', role: 'manager' });
    expect(await cluster.set('lock/other', LOCKED_VALUE, { from: leader })).toBe(1);
  });

  test('has no part in the quorum: its log is not even opened', async () => {
    const { managers } = await cluster.status(await cluster.leader());
    const row = managers.find(({ hostname }) => hostname === follower.name);
    expect(row?.reachable).toBe(false);
    const second = cluster.managers.find((host) => host !== follower) as Host;
    await second.stop('SIGKILL');
    const third = cluster.managers.find((host) => host !== follower && host !== second) as Host;
    // One of three is left with its keys: it must not find a majority in a locked one.
    await eventually('no quorum', async () =>
      (await cluster.status(third)).hasQuorum ? undefined : true,
    );
    await second.start([], START_MS_MAX);
    await unlock(second);
    await cluster.leader([second, third]);
  });

  test('refuses everything but status and unlock, by kind', async () => {
    for (const argv of [
      ['secret', 'ls'],
      ['node', 'ls'],
      ['keys', 'ls'],
      ['leave', '--yes'],
    ]) {
      expect(refusalOf(await follower.conclave(argv))).toMatchObject({
        code: 75,
        error: expect.stringMatching(/locked/),
      });
    }
    expect(refusalOf(await follower.conclave(['init']))).toMatchObject({ code: 65 });
  });

  test('listens on no port', async () => {
    const open = cluster.managers.filter((host) => host !== follower)[0] as Host;
    expect(await listeningPorts(open.pid)).toEqual([7420, 7421]);
    expect(await listeningPorts(follower.pid)).toEqual([]);
  });

  test('stays locked for a malformed key and for one of another cluster', async () => {
    // The last letter is never a b: it has two bits of the check and three zeros.
    const typo = `${cluster.recoveryKey.slice(0, -1)}b`;
    const texts = [typo, 'hello, is anybody there?', `cvrk1-${'a'.repeat(72)}`];
    for (const text of texts) {
      const refused = refusalOf(await unlock(follower, text));
      expect(refused).toMatchObject({ code: 64, error: expect.stringMatching(/recovery key/) });
      expect(JSON.stringify(refused)).not.toContain(text.slice(10, 30));
    }
    const stranger = await Cluster.start({ tag: 'cother', managers: 1, workers: 0 });
    try {
      const refused = refusalOf(await unlock(follower, stranger.recoveryKey));
      expect(refused).toMatchObject({ code: 77, error: expect.stringMatching(/belongs to/) });
    } finally {
      await stranger.close();
    }
    expect((await localOf(follower)).state).toBe('locked');
  });

  test('takes part again once it has its key', async () => {
    const done = await unlock(follower, `  ${cluster.recoveryKey.toUpperCase()} `);
    expect(done).toMatchObject({ code: 0, stdout: expect.stringMatching(/^unlocked/) });
    await cluster.whole();
    expect(refusalOf(await unlock(follower))).toMatchObject({ code: 65 });
    expect(await follower.ok(['keys', 'check-kit'], { input: cluster.recoveryKey })).toMatch(
      /opens every manager/,
    );
  });

  test('all at once come back with the recovery key alone', async () => {
    await Promise.all(cluster.managers.map((host) => host.stop('SIGKILL')));
    await Promise.all(cluster.managers.map((host) => host.start([], START_MS_MAX)));
    for (const host of cluster.managers) expect((await unlock(host)).code).toBe(0);
    await cluster.whole();
    expect(await cluster.seed.ok(['secret', 'ls', '-o', 'name'])).toBe('lock/other\n');
  });
});

describe('the data folder of a locked manager', () => {
  test('has no key in the clear, and nothing of the recovery key', async () => {
    const [, , key = ''] = cluster.recoveryKey.split('-');
    const marker = (name: string, text: string): Marker => ({ name, bytes: Buffer.from(text) });
    const scanner = new LeakScanner([
      marker('recovery key', key),
      marker('private key', 'PRIVATE KEY'),
      marker('a value', LOCKED_VALUE),
    ]);
    for (const { dataDir, logFile } of cluster.managers) {
      await scanner.folder(dataDir);
      await scanner.file(logFile);
    }
    const { leaks, files } = scanner.report();
    expect(files).toBeGreaterThan(10);
    expect(leaks).toEqual([]);
    expect(await readdir(join(cluster.seed.dataDir, 'keys'))).toEqual([
      'epochs.sealed',
      'local.sealed',
      'ring.sealed',
      'slots',
    ]);
  });
});

test('a stolen data folder opens nothing on another host', async () => {
  const [thief, victim] = [cluster.host('thief'), cluster.managers[1] as Host];
  await thief.stop();
  await cp(victim.dataDir, thief.dataDir, { recursive: true });
  await rm(join(thief.dataDir, 'lock'));
  await thief.start([], START_MS_MAX);
  expect((await localOf(thief)).state).toBe('locked');
  expect(refusalOf(await thief.conclave(['secret', 'ls']))).toMatchObject({ code: 75 });
  expect(refusalOf(await thief.conclave(['leave', '--yes', '--force']))).toMatchObject({ code: 0 });
  expect((await localOf(thief)).state).toBe('not-initialized');
  await cluster.whole();
});

describe('slots', () => {
  const slots = (host: Host): Promise<Slot[]> => host.json<Slot[]>(['keys', 'ls']);

  test('the host slot opens without a person, and is called what it is', async () => {
    const { seed } = cluster;
    await seed.ok(['keys', 'add', 'host']);
    expect(await seed.ok(['keys', 'ls'])).toMatch(/host .*copy of this disk|host .*TPM/);
    expect(refusalOf(await seed.conclave(['keys', 'add', 'host']))).toMatchObject({ code: 65 });
    await restart(seed);
    await stateOf(seed, 'ready');
    const [host] = (await slots(seed)).filter(({ kind }) => kind === 'host');
    await seed.ok(['keys', 'rm', host?.id ?? '', '--yes']);
    await restart(seed);
    await stateOf(seed, 'locked');
    expect((await unlock(seed)).code).toBe(0);
  });

  test('the recovery slot cannot be removed', async () => {
    const [only] = await slots(cluster.seed);
    expect(only?.kind).toBe('recovery');
    const refused = await cluster.seed.conclave(['keys', 'rm', only?.id ?? '', '--yes']);
    expect(refusalOf(refused)).toMatchObject({ code: 65 });
  });

  test('kill -9 while slots come and go leaves the recovery slot, and no half slot', async () => {
    const { seed } = cluster;
    for (let round = 0; round < 6; round += 1) {
      const known = (await slots(seed)).find(({ kind }) => kind === 'host');
      const change = known === undefined ? ['add', 'host'] : ['rm', known.id, '--yes'];
      const under = seed.conclave(['keys', ...change], { timeoutMs: 20_000 });
      // At another moment in each round: while the command starts, or while the daemon writes.
      await eventually('the moment', waits(200 + 90 * round));
      await seed.stop('SIGKILL');
      await under;
      await seed.start([], START_MS_MAX);
      const { state } = await localOf(seed);
      expect(['locked', 'ready']).toContain(state);
      if (state === 'locked') expect((await unlock(seed)).code).toBe(0);
      expect((await slots(seed)).filter(({ kind }) => kind === 'recovery')).toHaveLength(1);
    }
    for (const { id, kind } of await slots(seed)) {
      if (kind === 'host') await seed.ok(['keys', 'rm', id, '--yes']);
    }
    await cluster.whole();
  });
});

describe('an unlock command', () => {
  let helper: string;
  const behave = (mode: string): Promise<void> => writeFile(join(helper, '../mode'), mode);

  beforeAll(async () => {
    const folder = join(cluster.farm.folder, 'kms');
    await mkdir(folder, { mode: 0o700 });
    helper = join(folder, 'helper');
    const lines = [
      '#!/bin/sh',
      `cd ${folder}; case $(cat mode) in slow) sleep 1000;; dead) exit 1;; wrong) head -c 32 /dev/zero; exit;; esac`,
      'if [ "$1" = wrap ]; then cat > key; echo key-1; else cat > seen; cat key; fi',
    ];
    await writeFile(helper, lines.join('\n'), { mode: 0o700 });
    await behave('good');
  });

  // Attack row K11.
  test('is refused as a slot when others could replace it, or it does not give the key back', async () => {
    const { seed } = cluster;
    const add = (path: string): ReturnType<Host['conclave']> =>
      seed.conclave(['keys', 'add', `command:${path}`]);
    expect(refusalOf(await add('helper'))).toMatchObject({ code: 71 });
    expect(refusalOf(await add(`${helper}/`))).toMatchObject({ code: 71 });
    await chmod(helper, 0o777);
    expect(refusalOf(await add(helper))).toMatchObject({
      code: 71,
      error: expect.stringMatching(/other users/),
    });
    await chmod(helper, 0o700);
    await behave('wrong');
    expect(refusalOf(await add(helper))).toMatchObject({ code: 71 });
    await behave('good');
  });

  test.each(['dead', 'wrong', 'slow'])(
    'that is %s never holds up the start; when it works again the manager opens by itself',
    async (mode) => {
      const { seed } = cluster;
      const known = (await seed.json<Slot[]>(['keys', 'ls'])).some(
        ({ kind }) => kind === 'command',
      );
      if (!known) await seed.ok(['keys', 'add', `command:${helper}`]);
      await behave(mode);
      await restart(seed, 'SIGKILL');
      const local = await eventually('it says why', async () => {
        const now = await localOf(seed);
        return /helper|command slot/.test(now.message) ? now : undefined;
      });
      expect(local).toMatchObject({ state: 'locked', message: expect.stringMatching(/^locked: /) });
      await behave('good');
      await stateOf(seed, 'ready');
      await cluster.whole();
    },
  );

  test('does not keep the recovery key from working', async () => {
    const { seed } = cluster;
    await behave('dead');
    await restart(seed, 'SIGKILL');
    expect((await unlock(seed)).code).toBe(0);
    await cluster.whole();
  });
});

describe('a new recovery key', () => {
  interface Made {
    readonly generation: number;
    readonly recoveryKey: readonly string[];
  }
  let shares: readonly string[] = [];
  let oldSlots: Uint8Array;
  let victim: Host;

  const confirm = (input: string): ReturnType<Host['conclave']> =>
    cluster.seed.conclave(['keys', 'confirm-recovery'], { input });

  test('is not in force before its owner has proven that it opens', async () => {
    const { seed } = cluster;
    expect(refusalOf(await confirm(cluster.recoveryKey))).toMatchObject({ code: 65 });
    const made = await seed.json<Made>([
      'keys',
      'rotate-recovery',
      '--recovery-shares',
      '2/3',
      '-y',
    ]);
    expect(made).toMatchObject({ generation: 2, recoveryKey: { length: 3 } });
    shares = made.recoveryKey;
    expect(refusalOf(await confirm(cluster.recoveryKey))).toMatchObject({ code: 77 });
    expect(refusalOf(await confirm(shares[0] ?? ''))).toMatchObject({ code: 64 });
    await seed.ok(['keys', 'check-kit'], { input: cluster.recoveryKey });
  });

  test('waits for every manager, and names those that are missing', async () => {
    victim = cluster.managers.at(-1) as Host;
    await restart(victim, 'SIGKILL');
    const given = await cluster.seed.json<Made>(['keys', 'rotate-recovery', '-y']);
    const refused = refusalOf(await confirm(given.recoveryKey[0] ?? ''));
    expect(refused).toMatchObject({ code: 65, error: expect.stringContaining(victim.name) });
    // Staged again and again, and never confirmed: the old key opens all the while.
    expect((await unlock(victim)).code).toBe(0);
    await cluster.whole();
  });

  test('replaces the old one on every manager once it is confirmed', async () => {
    const rotate = ['keys', 'rotate-recovery', '--recovery-shares', '2/3', '-y'];
    const made = await cluster.seed.json<Made>(rotate);
    shares = made.recoveryKey;
    oldSlots = await readFile(join(victim.dataDir, 'keys/slots'));
    await eventually('it is confirmed', async () => {
      const input = `${shares[2]}\n\n${shares[0]}\n`;
      const done = await cluster.seed.conclave(['keys', 'confirm-recovery', '--wait'], { input });
      if (done.code === 0) return true;
      throw new Error(done.stderr);
    });
    for (const host of cluster.managers) {
      const only = (await host.json<Slot[]>(['keys', 'ls'])).filter(
        ({ kind }) => kind === 'recovery',
      );
      expect(only).toHaveLength(1);
      expect(JSON.stringify(only)).toContain((shares[0] ?? '').split('-')[1]);
    }
    expect((await cluster.status()).problems.map(({ code }) => code)).not.toContain(
      'recovery-key-old',
    );
    const old = await cluster.seed.conclave(['keys', 'check-kit'], { input: cluster.recoveryKey });
    expect(refusalOf(old)).toMatchObject({ code: 77 });
  });

  test('in shares opens with any two of them, one call each, and names a wrong one', async () => {
    await restart(victim, 'SIGKILL');
    expect(refusalOf(await unlock(victim))).toMatchObject({ code: 77 });
    const [first = '', second = '', third = ''] = shares;
    const one = await unlock(victim, third);
    expect(one).toMatchObject({ code: 75, stdout: '1 of 2 shares; still locked\n' });
    expect((await localOf(victim)).message).toMatch(/1 of 2 shares were given/);
    expect(await unlock(victim, third)).toMatchObject({
      code: 75,
      stdout: expect.stringMatching(/1 of 2/),
    });
    expect(refusalOf(await unlock(victim, second.replace(/.$/, 'b')))).toMatchObject({ code: 64 });
    expect((await unlock(victim, first)).code).toBe(0);
    await cluster.whole();
  });

  test('is under another local key: the old slots open nothing of today', async () => {
    const thief = cluster.host('thief');
    await thief.stop();
    await rm(thief.dataDir, { recursive: true });
    await cp(victim.dataDir, thief.dataDir, { recursive: true });
    await rm(join(thief.dataDir, 'lock'));
    await writeFile(join(thief.dataDir, 'keys/slots'), oldSlots, { mode: 0o600 });
    await thief.start([], START_MS_MAX);
    // The old key is right for these slots, and what they hold opens no file.
    const { code, stderr } = await unlock(thief);
    expect(code).not.toBe(0);
    expect(stderr).not.toMatch(/opens with another key|belongs to/);
    expect((await localOf(thief)).state).toBe('locked');
  });
});
