import { describe, expect, test } from '@jest/globals';
import type { RestartSpec } from '@conclave/state';
import { stayReason } from '../../src/scheduling/stay-reason.js';
import { TestCluster } from './cluster.js';

async function oneReplica(restart: Partial<RestartSpec>): Promise<[TestCluster, string]> {
  const cluster = new TestCluster();
  cluster.addWorker('w1');
  cluster.scheduler.start();
  const policy = {
    condition: 'any',
    delayMs: 5_000,
    attemptsMax: 0,
    windowMs: 0,
    ...restart,
  } as const;
  const id = cluster.create({ restart: policy });
  await cluster.obey();
  return [cluster, id];
}

async function end(
  cluster: TestCluster,
  id: string,
  state: 'FAILED' | 'COMPLETE' | 'REJECTED',
): Promise<void> {
  const [task] = cluster.running(id);
  if (task === undefined) throw new Error('nothing runs');
  cluster.report(task, state);
  await cluster.settle();
}

function whyDown(cluster: TestCluster, id: string): string | undefined {
  const service = cluster.service(id);
  const reasons = cluster.tasks(id).map((task) => stayReason(cluster.state, service, task));
  return reasons.find((reason) => reason !== undefined);
}

describe('the restart policy', () => {
  test('waits for its delay', async () => {
    const [cluster, id] = await oneReplica({});
    await end(cluster, id, 'FAILED');
    expect(cluster.wanted(id).map((task) => task.state)).toEqual(['NEW']);
    await cluster.advance(4_999);
    expect(cluster.wanted(id).map((task) => task.state)).toEqual(['NEW']);
    await cluster.advance(1);
    expect(cluster.wanted(id).map((task) => task.state)).toEqual(['ASSIGNED']);
  });

  test.each(['FAILED', 'COMPLETE', 'REJECTED'] as const)(
    '"any" restarts after %s',
    async (state) => {
      const [cluster, id] = await oneReplica({});
      await end(cluster, id, state);
      expect(cluster.wanted(id)).toHaveLength(1);
      expect(whyDown(cluster, id)).toBeUndefined();
    },
  );

  test('"on-failure" leaves what completed alone', async () => {
    const [cluster, id] = await oneReplica({ condition: 'on-failure' });
    await end(cluster, id, 'REJECTED');
    await cluster.advance(5_000);
    await cluster.obey();
    await end(cluster, id, 'COMPLETE');
    await cluster.advance(60_000);
    expect(cluster.wanted(id)).toHaveLength(0);
    expect(whyDown(cluster, id)).toBe(
      'not restarted: completed; the restart condition is "on-failure"',
    );
  });

  test('"none" restarts nothing, but a lost node is still replaced', async () => {
    const [cluster, id] = await oneReplica({ condition: 'none' });
    cluster.addWorker('w2');
    cluster.down('w1');
    await cluster.obey();
    expect(cluster.running(id).filter((task) => task.nodeId === 'w2')).toHaveLength(1);
    const task = cluster.wanted(id)[0];
    if (task !== undefined) cluster.report(task, 'FAILED');
    await cluster.advance(60_000);
    expect(cluster.wanted(id)).toHaveLength(0);
    expect(whyDown(cluster, id)).toContain('failed; the restart condition is "none"');
  });

  test('stops after the attempts of its window, for good', async () => {
    const [cluster, id] = await oneReplica({ attemptsMax: 2, windowMs: 60_000, delayMs: 1_000 });
    for (let run = 0; run < 3; run += 1) {
      await end(cluster, id, 'FAILED');
      await cluster.advance(1_000);
      await cluster.obey();
    }
    expect(cluster.wanted(id)).toHaveLength(0);
    expect(whyDown(cluster, id)).toBe(
      'not restarted: restarted 2 times in 60 s, the most its policy allows',
    );
    await cluster.advance(3_600_000);
    expect(cluster.wanted(id)).toHaveLength(0);
  });

  test('counts attempts of the window only', async () => {
    const [cluster, id] = await oneReplica({ attemptsMax: 2, windowMs: 60_000, delayMs: 1_000 });
    for (let run = 0; run < 8; run += 1) {
      await end(cluster, id, 'FAILED');
      await cluster.advance(40_000);
      await cluster.obey();
    }
    expect(cluster.running(id)).toHaveLength(1);
  });

  test('starts a place that is down again when the spec changes', async () => {
    const [cluster, id] = await oneReplica({ condition: 'none' });
    await end(cluster, id, 'FAILED');
    cluster.update(id, { command: ['/bin/better'] });
    await cluster.obey();
    expect(cluster.running(id)[0]?.spec.command).toEqual(['/bin/better']);
  });

  test('keeps five finished tasks per slot', async () => {
    const [cluster, id] = await oneReplica({ delayMs: 0 });
    for (let run = 0; run < 12; run += 1) {
      await end(cluster, id, 'FAILED');
      await cluster.advance(1);
      await cluster.obey();
    }
    expect(cluster.tasks(id).filter((task) => task.state === 'FAILED')).toHaveLength(5);
  });

  test('an agent whose clock is behind does not shorten the delay to nothing', async () => {
    const [cluster, id] = await oneReplica({});
    const [task] = cluster.running(id);
    const report = { state: 'FAILED', message: '', error: '', exitCode: 1, atMs: 1 } as const;
    const reports = [{ nodeId: 'w1', taskId: task?.id ?? '', ...report }];
    cluster.mustApply({ kind: 'tasks.report', reports });
    await cluster.settle();
    expect(cluster.wanted(id)[0]?.notBeforeMs).toBe((task?.createdAtMs ?? 0) + 5_000);
  });
});
