import { describe, expect, test } from '@jest/globals';
import { TASK_STATES } from '../src/index.js';
import type { TaskChange } from '../src/index.js';
import { Bench, bindingSpec } from './support/bench.js';

function bench2(): Bench {
  const bench = new Bench();
  bench.node('n1');
  bench.node('n2');
  bench.service('web');
  return bench;
}

const create = (id: string, fields: Partial<TaskChange & { kind: 'create' }> = {}): TaskChange => ({
  kind: 'create',
  id,
  serviceId: 'service-web',
  slot: 1,
  nodeId: '',
  specVersion: 1,
  notBeforeMs: 0,
  message: '',
  ...fields,
});

describe('scheduling', () => {
  test('creates tasks with the spec of their service', () => {
    const bench = bench2();
    expect(bench.schedule(create('t1', { message: 'waits' }))).toEqual({ applied: 1, skipped: 0 });
    expect(bench.state.taskById('t1')).toMatchObject({
      state: 'NEW',
      desiredState: 'RUNNING',
      serviceName: 'web',
      nodeId: '',
      message: 'waits',
      stateAtMs: bench.atMs,
    });
    expect(bench.state.taskById('t1')?.spec).toBe(bench.state.serviceById('service-web')?.spec);
  });

  test('skips what is not as the scheduler saw it', () => {
    const bench = bench2();
    bench.schedule(create('t1'));
    const stale = [
      create('t1'),
      create('t2', { specVersion: 2 }),
      create('t2', { serviceId: 'nobody' }),
      create('t2', { slot: 0 }),
      create('t2', { nodeId: 'n1' }),
      { kind: 'assign', id: 'nobody', nodeId: 'n1' },
      { kind: 'assign', id: 't1', nodeId: 'nobody' },
      { kind: 'explain', id: 'nobody', message: '' },
      { kind: 'desire', id: 'nobody', desiredState: 'SHUTDOWN' },
      { kind: 'end', id: 'nobody', state: 'FAILED', message: '' },
      { kind: 'delete', id: 't1' },
    ] satisfies TaskChange[];
    const digest = bench.state.digest();
    expect(bench.schedule(...stale)).toEqual({ applied: 0, skipped: stale.length });
    expect(bench.state.digest()).toBe(digest);
  });

  test('tasks of a global service have a node from the beginning and keep it', () => {
    const bench = bench2();
    bench.service('all', { mode: 'global' });
    const task = { serviceId: 'service-all', slot: 0 };
    expect(bench.schedule(create('g1', { ...task, nodeId: '' }))).toMatchObject({ applied: 0 });
    expect(bench.schedule(create('g1', { ...task, nodeId: 'nobody' }))).toMatchObject({
      applied: 0,
    });
    bench.schedule(create('g1', { ...task, nodeId: 'n1' }));
    expect(bench.schedule({ kind: 'assign', id: 'g1', nodeId: 'n2' })).toMatchObject({
      applied: 0,
    });
    expect(bench.schedule({ kind: 'assign', id: 'g1', nodeId: 'n1' })).toMatchObject({
      applied: 1,
    });
  });

  test('assigns to nodes that are READY and active only', () => {
    const bench = bench2();
    bench.schedule(create('t1'));
    const assign = { kind: 'assign', id: 't1', nodeId: 'n1' } as const;
    for (const availability of ['pause', 'drain'] as const) {
      const change = { labelsSet: {}, labelsRemove: [], objectVersion: 0, availability };
      bench.ok({ kind: 'node.update', id: 'n1', ...change });
      expect(bench.schedule(assign)).toMatchObject({ applied: 0 });
      bench.ok({ kind: 'node.update', id: 'n1', ...change, availability: 'active' });
    }
    bench.observe('n1', 'DOWN');
    expect(bench.schedule(assign)).toMatchObject({ applied: 0 });
    bench.observe('n1', 'READY');
    expect(bench.schedule(assign)).toMatchObject({ applied: 1 });
    expect(bench.schedule({ ...assign, nodeId: 'n2' })).toMatchObject({ applied: 0 });
    expect(bench.state.taskById('t1')).toMatchObject({ state: 'ASSIGNED', nodeId: 'n1' });
  });

  test('assigns neither before its time nor what should not run', () => {
    const bench = bench2();
    bench.schedule(create('t1', { notBeforeMs: bench.atMs + 1000 }), create('t2'));
    bench.schedule({ kind: 'desire', id: 't2', desiredState: 'SHUTDOWN' });
    const assign = (id: string): TaskChange => ({ kind: 'assign', id, nodeId: 'n1' });
    expect(bench.schedule(assign('t1'), assign('t2'))).toEqual({ applied: 0, skipped: 2 });
    bench.atMs += 1000;
    expect(bench.schedule(assign('t1'))).toMatchObject({ applied: 1 });
  });

  test('explains why a task waits until it is assigned', () => {
    const bench = bench2();
    bench.schedule(create('t1'));
    bench.schedule({ kind: 'explain', id: 't1', message: 'no node' });
    expect(bench.state.taskById('t1')).toMatchObject({ state: 'PENDING', message: 'no node' });
    const since = bench.atMs;
    expect(bench.schedule({ kind: 'explain', id: 't1', message: 'no node' })).toMatchObject({
      applied: 0,
    });
    bench.schedule({ kind: 'explain', id: 't1', message: 'still none' });
    expect(bench.state.taskById('t1')).toMatchObject({ message: 'still none', stateAtMs: since });
    bench.schedule({ kind: 'assign', id: 't1', nodeId: 'n1' });
    const late = { kind: 'explain', id: 't1', message: 'late' } as const;
    expect(bench.schedule(late)).toMatchObject({ applied: 0 });
  });

  test('the desired state goes forward only', () => {
    const bench = bench2();
    bench.task('t1', 'service-web', 'n1');
    const desire = (desiredState: 'SHUTDOWN' | 'REMOVE') =>
      bench.schedule({ kind: 'desire', id: 't1', desiredState })['applied'];
    expect([desire('SHUTDOWN'), desire('SHUTDOWN'), desire('REMOVE'), desire('SHUTDOWN')]).toEqual([
      1, 0, 1, 0,
    ]);
  });

  test('ends only tasks that no agent answers for', () => {
    const bench = bench2();
    bench.task('waits', 'service-web');
    bench.task('runs', 'service-web', 'n1');
    bench.task('undeliverable', 'service-web', 'n1');
    const end = (id: string, state: (TaskChange & { kind: 'end' })['state']) =>
      bench.schedule({ kind: 'end', id, state, message: 'because' })['applied'];
    expect(end('waits', 'SHUTDOWN')).toBe(1);
    expect(end('waits', 'FAILED')).toBe(0);
    expect(end('runs', 'SHUTDOWN')).toBe(0);
    expect(end('undeliverable', 'REJECTED')).toBe(1);
    bench.observe('n1', 'DOWN');
    expect(end('runs', 'ORPHANED')).toBe(1);
    expect(bench.state.taskById('runs')).toMatchObject({ state: 'ORPHANED', message: 'because' });
  });

  test('deletes ended tasks with their receipts, never live ones', () => {
    const bench = new Bench();
    bench.node('n1');
    bench.set('a', 1);
    bench.service('web', { bindings: [bindingSpec({ secretId: 'id-a' })] });
    bench.task('t1', 'service-web', 'n1');
    const receipt = { taskId: 't1', target: 'a', secretId: 'id-a', version: 1, nodeId: 'n1' };
    const rest = { outcome: 'delivered', detail: '', atMs: bench.atMs } as const;
    bench.ok({ kind: 'receipts.report', receipts: [{ ...receipt, ...rest }] });
    expect(bench.schedule({ kind: 'delete', id: 't1' })).toMatchObject({ applied: 0 });
    bench.report('t1', 'FAILED');
    expect(bench.state.receiptsOfTask('t1')).toHaveLength(1);
    expect(bench.schedule({ kind: 'delete', id: 't1' })).toMatchObject({ applied: 1 });
    expect(bench.state.taskById('t1')).toBeUndefined();
    expect(bench.state.receiptsOfSecret('id-a')).toEqual([]);
  });
});

