import { describe, expect, test } from '@jest/globals';
import { desiredAssignments } from '../src/index.js';
import { Bench, bindingSpec } from './support/bench.js';

function fleet(): Bench {
  const bench = new Bench();
  bench.node('n1');
  bench.node('n2');
  bench.set('a', 1);
  bench.set('b', 1);
  return bench;
}

const exposed = (bench: Bench, nodeId: string): string[] =>
  bench.state.exposureOfNode(nodeId).map((row) => `${row.secretName}@${row.version}`);

describe('exposure', () => {
  test('is recorded by the entry that assigns, for that node only', () => {
    const bench = fleet();
    const bindings = [
      bindingSpec({ secretId: 'id-a' }),
      bindingSpec({ secretId: 'id-b', version: 1 }),
    ];
    bench.service('web', { bindings });
    bench.task('t1', 'service-web');
    expect(exposed(bench, 'n1')).toEqual([]);
    bench.schedule({ kind: 'assign', id: 't1', nodeId: 'n1' });
    expect(exposed(bench, 'n1')).toEqual(['a@1', 'b@1']);
    expect(exposed(bench, 'n2')).toEqual([]);
    const first = bench.atMs;
    bench.task('t2', 'service-web', 'n1');
    const [row] = bench.state.exposureOfSecret('id-a');
    expect(row).toMatchObject({ firstAtMs: first, lastAtMs: bench.atMs });
  });

  test('follows the pointer to nodes whose live tasks follow it, and no others', () => {
    const bench = fleet();
    bench.service('follows', { bindings: [bindingSpec({ secretId: 'id-a' })] });
    bench.service('pins', { bindings: [bindingSpec({ secretId: 'id-a', version: 1 })] });
    bench.task('t1', 'service-follows', 'n1');
    bench.task('t2', 'service-pins', 'n2');
    bench.set('a', 2);
    expect(exposed(bench, 'n1')).toEqual(['a@1', 'a@2']);
    expect(exposed(bench, 'n2')).toEqual(['a@1']);
    bench.schedule({ kind: 'desire', id: 't1', desiredState: 'SHUTDOWN' });
    bench.set('a', 3);
    expect(exposed(bench, 'n1')).toEqual(['a@1', 'a@2']);
    bench.task('t3', 'service-follows', 'n2');
    bench.ok({ kind: 'secret.rollback', id: 'id-a', version: 2 });
    expect(exposed(bench, 'n2')).toEqual(['a@1', 'a@3', 'a@2']);
    bench.report('t3', 'COMPLETE');
    bench.set('a', 9);
    expect(exposed(bench, 'n2')).toEqual(['a@1', 'a@3', 'a@2']);
  });

  test('outlives the secret', () => {
    const bench = fleet();
    bench.service('web', { bindings: [bindingSpec({ secretId: 'id-a' })] });
    bench.task('t1', 'service-web', 'n1');
    bench.report('t1', 'COMPLETE');
    bench.ok({ kind: 'service.remove', id: 'service-web' });
    bench.ok({ kind: 'secret.remove', id: 'id-a' });
    expect(bench.state.exposureOfSecret('id-a')).toMatchObject([{ nodeId: 'n1', version: 1 }]);
  });
});

