import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { eventually } from '@conclave/testing';
import { Cluster, refusalOf } from './support.js';

const SECRET_COUNT = 100;

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

describe('keys rotate', () => {
  test('moves everything to a new version while values are set and delivered', async () => {
    const [task] = await cluster.running('user', 1);
    if (task === undefined) throw new Error('no task');
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
      const value = `from ${manager.name}`;
      await cluster.set('used', value, { from: manager });
      await cluster.arrives(task, 'used', { value });
    }
    // The same value is known to be the same although its digest is another one now.
    const again = await cluster.seed.conclave(['secret', 'set', 'many/7', '-o', 'json'], {
      input: 'value 7',
    });
    expect(JSON.parse(again.stdout)).toMatchObject({ version: 1, unchanged: true });
  });

  test('survives the loss of its leader and waits for a manager that is down', async () => {
    const leader = await cluster.leader();
    const others = cluster.managers.filter((host) => host !== leader);
    const [from] = others;
    if (from === undefined) throw new Error('another manager');
    await from.ok(['keys', 'rotate']);
    await leader.stop('SIGKILL');
    await eventually('a leader', () => cluster.leader(others));
    await eventually('it waits for the lost one', async () => {
      const { cluster: seen } = JSON.parse(
        (await from.conclave(['status', '-o', 'json'])).stdout,
      ) as { cluster: { ring: { phase: string; waitingFor: string[] } } };
      return seen.ring.waitingFor.includes(leader.name) || seen.ring.phase === '' || undefined;
    });
    await leader.start([], 60_000);
    await cluster.whole();
    await eventually('the rotation ends', async () => {
      const { phase, keyId } = await ring();
      return (phase === '' && keyId >= 3) || undefined;
    });
    await cluster.set('used', 'after the loss', { from: leader });
    const [task] = await cluster.running('user', 1);
    if (task === undefined) throw new Error('no task');
    await cluster.arrives(task, 'used', { value: 'after the loss' });
  });

  test('goes on after all managers were killed, and a new manager gets the ring of now', async () => {
    await cluster.seed.ok(['keys', 'rotate']);
    await Promise.all(cluster.managers.map((host) => host.stop('SIGKILL')));
    await Promise.all(cluster.managers.map((host) => host.start([], 60_000)));
    await cluster.whole();
    await eventually('the rotation ends', async () => (await ring()).phase === '' || undefined);
    await cluster.set('used', 'after all of them');
    const [task] = await cluster.running('user', 1);
    if (task === undefined) throw new Error('no task');
    await cluster.arrives(task, 'used', { value: 'after all of them' });
  });

  test('is refused while one is on its way, and on a worker', async () => {
    const refused = refusalOf(await cluster.host('w1').conclave(['keys', 'rotate']));
    expect(refused.code).not.toBe(0);
    await cluster.managers[2]?.stop('SIGKILL');
    await cluster.seed.ok(['keys', 'rotate']);
    const second = refusalOf(await cluster.seed.conclave(['keys', 'rotate']));
    expect(second).toMatchObject({ code: 65, error: expect.stringMatching(/rotat/) });
    expect(second.hint).toMatch(/conclave status/);
    await cluster.managers[2]?.start([], 60_000);
    await eventually('the rotation ends', async () => (await ring()).phase === '' || undefined);
  });
});
