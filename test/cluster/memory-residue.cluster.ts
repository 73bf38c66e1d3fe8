import { randomBytes } from 'node:crypto';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import type { Task } from '@conclave/client';
import { countInMemory, eventually } from '@conclave/testing';
import { Cluster } from './support.js';

/** How many secrets of which size: a thousand in all. */
const SIZES: readonly (readonly [size: number, count: number])[] = [
  [8, 200],
  [20, 200],
  [64, 200],
  [100, 200],
  [5_000, 180],
  [500_000, 20],
];
const BINDINGS_MAX = 200;
/** Milliseconds after the last delivery until what was under way is wiped, on a busy machine. */
const SETTLE_MS_MAX = 10_000;
const SETS_AT_ONCE = 16;

/**
 * Stands in every value at least once in twenty bytes, so that one search finds any copy or piece of
 * any of them. Only this process and the tasks should have it, and neither is searched for it.
 */
const marker = randomBytes(6).toString('base64url');

let cluster: Cluster;
const names: string[] = [];

beforeAll(async () => {
  cluster = await Cluster.start({ tag: 'cmem', managers: 1, workers: 1 });
});
afterAll(() => cluster?.close());

function valueOf(size: number): Buffer {
  let text = '';
  while (text.length < size) text += marker + randomBytes(9).toString('base64url');
  return Buffer.from(text.slice(0, size));
}

async function setAll(todo: readonly (readonly [name: string, size: number])[]): Promise<void> {
  const left = [...todo];
  const worker = async (): Promise<void> => {
    for (let next = left.pop(); next !== undefined; next = left.pop()) {
      await cluster.set(next[0], valueOf(next[1]));
    }
  };
  await Promise.all(Array.from({ length: SETS_AT_ONCE }, worker));
}

async function expectNoCopy(): Promise<void> {
  for (const host of cluster.farm.hosts) {
    const look = async (): Promise<true> => {
      const copies = await countInMemory(host.pid, Buffer.from(marker));
      if (copies === 0) return true;
      throw new Error(`${copies ?? 'unknown'}`);
    };
    await eventually(`copies in the memory of ${host.name}: none`, look, SETTLE_MS_MAX);
  }
}

let tasks: Task[] = [];

// Attack row M01.
test('a thousand secrets are delivered; no copy is in the memory of manager or agent', async () => {
  for (const [size, count] of SIZES) {
    for (let number = 0; number < count; number += 1) names.push(`s/${size}-${number}`);
  }
  expect(names).toHaveLength(1_000);
  await setAll(names.map((name) => [name, Number(/\d+/.exec(name)?.[0])]));
  const script = 'read -r value </run/secrets/20-0 || :; while :; do sleep 1000; done';
  for (let first = 0; first < names.length; first += BINDINGS_MAX) {
    const bound = names.slice(first, first + BINDINGS_MAX).flatMap((name) => ['--secret', name]);
    const service = ['service', 'create', `holder-${first}`, ...bound, '--', 'sh', '-c', script];
    await cluster.seed.ok(service);
  }
  for (let first = 0; first < names.length; first += BINDINGS_MAX) {
    tasks.push(...(await cluster.running(`holder-${first}`, 1)));
  }
  await expectNoCopy();
}, 240_000);

test('the search does find what is there', async () => {
  const holder = tasks.find(({ serviceName }) => serviceName === 'holder-200');
  if (holder === undefined) throw new Error('the task that reads a secret of 20 bytes');
  const pid = await cluster.pidOf(holder);
  expect(await countInMemory(pid, Buffer.from(marker))).toBeGreaterThan(0);
  for (const host of cluster.farm.hosts) {
    expect(await countInMemory(host.pid, Buffer.from(holder.id))).toBeGreaterThan(0);
  }
});

test('nor after every fifth of them has changed', async () => {
  // Those of eight bytes have no room for anything but the marker, so they never change.
  const changed = names.filter((name, place) => place % 5 === 0 && !name.startsWith('s/8-'));
  await setAll(changed.map((name) => [name, Number(/\d+/.exec(name)?.[0])]));
  const { secrets } = await cluster.client();
  for (const name of changed) {
    await eventually(`the second version of ${name}`, async () => {
      const delivered: number[] = [];
      for await (const use of secrets.status(name)) delivered.push(use.deliveredVersion);
      return delivered.length === 1 && delivered[0] === 2 ? true : undefined;
    });
  }
  await expectNoCopy();
}, 240_000);

test('nor after all of them were withdrawn', async () => {
  for (let first = 0; first < names.length; first += BINDINGS_MAX) {
    await cluster.seed.ok(['service', 'rm', `holder-${first}`, '--yes']);
  }
  const { local } = await cluster.client(cluster.host('w1'));
  await eventually('nothing is held', async () =>
    (await local.status()).heldVersions === 0 ? true : undefined,
  );
  await expectNoCopy();
  tasks = [];
}, 240_000);
