import { describe, expect, test } from '@jest/globals';
import { slotsOf, TestCluster } from './cluster.js';

function countByNode(cluster: TestCluster, id: string): Record<string, number> {
  const counts: Record<string, number> = {};
  for (const task of cluster.wanted(id)) counts[task.nodeId] = (counts[task.nodeId] ?? 0) + 1;
  return counts;
}

async function threeWorkers(): Promise<TestCluster> {
  const cluster = new TestCluster();
  for (const id of ['w1', 'w2', 'w3']) cluster.addWorker(id);
  cluster.scheduler.start();
  await cluster.settle();
  return cluster;
}

describe('a replicated service', () => {
  test('gets its replicas, spread over the workers, none on a manager', async () => {
    const cluster = await threeWorkers();
    const id = cluster.create({ replicas: 60 });
    await cluster.obey();
    expect(cluster.running(id)).toHaveLength(60);
    expect(countByNode(cluster, id)).toEqual({ w1: 20, w2: 20, w3: 20 });
    expect(new Set(cluster.wanted(id).map((task) => task.slot)).size).toBe(60);
  });

  test('pinned to a host name stays with the node that had it first', async () => {
    const cluster = await threeWorkers();
    await cluster.advance(1_000);
    cluster.addWorker('a1', {}, 'w2');
    const id = cluster.create({ replicas: 2, constraints: ['node.hostname==w2'] });
    await cluster.obey();
    expect(countByNode(cluster, id)).toEqual({ w2: 2 });
    cluster.down('w2');
    await cluster.settle();
    expect(cluster.wanted(id).map(({ message }) => message)).toEqual(
      Array(2).fill(expect.stringContaining('1 has the host name of a node that joined before it')),
    );
    cluster.mustApply({ kind: 'node.remove', id: 'w2', force: true });
    await cluster.obey();
    expect(countByNode(cluster, id)).toEqual({ a1: 2 });
  });

  test('creates and assigns in one entry', async () => {
    const cluster = await threeWorkers();
    cluster.create({ replicas: 3 });
    await cluster.settle();
    expect(cluster.proposals).toHaveLength(1);
  });

  test('bounds its entries when there is much to do', async () => {
    const cluster = await threeWorkers();
    const id = cluster.create({ replicas: 700 });
    await cluster.obey();
    expect(cluster.running(id)).toHaveLength(700);
    for (const body of cluster.proposals) {
      if (body.kind === 'tasks.schedule') expect(body.changes.length).toBeLessThanOrEqual(500);
    }
    expect(countByNode(cluster, id)).toEqual({ w1: 234, w2: 233, w3: 233 });
  });

  test('prefers nodes with fewer tasks of others', async () => {
    const cluster = await threeWorkers();
    cluster.create({ name: 'a', replicas: 1 });
    await cluster.obey();
    const id = cluster.create({ name: 'b', replicas: 2 });
    await cluster.obey();
    expect(countByNode(cluster, id)).toEqual({ w2: 1, w3: 1 });
  });

  test('scales up with the lowest free slots', async () => {
    const cluster = await threeWorkers();
    const id = cluster.create({ replicas: 2 });
    await cluster.obey();
    cluster.update(id, { replicas: 4 });
    await cluster.obey();
    expect(slotsOf(cluster.running(id))).toEqual([1, 2, 3, 4]);
  });

  test('scales down by the least healthy, then the newest, and deletes what stopped', async () => {
    const cluster = await threeWorkers();
    const id = cluster.create({ replicas: 4 });
    await cluster.obey({ fail: (task) => task.slot === 2, roundsMax: 1 });
    cluster.update(id, { replicas: 2 });
    await cluster.settle();
    const leaving = cluster.tasks(id).filter((task) => task.desiredState === 'REMOVE');
    // Slot 2 waited for its restart and went at once; 4 is there until its agent says it stopped.
    expect(leaving.map((task) => [task.slot, task.state])).toEqual([[4, 'RUNNING']]);
    await cluster.obey();
    expect(slotsOf(cluster.tasks(id))).toEqual([1, 3]);
  });

  test('goes with its last task when it is removed', async () => {
    const cluster = await threeWorkers();
    const id = cluster.create({ replicas: 2 });
    await cluster.obey();
    cluster.mustApply({ kind: 'service.remove', id });
    await cluster.settle();
    expect(cluster.tasks(id).map((task) => task.desiredState)).toEqual(['REMOVE', 'REMOVE']);
    expect(cluster.running(id)).toHaveLength(2);
    await cluster.obey();
    expect(cluster.state.serviceById(id)).toBeUndefined();
    expect([...cluster.state.tasks()]).toHaveLength(0);
  });

  test('leaves at once when nothing of it was ever placed', async () => {
    const cluster = new TestCluster();
    cluster.scheduler.start();
    const id = cluster.create({ replicas: 2 });
    await cluster.settle();
    expect(cluster.wanted(id).map((task) => task.state)).toEqual(['PENDING', 'PENDING']);
    cluster.mustApply({ kind: 'service.remove', id });
    await cluster.settle();
    expect(cluster.state.serviceById(id)).toBeUndefined();
  });
});

