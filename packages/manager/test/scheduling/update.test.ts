import { describe, expect, test } from '@jest/globals';
import type { ServiceSpec, TaskRow, UpdateSpec } from '@conclave/state';
import { slotsOf, TestCluster } from './cluster.js';

const NEW = ['/bin/new'];
const isNew = (task: TaskRow): boolean => task.spec.command[0] === '/bin/new';
const updatePolicy = (fields: Partial<UpdateSpec>): UpdateSpec => ({
  parallelism: 1,
  delayMs: 0,
  order: 'stop-first',
  failureAction: 'pause',
  ...fields,
});

async function runningService(
  replicas: number,
  update: Partial<UpdateSpec> = {},
  fields: Partial<ServiceSpec> = {},
): Promise<[TestCluster, string]> {
  const cluster = new TestCluster();
  for (const id of ['w1', 'w2', 'w3']) cluster.addWorker(id);
  cluster.scheduler.start();
  const id = cluster.create({ replicas, update: updatePolicy(update), ...fields });
  await cluster.obey();
  return [cluster, id];
}

/** The least and most tasks that ran at a time while agents obeyed one by one. */
async function watchUpdate(
  cluster: TestCluster,
  id: string,
): Promise<{ min: number; max: number }> {
  const seen = { min: Infinity, max: 0 };
  cluster.state.watch(() => {
    const count = cluster.running(id).length;
    seen.min = Math.min(seen.min, count);
    seen.max = Math.max(seen.max, count);
  });
  cluster.update(id, { command: NEW });
  await cluster.obey();
  return seen;
}