describe('reports of agents', () => {
  test('move tasks forward and keep why they ended', () => {
    const bench = bench2();
    bench.task('t1', 'service-web', 'n1');
    for (const state of ['ACCEPTED', 'PREPARING', 'STARTING', 'RUNNING'] as const) {
      expect(bench.report('t1', state)).toEqual({ applied: 1, unknown: 0, foreign: 0, stale: 0 });
      expect(bench.state.taskById('t1')?.state).toBe(state);
    }
    const end = { state: 'FAILED', message: 'exited', error: 'exit code 3', exitCode: -3 } as const;
    const report = { nodeId: 'n1', taskId: 't1', atMs: bench.atMs - 5, ...end };
    bench.ok({ kind: 'tasks.report', reports: [report] });
    expect(bench.state.taskById('t1')).toMatchObject({ ...end, stateAtMs: report.atMs });
  });

  test.each(TASK_STATES)('from %s nothing leads back or out of an end', (from) => {
    const rank = TASK_STATES.indexOf(from);
    const ranks = TASK_STATES.map((_, place) => place);
    for (const to of ranks) {
      const bench = bench2();
      bench.task('t1', 'service-web', 'n1');
      if (rank > TASK_STATES.indexOf('ASSIGNED') && from !== 'ORPHANED') bench.report('t1', from);
      if (from === 'ORPHANED') {
        bench.observe('n1', 'DOWN');
        bench.schedule({ kind: 'end', id: 't1', state: 'ORPHANED', message: '' });
      }
      const now = bench.state.taskById('t1')?.state ?? 'NEW';
      const target = TASK_STATES[to] ?? 'NEW';
      const isAllowed =
        to > TASK_STATES.indexOf(now) &&
        TASK_STATES.indexOf(now) <= TASK_STATES.indexOf('RUNNING') &&
        target !== 'ORPHANED';
      expect(bench.report('t1', target)['applied']).toBe(isAllowed ? 1 : 0);
      expect(bench.state.taskById('t1')?.state).toBe(isAllowed ? target : now);
    }
  });

  test('of other nodes, of unknown tasks and before the assignment are skipped, the rest counts', () => {
    const bench = bench2();
    bench.task('t1', 'service-web', 'n1');
    bench.task('t2', 'service-web');
    const base = { state: 'RUNNING', message: '', error: '', exitCode: undefined } as const;
    const line = (taskId: string, nodeId: string) => ({
      taskId,
      nodeId,
      atMs: bench.atMs + 60_000,
      ...base,
    });
    const reports = [line('t1', 'n2'), line('gone', 'n1'), line('t2', ''), line('t1', 'n1')];
    expect(bench.ok({ kind: 'tasks.report', reports })).toEqual({
      applied: 1,
      unknown: 1,
      foreign: 1,
      stale: 1,
    });
    // The clock of an agent may be ahead; no state begins after the entry that says so.
    expect(bench.state.taskById('t1')).toMatchObject({ state: 'RUNNING', stateAtMs: bench.atMs });
    expect(bench.state.taskById('t2')?.state).toBe('NEW');
  });
});

