import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { cleanEnvironment, eventually, holds } from '@conclave/testing';
import type { Host } from '@conclave/testing';
import { Cluster, refusalOf } from './support.js';

const SECRET_COUNT = 100;
/** Milliseconds, also when what an earlier leader offered is given up as lost. */
const ROTATION_MS_MAX = 60_000;
/** Milliseconds into a rotation, which takes about one second: one in every phase or near it. */
const KILLED_AFTER_MS = [0, 200, 500, 900];

let cluster: Cluster;

beforeAll(async () => {
  cluster = await Cluster.start({ tag: 'cring', managers: 3, workers: 1 });
  const numbers = Array.from({ length: SECRET_COUNT }, (_, number) => number);
  await Promise.all(numbers.map((number) => cluster.set(`many/${number}`, `value ${number}`)));
  await cluster.set('used', 'first value');
  const service = ['user', '--secret', 'used', '--', 'sleep', '100000'];
  await cluster.seed.ok(['service', 'create', ...service]);
  await cluster.running('user', 1);
});
afterAll(() => cluster?.close());

async function ring(): Promise<{ keyId: number; phase: string; waitingFor: string[] }> {
  const status = await cluster.seed.conclave(['status', '-o', 'json']);
  return (JSON.parse(status.stdout) as { cluster: { ring: never } }).cluster.ring;
}

/** Waits for the end of a rotation that brings this version or a later one. */
async function rotatedTo(wanted: number): Promise<void> {
  const look = async (): Promise<true | undefined> => {
    const { phase, keyId } = await ring();
    return (phase === '' && keyId >= wanted) || undefined;
  };
  await eventually('the rotation ends', look, ROTATION_MS_MAX);
}

/** A manager takes a value, and the task gets it. */
async function delivers(from: Host, value: string): Promise<void> {
  const [task] = await cluster.running('user', 1);
  if (task === undefined) throw new Error('no task');
  await cluster.set('used', value, { from });
  await cluster.arrives(task, 'used', { value });
}

describe('keys rotate', () => {
  test('moves everything to a new version while values are set and delivered', async () => {
    let isDone = false;
    let written = 0;
    const writer = async (): Promise<void> => {
      while (!isDone) {
        await cluster.set(`during/${written % 10}`, `value ${written}`);
        written += 1;
      }
    };
    const rotation = async (): Promise<void> => {
      try {
        const [answer] = [
          await cluster.seed.json<{ keyId: number }[]>(['keys', 'rotate', '--wait']),
        ].flat();
        expect(answer?.keyId).toBe(2);
      } finally {
        isDone = true;
      }
    };
    await Promise.all([rotation(), writer()]);
    expect(written).toBeGreaterThan(0);
    expect(await ring()).toMatchObject({ keyId: 2, phase: '', waitingFor: [] });
    // Every manager opens what it has under the new version alone.
    for (const manager of cluster.managers) {
      await delivers(manager, `from ${manager.name}`);
    }
    // The same value is known to be the same although its digest is another one now.
    const again = await cluster.seed.conclave(['secret', 'set', 'many/7', '-o', 'json'], {
      input: 'value 7',
    });
    expect(JSON.parse(again.stdout)).toMatchObject({ version: 1, unchanged: true });
  });

  test('waits for a manager that is down, for that one alone, and ends with it', async () => {
    const leader = await cluster.leader();
    const down = cluster.managers.find((host) => host !== leader && host !== cluster.seed);
    if (down === undefined) throw new Error('a third manager');
    const { keyId } = await ring();
    await down.stop('SIGKILL');
    await cluster.seed.ok(['keys', 'rotate']);
    const waiting = { phase: expect.stringMatching(/./), waitingFor: [down.name] };
    await eventually('it waits for that one', async () => {
      const { waitingFor } = await ring();
      return waitingFor.join() === down.name || undefined;
    });
    await holds(2_000, async () => expect(await ring()).toMatchObject(waiting));
    await down.start([], 60_000);
    await cluster.whole();
    await rotatedTo(keyId + 1);
    await delivers(down, 'from the one that was down');
  });

  test('survives the loss of its leader', async () => {
    const leader = await cluster.leader();
    const others = cluster.managers.filter((host) => host !== leader);
    const [from] = others;
    if (from === undefined) throw new Error('another manager');
    const { keyId } = await ring();
    await from.ok(['keys', 'rotate']);
    await leader.stop('SIGKILL');
    await cluster.leader(others);
    await leader.start([], 60_000);
    await cluster.whole();
    // By whom the loss is noticed, and at which step, is for chance: more than one may be offered.
    await rotatedTo(keyId + 1);
    await delivers(leader, 'after the loss');
  });

  test('goes on after all managers were killed, at whatever step', async () => {
    for (const delayMs of KILLED_AFTER_MS) {
      const { keyId } = await ring();
      await cluster.seed.ok(['keys', 'rotate']);
      await new Promise((resolve) => setTimeout(resolve, delayMs));
      await Promise.all(cluster.managers.map((host) => host.stop('SIGKILL')));
      await Promise.all(cluster.managers.map((host) => host.start([], 60_000)));
      await cluster.whole();
      await rotatedTo(keyId + 1);
      await delivers(cluster.seed, `after all of them, ${delayMs}`);
    }
    // The key of the root has moved along: a certificate needs it.
    const env = { ...cleanEnvironment(), XDG_CONFIG_HOME: join(cluster.farm.folder, 'contexts') };
    await cluster.seed.ok(['admin', 'create', 'ann', '--role', 'viewer'], { env });
  });

  test('is refused while one is on its way, and on a worker', async () => {
    const refused = refusalOf(await cluster.host('w1').conclave(['keys', 'rotate']));
    expect(refused.code).not.toBe(0);
    const { keyId } = await ring();
    await cluster.managers[2]?.stop('SIGKILL');
    await cluster.seed.ok(['keys', 'rotate']);
    const second = refusalOf(await cluster.seed.conclave(['keys', 'rotate']));
    expect(second).toMatchObject({ code: 65, error: expect.stringMatching(/rotat/) });
    expect(second.hint).toMatch(/conclave status/);
    await cluster.managers[2]?.start([], 60_000);
    await rotatedTo(keyId + 1);
  });
});
