import { cp, rm } from 'node:fs/promises';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { eventually } from '@conclave/testing';
import type { Host } from '@conclave/testing';
import { Cluster } from './support.js';

/** Exit code of what is damaged. */
const CORRUPT = 76;

let cluster: Cluster;

beforeAll(async () => {
  cluster = await Cluster.start({ tag: 'croll', managers: 3, workers: 0 });
});
afterAll(() => cluster?.close());

async function putBack(host: Host, copy: string): Promise<void> {
  await rm(host.dataDir, { recursive: true });
  await cp(copy, host.dataDir, { recursive: true });
}

test('a manager whose disk is an older copy stops, says so, and is never asked again', async () => {
  const leader = await cluster.leader();
  const victim = cluster.managers.find((host) => host !== leader)!;
  const copy = `${victim.dataDir}.copy`;
  await victim.stop();
  await cp(victim.dataDir, copy, { recursive: true });
  await victim.start([], 60_000);
  await cluster.whole();
  for (let i = 0; i < 20; i++) await cluster.set(`s${i}`, 'a value', { from: leader });
  await cluster.level();
  await victim.stop('SIGKILL');
  await putBack(victim, copy);
  for (let attempt = 0; attempt < 2; attempt++) {
    const daemon = await victim.spawn();
    await eventually('the end of the manager', () => daemon.exitCode ?? undefined, 60_000);
    expect(daemon.exitCode).toBe(CORRUPT);
    expect(await victim.logTail()).toMatch(/ends at write \d+, others have seen write \d+/);
  }
  // The other two are a quorum.
  await cluster.set('after', 'a value', { from: leader });
});