describe('finding tasks', () => {
  test('by service, node and secret follows every change', () => {
    const bench = new Bench();
    bench.node('n1');
    bench.set('a', 1);
    bench.service('web', { bindings: [bindingSpec({ secretId: 'id-a' })] });
    bench.task('t1', 'service-web');
    const ids = (rows: readonly { id: string }[]) => rows.map((row) => row.id);
    expect(ids(bench.state.tasksOfNode('n1'))).toEqual([]);
    bench.schedule({ kind: 'assign', id: 't1', nodeId: 'n1' });
    bench.task('t2', 'service-web', 'n1');
    expect(ids(bench.state.tasksOfNode('n1'))).toEqual(['t1', 't2']);
    expect(ids(bench.state.tasksOfService('service-web'))).toEqual(['t1', 't2']);
    expect(ids(bench.state.tasksUsingSecret('id-a'))).toEqual(['t1', 't2']);
    bench.report('t1', 'COMPLETE');
    expect(ids(bench.state.tasksUsingSecret('id-a'))).toEqual(['t2']);
    bench.schedule({ kind: 'delete', id: 't1' });
    expect(ids([...bench.state.tasks()])).toEqual(['t2']);
    expect(ids(bench.state.tasksOfNode('n1'))).toEqual(['t2']);
  });
});