describe('what a node must hold', () => {
  test('tasks from ASSIGNED on; versions from ASSIGNED to RUNNING', () => {
    const bench = fleet();
    bench.set('c', 1);
    bench.set('d', 1);
    const shared = bindingSpec({ secretId: 'id-a' });
    const service = (name: string, secretId: string) =>
      bench.service(name, { bindings: [shared, bindingSpec({ secretId })] });
    service('one', 'id-b');
    service('two', 'id-c');
    service('three', 'id-d');
    bench.task('t1', 'service-one', 'n1');
    bench.task('t2', 'service-two', 'n1');
    bench.task('t3', 'service-three', 'n1');
    bench.task('waits', 'service-one');
    bench.task('elsewhere', 'service-one', 'n2');
    bench.report('t1', 'RUNNING');
    bench.report('t2', 'FAILED');
    bench.schedule({ kind: 'desire', id: 't3', desiredState: 'SHUTDOWN' });
    const { tasks, versions } = desiredAssignments(bench.state, 'n1');
    expect(tasks.map(({ task }) => task.id)).toEqual(['t1', 't2', 't3']);
    expect(tasks.map(({ bindings }) => bindings.length)).toEqual([2, 0, 0]);
    expect(versions).toEqual([
      { secretId: 'id-a', version: 1 },
      { secretId: 'id-b', version: 1 },
    ]);
    expect(desiredAssignments(bench.state, 'nobody')).toEqual({ tasks: [], versions: [] });
  });

  test('pins stay, pointers move', () => {
    const bench = fleet();
    const pinned = bindingSpec({ secretId: 'id-a', version: 1, target: 'pinned' });
    bench.service('web', { bindings: [bindingSpec({ secretId: 'id-a' }), pinned] });
    bench.task('t1', 'service-web', 'n1');
    bench.set('a', 2);
    const { tasks, versions } = desiredAssignments(bench.state, 'n1');
    expect(tasks[0]?.bindings.map(({ version }) => version)).toEqual([2, 1]);
    expect(versions).toEqual([
      { secretId: 'id-a', version: 1 },
      { secretId: 'id-a', version: 2 },
    ]);
  });

  test('a required version that was destroyed makes its task undeliverable, an optional one not', () => {
    const bench = fleet();
    const optional = bindingSpec({ secretId: 'id-b', version: 1, isOptional: true });
    bench.service('strict', { bindings: [bindingSpec({ secretId: 'id-a' }), optional] });
    bench.service('loose', { bindings: [bindingSpec({ secretId: 'id-b', isOptional: true })] });
    bench.task('t1', 'service-strict', 'n1');
    bench.task('t2', 'service-loose', 'n1');
    bench.ok({ kind: 'secret.destroy-version', id: 'id-b', version: 1, force: true });
    const before = desiredAssignments(bench.state, 'n1');
    expect(before.tasks.map(({ undeliverable }) => undeliverable)).toEqual(['', '']);
    expect(before.tasks[1]?.bindings[0]).toMatchObject({
      version: 0,
      reason: 'version 1 of secret b was destroyed',
    });
    expect(before.versions).toEqual([{ secretId: 'id-a', version: 1 }]);
    bench.ok({ kind: 'secret.destroy-version', id: 'id-a', version: 1, force: true });
    const after = desiredAssignments(bench.state, 'n1');
    expect(after.tasks[0]?.undeliverable).toBe('version 1 of secret a was destroyed');
    expect(after.versions).toEqual([]);
    bench.set('c', 1);
    const both = [bindingSpec({ secretId: 'id-c' }), bindingSpec({ secretId: 'id-a' })];
    bench.service('half', { bindings: both });
    bench.task('t3', 'service-half', 'n1');
    // It never starts, so its node has no use for the other secret either.
    const { tasks, versions } = desiredAssignments(bench.state, 'n1');
    expect(tasks[2]?.bindings.map(({ version }) => version)).toEqual([1, 0]);
    expect(versions).toEqual([]);
  });
});

describe('receipts', () => {
  test('keep the newest report of each binding; the rest is skipped and counted', () => {
    const bench = fleet();
    bench.service('web', { bindings: [bindingSpec({ secretId: 'id-a' })] });
    bench.task('t1', 'service-web', 'n1');
    bench.set('a', 2);
    const line = {
      taskId: 't1',
      target: 'a',
      secretId: 'id-a',
      version: 1,
      outcome: 'delivered',
      detail: '',
      atMs: bench.atMs,
      nodeId: 'n1',
    } as const;
    const receipts = [
      line,
      { ...line, version: 2, outcome: 'failed', detail: 'hook ended with 1' } as const,
      { ...line, version: 3 },
      { ...line, target: 'other' },
      { ...line, secretId: 'id-b' },
      { ...line, taskId: 'gone' },
      { ...line, nodeId: 'n2' },
    ];
    expect(bench.ok({ kind: 'receipts.report', receipts })).toEqual({
      applied: 2,
      unknown: 4,
      foreign: 1,
      stale: 0,
    });
    const newest = { version: 2, outcome: 'failed', detail: 'hook ended with 1' } as const;
    const { nodeId, ...row } = line;
    expect(nodeId).toBe('n1');
    const kept = { ...row, ...newest, index: bench.state.appliedIndex };
    expect(bench.state.receiptsOfTask('t1')).toEqual([kept]);
    expect(bench.state.receiptsOfSecret('id-a')).toEqual([kept]);
    // Overtaken on its way by what was reported later through another manager.
    const report = (version: number, atMs: number): unknown =>
      bench.ok({ kind: 'receipts.report', receipts: [{ ...line, version, atMs }] })['stale'];
    expect(report(2, line.atMs + 5_000)).toBe(0);
    expect(report(1, line.atMs)).toBe(1);
    expect(bench.state.receiptsOfTask('t1')).toMatchObject([{ version: 2 }]);
    // Far behind: the clock of the node was set back.
    expect(report(1, line.atMs - 60_000)).toBe(0);
    expect(bench.state.receiptsOfTask('t1')).toMatchObject([{ version: 1 }]);
  });
});