describe('a rolling update', () => {
  test('stop-first: the old task has stopped before the new one starts', async () => {
    const [cluster, id] = await runningService(3);
    expect(await watchUpdate(cluster, id)).toEqual({ min: 2, max: 3 });
    expect(cluster.running(id).every(isNew)).toBe(true);
    await cluster.advance(5_000);
    expect(cluster.service(id).updateState).toBe('completed');
  });

  test('start-first: the new task runs before the old one stops', async () => {
    const [cluster, id] = await runningService(3, { order: 'start-first' });
    expect(await watchUpdate(cluster, id)).toEqual({ min: 3, max: 4 });
    expect(cluster.running(id)).toHaveLength(3);
    expect(cluster.running(id).every(isNew)).toBe(true);
  });

  test('goes as many at a time as it may', async () => {
    const [cluster, id] = await runningService(6, { parallelism: 2, order: 'stop-first' });
    expect(await watchUpdate(cluster, id)).toEqual({ min: 4, max: 6 });
  });

  test('waits for its delay between places', async () => {
    const [cluster, id] = await runningService(2, { delayMs: 30_000 });
    cluster.update(id, { command: NEW });
    await cluster.obey();
    expect(cluster.running(id).filter(isNew)).toHaveLength(1);
    await cluster.advance(29_999);
    await cluster.obey();
    expect(cluster.running(id).filter(isNew)).toHaveLength(1);
    await cluster.advance(1);
    await cluster.obey();
    expect(cluster.running(id).filter(isNew)).toHaveLength(2);
  });

  test('pauses at the first failure and goes on with the next update', async () => {
    const [cluster, id] = await runningService(3);
    cluster.update(id, { command: NEW });
    await cluster.obey({ fail: isNew, roundsMax: 6 });
    expect(cluster.service(id).updateState).toBe('paused');
    expect(cluster.service(id).updateMessage).toContain('of slot 1 is FAILED: exit 1');
    await cluster.advance(60_000);
    expect(cluster.running(id).filter((task) => !isNew(task))).toHaveLength(2);
    cluster.update(id, { command: ['/bin/newer'] });
    await cluster.obey();
    await cluster.advance(10_000);
    await cluster.obey();
    await cluster.advance(10_000);
    expect(cluster.running(id).map((task) => task.spec.command[0])).toEqual([
      '/bin/newer',
      '/bin/newer',
      '/bin/newer',
    ]);
    expect(cluster.service(id).updateState).toBe('completed');
  });

  test('pauses when a task fails soon after it ran', async () => {
    const [cluster, id] = await runningService(1);
    cluster.update(id, { command: NEW });
    await cluster.obey();
    await cluster.advance(1_000);
    const [task] = cluster.running(id);
    if (task !== undefined) cluster.report(task, 'FAILED');
    await cluster.settle();
    expect(cluster.service(id).updateState).toBe('paused');
  });

  test('a step that is refused holds up no other service', async () => {
    const [cluster, id] = await runningService(1, { failureAction: 'rollback' });
    const old = cluster.service(id).spec;
    // What apply says to everything about this service.
    cluster.refuse = (body) => body.kind === 'service.rollback';
    cluster.update(id, { command: NEW });
    await cluster.obey({ fail: isNew, roundsMax: 6 });
    await cluster.advance(2_500);
    expect(cluster.service(id)).toMatchObject({ updateState: 'updating' });
    const other = cluster.create({ name: 'other', replicas: 2 });
    await cluster.obey({ fail: isNew, roundsMax: 6 });
    expect(cluster.running(other)).toHaveLength(2);
    // It is tried now and then, not all the time.
    const tries = cluster.proposals.filter(({ kind }) => kind === 'service.rollback').length;
    expect(tries).toBeGreaterThan(1);
    expect(tries).toBeLessThan(6);
    cluster.refuse = () => false;
    await cluster.advance(1_000);
    expect(cluster.service(id)).toMatchObject({ updateState: 'rolled-back', spec: old });
  });

  test('rolls back to what ran before, and leaves tasks that never changed alone', async () => {
    const [cluster, id] = await runningService(3, { failureAction: 'rollback' });
    const untouched = cluster.running(id).filter((task) => task.slot > 1);
    cluster.update(id, { command: NEW });
    await cluster.obey({ fail: isNew });
    await cluster.advance(10_000);
    await cluster.obey({ fail: isNew });
    const service = cluster.service(id);
    expect(service.updateState).toBe('rolled-back');
    expect(service.updateMessage).toContain('is FAILED: exit 1');
    expect(service.spec.command).toEqual(['/bin/web']);
    expect(cluster.running(id)).toHaveLength(3);
    expect(cluster.running(id).some(isNew)).toBe(false);
    for (const task of untouched) {
      expect(cluster.state.taskById(task.id)?.state).toBe('RUNNING');
    }
  });

  test('a rollback keeps the number of replicas that is wanted now', async () => {
    const [cluster, id] = await runningService(2, { failureAction: 'rollback' });
    cluster.update(id, { command: NEW });
    cluster.update(id, { replicas: 4 });
    await cluster.obey({ fail: isNew });
    await cluster.advance(10_000);
    await cluster.obey({ fail: isNew });
    expect(cluster.service(id).spec.replicas).toBe(4);
    expect(cluster.running(id)).toHaveLength(4);
  });

  test('continues through failures when told so', async () => {
    const restart = { condition: 'none', delayMs: 0, attemptsMax: 0, windowMs: 0 } as const;
    const [cluster, id] = await runningService(3, { failureAction: 'continue' }, { restart });
    cluster.update(id, { command: NEW });
    await cluster.obey({ fail: (task) => isNew(task) && task.slot === 2 });
    await cluster.advance(10_000);
    expect(slotsOf(cluster.running(id))).toEqual([1, 3]);
    expect(cluster.running(id).every(isNew)).toBe(true);
    expect(cluster.service(id).updateState).toBe('completed');
  });

  test('start-first failures respect the restart delay and leave the old task running', async () => {
    const [cluster, id] = await runningService(1, {
      order: 'start-first',
      failureAction: 'continue',
    });
    cluster.update(id, { command: NEW });
    await cluster.obey({ fail: isNew, roundsMax: 10 });
    expect(cluster.tasks(id).filter((task) => task.state === 'FAILED')).toHaveLength(1);
    expect(cluster.running(id).some((task) => !isNew(task))).toBe(true);
    await cluster.advance(5_000);
    await cluster.obey();
    expect(cluster.running(id).map(isNew)).toEqual([true]);
  });

  test('a change of policy alone replaces nothing and completes', async () => {
    const [cluster, id] = await runningService(2);
    const before = cluster.running(id).map((task) => task.id);
    cluster.update(id, {
      restart: { condition: 'on-failure', delayMs: 1, attemptsMax: 3, windowMs: 0 },
    });
    await cluster.obey();
    await cluster.advance(10_000);
    expect(cluster.running(id).map((task) => task.id)).toEqual(before);
    expect(cluster.service(id).updateState).toBe('completed');
  });

  test('new constraints move tasks one by one', async () => {
    const [cluster, id] = await runningService(3);
    cluster.updateNode('w1', { labelsSet: { zone: 'a' } });
    const seen = { min: Infinity };
    cluster.state.watch(() => {
      seen.min = Math.min(seen.min, cluster.running(id).length);
    });
    cluster.update(id, { constraints: ['labels.zone==a'] });
    await cluster.obey();
    expect(cluster.running(id).map((task) => task.nodeId)).toEqual(['w1', 'w1', 'w1']);
    expect(seen.min).toBe(2);
  });

  test('an unplaceable new spec takes down no more than it may', async () => {
    const [cluster, id] = await runningService(3);
    cluster.update(id, { command: NEW, constraints: ['labels.zone==nowhere'] });
    await cluster.obey();
    await cluster.advance(60_000);
    expect(cluster.running(id)).toHaveLength(2);
    expect(cluster.service(id).updateState).toBe('updating');
  });

  test('a new leader goes on where the old one stopped', async () => {
    const [cluster, id] = await runningService(3, { delayMs: 10_000 });
    cluster.update(id, { command: NEW });
    await cluster.obey();
    cluster.scheduler.stop();
    await cluster.advance(60_000);
    expect(cluster.running(id).filter(isNew)).toHaveLength(1);
    cluster.scheduler.start();
    for (let turn = 0; turn < 5; turn += 1) {
      await cluster.obey();
      await cluster.advance(10_000);
    }
    expect(cluster.running(id).filter(isNew)).toHaveLength(3);
    expect(cluster.service(id).updateState).toBe('completed');
  });
});
