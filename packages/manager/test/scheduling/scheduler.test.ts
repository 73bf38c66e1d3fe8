import { describe, expect, test } from '@jest/globals';
import { ConclaveError } from '@conclave/kernel';
import { TestCluster } from './cluster.js';

describe('the scheduler', () => {
  test('does nothing before start and after stop', async () => {
    const cluster = new TestCluster();
    cluster.addWorker('w1');
    const id = cluster.create();
    await cluster.advance(10_000);
    expect(cluster.tasks(id)).toHaveLength(0);
    cluster.scheduler.start();
    cluster.scheduler.stop();
    await cluster.advance(10_000);
    expect(cluster.tasks(id)).toHaveLength(0);
    cluster.scheduler.start();
    await cluster.obey();
    expect(cluster.running(id)).toHaveLength(1);
  });

  test('proposes nothing when nothing is to be done', async () => {
    const cluster = new TestCluster();
    cluster.addWorker('w1');
    cluster.scheduler.start();
    cluster.create({ replicas: 2 });
    await cluster.obey();
    const count = cluster.proposals.length;
    cluster.ready('w1');
    await cluster.advance(120_000);
    expect(cluster.proposals).toHaveLength(count);
  });

  test('waits a second when a proposal fails, and tries again', async () => {
    const cluster = new TestCluster();
    cluster.addWorker('w1');
    cluster.failure = new ConclaveError('CV_NO_LEADER', 'no quorum');
    cluster.scheduler.start();
    const id = cluster.create();
    await cluster.settle();
    cluster.failure = undefined;
    await cluster.advance(999);
    expect(cluster.tasks(id)).toHaveLength(0);
    await cluster.advance(1);
    expect(cluster.wanted(id).map((task) => task.state)).toEqual(['ASSIGNED']);
  });

  test('does not turn in circles when apply takes nothing of a round', async () => {
    const cluster = new TestCluster();
    cluster.addWorker('w1');
    let roundCount = 0;
    const apply = cluster.apply.bind(cluster);
    cluster.apply = (body) => {
      if (body.kind !== 'tasks.schedule') return apply(body);
      roundCount += 1;
      return { ok: true, index: 1, values: { applied: 0, skipped: body.changes.length } };
    };
    cluster.scheduler.start();
    cluster.create();
    await cluster.advance(3_500);
    expect(roundCount).toBe(4);
  });

  test('looks at several services in one entry', async () => {
    const cluster = new TestCluster();
    cluster.addWorker('w1');
    cluster.scheduler.start();
    await cluster.settle();
    for (const name of ['a', 'b', 'c']) cluster.create({ name });
    await cluster.settle();
    expect(cluster.proposals).toHaveLength(1);
  });

  test('a service with much to do does not keep the others waiting', async () => {
    const cluster = new TestCluster();
    for (const id of ['w1', 'w2']) cluster.addWorker(id);
    cluster.scheduler.start();
    await cluster.settle();
    cluster.create({ name: 'big', replicas: 2_000 });
    const id = cluster.create({ name: 'small' });
    await cluster.settle();
    const entry = cluster.proposals.findIndex(
      (body) =>
        body.kind === 'tasks.schedule' &&
        body.changes.some((change) => change.kind === 'create' && change.serviceId === id),
    );
    expect(entry).toBeGreaterThanOrEqual(0);
    expect(entry).toBeLessThanOrEqual(2);
  });
});