describe('nodes that come and go', () => {
  test('a DOWN node is replaced at once; back again, it is told to stop the old task', async () => {
    const cluster = await threeWorkers();
    const id = cluster.create({ replicas: 3 });
    await cluster.obey();
    const [old] = cluster.state.tasksOfNode('w1');
    cluster.down('w1');
    await cluster.settle();
    const after = cluster.wanted(id);
    expect(after).toHaveLength(3);
    expect(after.some((task) => task.nodeId === 'w1')).toBe(false);
    expect(cluster.state.taskById(old?.id ?? '')?.desiredState).toBe('SHUTDOWN');
    cluster.ready('w1');
    await cluster.obey();
    expect(cluster.state.taskById(old?.id ?? '')?.state).toBe('SHUTDOWN');
    expect(cluster.running(id)).toHaveLength(3);
  });

  test('what should stop on a node that stays DOWN is given up after a day', async () => {
    const cluster = await threeWorkers();
    const id = cluster.create({ replicas: 1 });
    await cluster.obey();
    const [old] = cluster.wanted(id);
    cluster.down(old?.nodeId ?? '');
    await cluster.advance(23 * 3_600_000);
    expect(cluster.state.taskById(old?.id ?? '')?.state).toBe('RUNNING');
    await cluster.advance(2 * 3_600_000);
    expect(cluster.state.taskById(old?.id ?? '')?.state).toBe('ORPHANED');
  });

  test('drain moves, pause keeps and takes nothing new', async () => {
    const cluster = await threeWorkers();
    const id = cluster.create({ replicas: 3 });
    await cluster.obey();
    cluster.updateNode('w1', { availability: 'drain' });
    cluster.updateNode('w2', { availability: 'pause' });
    await cluster.obey();
    expect(countByNode(cluster, id)).toEqual({ w2: 1, w3: 2 });
    cluster.update(id, { replicas: 6 });
    await cluster.obey();
    expect(countByNode(cluster, id)).toEqual({ w2: 1, w3: 5 });
  });

  test('tasks of a removed node are orphaned and replaced', async () => {
    const cluster = await threeWorkers();
    const id = cluster.create({ replicas: 3 });
    await cluster.obey();
    cluster.mustApply({ kind: 'node.remove', id: 'w1', force: true });
    await cluster.obey();
    expect(cluster.running(id)).toHaveLength(3);
    expect(cluster.tasks(id).filter((task) => task.state === 'ORPHANED')).toHaveLength(1);
  });
});

describe('placement', () => {
  test('waits with the reasons counted, and starts when a node fits', async () => {
    const cluster = await threeWorkers();
    cluster.updateNode('w1', { availability: 'drain' });
    cluster.updateNode('w2', { availability: 'drain' });
    const id = cluster.create({ constraints: ['labels.zone==a'] });
    await cluster.settle();
    expect(cluster.wanted(id)[0]?.message).toBe(
      'no node fits: 2 are drained, 1 is a manager, 1 lacks label zone==a',
    );
    cluster.updateNode('w3', { labelsSet: { zone: 'a' } });
    await cluster.obey();
    expect(cluster.running(id)[0]?.nodeId).toBe('w3');
  });

  test('moves a task when its node loses the label', async () => {
    const cluster = await threeWorkers();
    cluster.updateNode('w1', { labelsSet: { zone: 'a' } });
    const id = cluster.create({ constraints: ['labels.zone==a'] });
    await cluster.obey();
    cluster.updateNode('w1', { labelsRemove: ['zone'] });
    cluster.updateNode('w2', { labelsSet: { zone: 'a' } });
    await cluster.obey();
    expect(countByNode(cluster, id)).toEqual({ w2: 1 });
  });

  test('keeps to the most per node', async () => {
    const cluster = await threeWorkers();
    const id = cluster.create({ replicas: 8, replicasPerNodeMax: 2 });
    await cluster.obey();
    expect(countByNode(cluster, id)).toEqual({ '': 2, w1: 2, w2: 2, w3: 2 });
    const waiting = cluster.wanted(id).filter((task) => task.nodeId === '');
    expect(waiting.map((task) => task.state)).toEqual(['PENDING', 'PENDING']);
    expect(waiting[0]?.message).toContain('per node (2)');
  });

  test('ranks a node lower after five failures of the service in five minutes', async () => {
    const cluster = await threeWorkers();
    const restart = { condition: 'any', delayMs: 0, attemptsMax: 0, windowMs: 0 } as const;
    const id = cluster.create({ replicas: 1, restart });
    let failures = 0;
    for (let turn = 0; turn < 40 && failures < 20; turn += 1) {
      await cluster.obey({ fail: (task) => task.nodeId !== 'w3', roundsMax: 1 });
      failures = cluster.tasks(id).filter((task) => task.state === 'FAILED').length;
      await cluster.advance(10);
    }
    expect(cluster.running(id)[0]?.nodeId).toBe('w3');
  });
});
