import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { countInMemory, eventually } from '@conclave/testing';
import type { Host } from '@conclave/testing';
import { Cluster } from './support.js';

/** Milliseconds until what was under way is wiped, on a busy machine. */
const SETTLE_MS_MAX = 15_000;
/** How every P-256 key in PEM begins: nothing but private keys has it. */
const PEM_KEY = Buffer.from('MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQg');

let cluster: Cluster;
beforeAll(async () => {
  cluster = await Cluster.start({
    tag: 'ckres',
    managers: 1,
    workers: 1,
    spare: ['late'],
    autoUnlock: '',
  });
});
afterAll(() => cluster?.close());

const count = async (host: Host, marker: Buffer): Promise<number> =>
  (await countInMemory(host.pid, marker)) ?? Number.NaN;

const gone = (what: string, host: Host, marker: Buffer): Promise<boolean> =>
  eventually(
    `${what} in the memory of ${host.name}: none`,
    async () => {
      const copies = await count(host, marker);
      if (copies === 0) return true;
      throw new Error(`${copies} copies`);
    },
    SETTLE_MS_MAX,
  );

test('the recovery key is not in the memory of a manager that was opened with it', async () => {
  await cluster.seed.stop();
  await cluster.seed.start([], 60_000);
  await cluster.seed.ok(['unlock'], { input: `${cluster.recoveryKey}\n` });
  await cluster.whole();
  // The part behind the name of the key: the name alone is no secret, and status shows it.
  const secret = cluster.recoveryKey.split('-').slice(2).join('-');
  expect(secret.length).toBeGreaterThan(30);
  await gone('the recovery key', cluster.seed, Buffer.from(secret));
});

test('a join token is neither with who joined nor with the manager', async () => {
  const host = cluster.host('late');
  const token = await cluster.token('worker');
  expect((await cluster.join(host, token)).code).toBe(0);
  const secret = Buffer.from(token.slice(-40));
  for (const one of [host, cluster.seed]) await gone('the token', one, secret);
});

test('a host that has left has no private key in its memory', async () => {
  const host = cluster.host('late');
  expect(await count(host, PEM_KEY)).toBeGreaterThan(0);
  await host.ok(['leave', '--yes']);
  await gone('a private key', host, PEM_KEY);
});
