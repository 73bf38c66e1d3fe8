import { mkdtemp, readdir, readFile, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import type { Server } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { eventually, Host, run } from '@conclave/testing';
import type { RunResult } from '@conclave/testing';
import { lackOfDisk, testUnless } from './lacks.js';
import { BUNDLE, Cluster, connect, JOIN_PORT, refusalOf } from './support.js';
import type { Refusal } from './support.js';

const testOnDisk = testUnless(await lackOfDisk());

/** How the shell lines of a program end: to Node they are a comment. */
const LAUNCHER_END = '\n*/;\n';

let cluster: Cluster;
let spare: Host;
/** A cluster of its own, for tokens that belong elsewhere. */
let stranger: Host;
let strangerToken = '';

beforeAll(async () => {
  cluster = await Cluster.start({
    tag: 'cjoin',
    managers: 1,
    workers: 1,
    spare: ['spare', 'stranger'],
    network: 'loopback',
  });
  spare = cluster.host('spare');
  stranger = cluster.host('stranger');
  await stranger.ok(['init', '-q', '--auto-unlock', 'host']);
  strangerToken = (await stranger.ok(['token', 'create', 'worker', '-q', '--uses', '9'])).trim();
});
afterAll(() => cluster?.close());

/** What must hold after every refused join: nobody came in and the host may try again. */
async function expectNothingHappened(host: Host = spare): Promise<void> {
  const hostnames: string[] = [];
  for await (const node of (await cluster.client()).nodes.list()) hostnames.push(node.hostname);
  expect(hostnames.sort()).toEqual(['m1', 'w1']);
  const client = await connect(host.socketPath);
  expect((await client.local.status()).state).toBe('not-initialized');
  await client.close();
  expect((await readdir(host.dataDir)).filter((name) => name.includes('identity'))).toEqual([]);
}

async function usesLeft(token: string, host: Host = cluster.seed): Promise<number | undefined> {
  for await (const row of (await cluster.client(host)).tokens.list()) {
    if (token.includes(`-${row.id}-`)) return row.usesLeft;
  }
  return undefined;
}

/** Another last letter of the same alphabet. */
const flipped = (text: string, at: number): string => {
  const index = at < 0 ? text.length + at : at;
  return `${text.slice(0, index)}${text[index] === 'a' ? 'b' : 'a'}${text.slice(index + 1)}`;
};

describe('tokens that do not admit', () => {
  let good = '';
  let byUsed: Refusal | undefined;
  beforeAll(async () => {
    good = await cluster.token('worker');
  });

  test.each([
    ['nothing', ''],
    ['words', 'please let me in'],
    ['another kind of token', 'SWMTKN-1-0123456789-abcdef'],
    ['one with a flipped letter', 'FLIPPED'],
    ['half of one', 'HALF'],
    ['bytes that are no text', '\u0000\u0001\u00ff'],
    ['a very long text', 'x'.repeat(100_000)],
  ])('%s is refused before anything is asked of the network', async (_what, text) => {
    const given =
      text === 'FLIPPED' ? flipped(good, -9) : text === 'HALF' ? good.slice(0, 60) : text;
    // Nobody listens at this address: a call would say so.
    const refused = refusalOf(await cluster.join(spare, given, '127.76.0.99:7421'));
    const isLong = given.length > 1_024;
    expect(refused).toMatchObject({
      code: isLong ? 65 : given === '' ? 64 : 77,
      error: expect.stringMatching(isLong ? /more than 1024 bytes/ : /token/i),
    });
    expect(refused.hint).not.toBe('');
    expect(JSON.stringify(refused)).not.toContain(given === '' ? '\u0000' : given);
    expect(await usesLeft(good)).toBe(1);
  });

  test('a used one is refused, and the host that used it stays', async () => {
    const token = await cluster.token('worker');
    const first = await cluster.join(spare, token);
    expect(first.code).toBe(0);
    await spare.ok(['leave', '--yes']);
    byUsed = refusalOf(await cluster.join(spare, token));
    expect(byUsed).toMatchObject({ code: 77, error: expect.stringMatching(/token/) });
    await expectNothingHappened();
  });

  // Attack row J05.
  test('expired, revoked and used ones are refused with one and the same text', async () => {
    const expiring = await cluster.token('worker', '--ttl', '1s');
    const revoked = await cluster.token('worker');
    const id = revoked.split('-')[3] ?? '';
    await cluster.seed.ok(['token', 'revoke', id, '--yes']);
    const answers: RunResult[] = [await cluster.join(spare, revoked)];
    answers.push(
      await eventually('the token has expired', async () => {
        const answer = await cluster.join(spare, expiring);
        return answer.code === 0 ? undefined : answer;
      }),
    );
    const [byRevoked, byExpired] = answers.map(refusalOf);
    expect(byRevoked).toMatchObject({ code: 77 });
    expect(byExpired).toEqual(byRevoked);
    expect(byUsed).toEqual(byRevoked);
    await expectNothingHappened();
  });

  test('ones for other addresses or host names say no more than that, and are not spent', async () => {
    for (const limit of [
      ['--from', '192.0.2.0/24', '--from', 'fd00::/8'],
      ['--node-name', 'nobody-*'],
    ]) {
      const token = await cluster.token('worker', ...limit);
      expect(refusalOf(await cluster.join(spare, token))).toEqual(byUsed);
      expect(await usesLeft(token)).toBe(1);
    }
    const log = await readFile(cluster.seed.logFile, 'utf8');
    expect(log).toMatch(/join\.refused.*does not admit this address/);
    expect(log).toMatch(/join\.refused.*does not admit this host name/);
    await expectNothingHappened();
  });
});

describe('addresses that are not the cluster', () => {
  test('a token of another cluster: the pin differs and the token is not spent there', async () => {
    const refused = refusalOf(await cluster.join(spare, strangerToken));
    expect(refused).toMatchObject({
      code: 77,
      error: expect.stringMatching(/cluster|certificate/),
    });
    expect(await usesLeft(strangerToken, stranger)).toBe(9);
    await expectNothingHappened();
  });

  // Attack row J01.
  test('whoever listens there sees no byte of the token', async () => {
    const token = await cluster.token('worker');
    const seen: Buffer[] = [];
    const server: Server = createServer((socket) => {
      socket.on('data', (bytes: Buffer) => seen.push(bytes));
      socket.on('error', () => undefined);
      // What a server of something else would answer to a TLS greeting.
      socket.write('HTTP/1.1 400 Bad Request\r\n\r\n');
    });
    await new Promise<void>((resolve) => server.listen(0, spare.address, resolve));
    const { port } = server.address() as { port: number };
    const refused = refusalOf(await cluster.join(spare, token, `${spare.address}:${port}`));
    server.close();
    expect(refused).toMatchObject({
      code: 69,
      error: expect.stringMatching(/does not speak as a manager does/),
      hint: expect.stringMatching(/join address of a manager/),
    });
    const secretPart = token.split('-')[4] ?? 'none';
    expect(Buffer.concat(seen).toString('latin1')).not.toContain(secretPart.slice(0, 16));
    expect(seen.length).toBeGreaterThan(0);
    expect(await usesLeft(token)).toBe(1);
    await expectNothingHappened();
  });

  test('the cluster port instead of the join port: refused with what to try', async () => {
    const token = await cluster.token('worker');
    const refused = refusalOf(await cluster.join(spare, token, `${cluster.seed.address}:7420`));
    expect(refused).toMatchObject({
      code: 69,
      error: expect.stringMatching(/a manager answers at .*, but takes no joins there/),
      hint: expect.stringMatching(/join address of a manager/),
    });
    expect(await usesLeft(token)).toBe(1);
    await expectNothingHappened();
  });

  test('an address where nobody listens: said at once', async () => {
    const token = await cluster.token('worker');
    const refused = refusalOf(await cluster.join(spare, token, `127.76.0.99:${JOIN_PORT}`));
    expect(refused).toMatchObject({ code: 69, error: expect.stringMatching(/127\.76\.0\.99/) });
    await expectNothingHappened();
  });

  test.each(['nowhere', 'host:', ':7421', 'host:0', 'host:70000', 'http://host:7421', ''])(
    'the address "%s" is malformed',
    async (address) => {
      const refused = refusalOf(await cluster.join(spare, strangerToken, address));
      expect(refused).toMatchObject({ code: 64, error: expect.stringMatching(/address/i) });
    },
  );
});

describe('hosts that must not come in', () => {
  test('a manager that advertises an address nobody can reach: membership stays', async () => {
    const token = await cluster.token('manager');
    const refused = refusalOf(
      await spare.conclave(
        ['join', cluster.joinAddress(), '-', '--advertise', '127.76.0.99:7420'],
        { input: token },
      ),
    );
    expect(refused).toMatchObject({
      code: 69,
      error: expect.stringMatching(/does not answer at the cluster address/),
    });
    const { managers } = await cluster.status();
    expect(managers.map(({ hostname, membership }) => `${hostname} ${membership}`)).toEqual([
      'm1 voter',
    ]);
    await cluster.set('after/refusal', 'writes go on');
    await expectNothingHappened();
  });

  testOnDisk(
    'a worker whose run folder is on a disk: refused, and the token is not spent',
    async () => {
      const onDisk = await mkdtemp(join(tmpdir(), 'cjoin-disk-'));
      await spare.stop();
      const child = await spare.spawn(['--run-dir', onDisk]);
      try {
        const client = await eventually('the daemon answers', () =>
          connect(join(onDisk, 'conclave.sock')),
        );
        await client.close();
        const token = await cluster.token('worker');
        const result = await spare.conclave(
          ['--socket', join(onDisk, 'conclave.sock'), 'join', cluster.joinAddress(), '-'],
          { input: token },
        );
        expect(refusalOf(result)).toMatchObject({
          code: 71,
          error: expect.stringMatching(/memory|disk|tmpfs/),
        });
        expect(await usesLeft(token)).toBe(1);
      } finally {
        await spare.stop();
        expect(child.exitCode).not.toBeNull();
        await run(['rm', '-rf', onDisk]);
        await spare.start();
      }
      await expectNothingHappened();
    },
  );
});

describe('a clock two days off', () => {
  const DAYS_MS = 2 * 24 * 3_600_000;

  test.each([
    ['fast', DAYS_MS],
    ['slow', -DAYS_MS],
  ])('two days %s: said as what it is, and the token is not spent', async (_which, shiftMs) => {
    const host = await hostWithShiftedClock(shiftMs);
    const token = await cluster.token('worker');
    try {
      await host.start([], 60_000);
      const refused = refusalOf(await cluster.join(host, token));
      expect(refused).toMatchObject({
        code: 71,
        error: expect.stringMatching(/clock/),
        hint: expect.stringMatching(/clock/i),
      });
      expect(await usesLeft(token)).toBe(1);
      await expectNothingHappened(host);
    } finally {
      await host.stop();
    }
  });
});

/**
 * The time of a host cannot be shifted by a namespace: its programs get another Date. They begin as
 * those of the bundle do, in shell lines that give the process what a daemon insists on.
 */
async function hostWithShiftedClock(shiftMs: number): Promise<Host> {
  const folder = await mkdtemp(join(cluster.farm.folder, 'clock-'));
  const runDir = await mkdtemp(join(cluster.farm.memoryFolder, 'clock-'));
  for (const program of ['conclave.js', 'conclaved.js']) {
    const text = await readFile(join(BUNDLE, program), 'utf8');
    const launcherEnd = text.indexOf(LAUNCHER_END);
    if (launcherEnd < 0) throw new Error(`${program} begins with its launcher`);
    const lines = [
      text.slice(0, launcherEnd + LAUNCHER_END.length),
      'const now = Date.now;',
      `Date.now = () => now() + ${shiftMs};`,
      `await import(${JSON.stringify(pathToFileURL(join(BUNDLE, program)).href)});`,
    ];
    await writeFile(join(folder, program), lines.join('\n'), { mode: 0o755 });
  }
  await writeFile(join(folder, 'package.json'), '{"type":"module"}');
  return new Host({
    name: 'clock',
    number: cluster.farm.hosts.length,
    network: cluster.farm.network,
    bundle: folder,
    dataDir: join(folder, 'data'),
    runDir,
    logFile: join(folder, 'log'),
  });
}

test('after all of it the same host joins with a good token', async () => {
  const token = await cluster.token('worker');
  const result = await cluster.join(spare, token);
  expect({ code: result.code, err: result.stderr }).toEqual({ code: 0, err: '' });
  expect(await usesLeft(token)).toBe(0);
  await eventually('its session', async () =>
    (await cluster.status()).nodesReady === 3 ? true : undefined,
  );
});
