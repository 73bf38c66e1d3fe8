import { describe, expect, test } from '@jest/globals';
import { TestCluster } from './cluster.js';

async function globalOn(...workers: string[]): Promise<[TestCluster, string]> {
  const cluster = new TestCluster();
  for (const id of workers) cluster.addWorker(id);
  cluster.scheduler.start();
  const id = cluster.create({ mode: 'global', replicas: 0 });
  await cluster.obey();
  return [cluster, id];
}

function runningOn(cluster: TestCluster, id: string): string[] {
  return cluster
    .running(id)
    .map((task) => task.nodeId)
    .sort();
}

describe('a global service', () => {
  test('has one task on every worker, also on those that come later', async () => {
    const [cluster, id] = await globalOn('w1', 'w2');
    expect(runningOn(cluster, id)).toEqual(['w1', 'w2']);
    cluster.addWorker('w3');
    await cluster.obey();
    expect(runningOn(cluster, id)).toEqual(['w1', 'w2', 'w3']);
    expect(cluster.tasks(id).every((task) => task.slot === 0)).toBe(true);
  });

  test('leaves drained nodes and those that lose the label, keeps paused and DOWN ones', async () => {
    const [cluster, id] = await globalOn('w1', 'w2', 'w3', 'w4');
    cluster.updateNode('w1', { availability: 'drain' });
    cluster.updateNode('w2', { availability: 'pause' });
    cluster.down('w3');
    await cluster.obey();
    expect(runningOn(cluster, id)).toEqual(['w2', 'w3', 'w4']);
    expect(cluster.wanted(id)).toHaveLength(3);
    cluster.updateNode('w1', { availability: 'active' });
    await cluster.obey();
    expect(runningOn(cluster, id)).toEqual(['w1', 'w2', 'w3', 'w4']);
  });

  test('restarts nothing on a paused node until it is active again', async () => {
    const [cluster, id] = await globalOn('w1');
    cluster.updateNode('w1', { availability: 'pause' });
    const [task] = cluster.running(id);
    if (task !== undefined) cluster.report(task, 'FAILED');
    await cluster.advance(60_000);
    expect(cluster.wanted(id)).toHaveLength(0);
    cluster.updateNode('w1', { availability: 'active' });
    await cluster.obey();
    expect(runningOn(cluster, id)).toEqual(['w1']);
  });

  test('updates node by node', async () => {
    const [cluster, id] = await globalOn('w1', 'w2', 'w3');
    cluster.update(id, { command: ['/bin/new'] });
    await cluster.obey();
    await cluster.advance(10_000);
    expect(runningOn(cluster, id)).toEqual(['w1', 'w2', 'w3']);
    expect(cluster.running(id).every((task) => task.spec.command[0] === '/bin/new')).toBe(true);
    expect(cluster.service(id).updateState).toBe('completed');
  });

  test('keeps a bounded history of removed nodes', async () => {
    const [cluster, id] = await globalOn('w1');
    for (let count = 0; count < 9; count += 1) {
      cluster.addWorker(`x${count}`);
      await cluster.obey();
      cluster.mustApply({ kind: 'node.remove', id: `x${count}`, force: true });
      await cluster.obey();
    }
    expect(cluster.tasks(id).filter((task) => task.state === 'ORPHANED')).toHaveLength(5);
    expect(runningOn(cluster, id)).toEqual(['w1']);
  });
});

describe('the update of a global service', () => {
  test('is not held up by a node that is away, which follows when it is back', async () => {
    const [cluster, id] = await globalOn('w1', 'w2', 'w3');
    cluster.down('w1');
    cluster.updateNode('w2', { availability: 'pause' });
    cluster.update(id, { command: ['/bin/new'] });
    await cluster.obey();
    await cluster.advance(10_000);
    const newOn = (): string[] =>
      cluster
        .running(id)
        .filter((task) => task.spec.command[0] === '/bin/new')
        .map((task) => task.nodeId)
        .toSorted();
    expect(newOn()).toEqual(['w3']);
    expect(cluster.service(id).updateState).toBe('completed');
    cluster.ready('w1');
    cluster.updateNode('w2', { availability: 'active' });
    await cluster.obey();
    expect(newOn()).toEqual(['w1', 'w2', 'w3']);
  });
});
