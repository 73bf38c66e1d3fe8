import { describe, expect, test } from '@jest/globals';
import { restoreState, State } from '../src/index.js';
import type { ChangeBatch, CommandResult, TaskChange } from '../src/index.js';
import { Bench, bindingSpec } from './support/bench.js';

function watched(bench: Bench): ChangeBatch[] {
  const batches: ChangeBatch[] = [];
  bench.state.watch((batch) => batches.push(batch));
  return batches;
}

const endless = (): unknown => [endless()];

describe('watching', () => {
  test('one entry is one batch, told when it is complete', () => {
    const bench = new Bench();
    let seen = 0;
    bench.state.watch(({ index, changes }) => {
      expect(index).toBe(bench.state.appliedIndex);
      for (const { kind, id } of changes) {
        if (kind === 'secret') expect(bench.state.secretById(id)).toBeDefined();
      }
      seen += 1;
    });
    bench.set('a', 1);
    bench.set('a', 1);
    bench.state.skip(bench.state.appliedIndex + 1);
    expect(seen).toBe(1);
  });

  test('changes have the rows before and after, and no sealed bytes', () => {
    const bench = new Bench();
    const batches = watched(bench);
    bench.set('a', 1);
    bench.ok({ kind: 'secret.remove', id: 'id-a' });
    expect(batches.map(({ changes }) => changes.map(({ kind, action, id }) => [kind, action, id]))) //
      .toEqual([
        [
          ['version', 'created', 'id-a@1'],
          ['secret', 'created', 'id-a'],
        ],
        [
          ['version', 'removed', 'id-a@1'],
          ['secret', 'removed', 'id-a'],
        ],
      ]);
    const [created, removed] = batches.map(({ changes }) => changes[0]);
    expect(created?.before).toBeUndefined();
    expect(created?.after).toEqual(removed?.before);
    for (const { changes } of batches) {
      for (const change of changes) {
        expect(change.after ?? {}).not.toHaveProperty('sealed');
        expect(change.before ?? {}).not.toHaveProperty('sealed');
      }
    }
  });

  test('all that one entry does to tasks comes in one batch', () => {
    const bench = new Bench();
    bench.node('n1');
    bench.service('web');
    bench.task('t1', 'service-web', 'n1');
    bench.task('t2', 'service-web', 'n1');
    const batches = watched(bench);
    bench.ok({ kind: 'node.remove', id: 'n1', force: true });
    expect(batches).toHaveLength(1);
    expect(batches[0]?.changes.map(({ kind, id }) => `${kind} ${id}`)).toEqual([
      'task t1',
      'task t2',
      'node n1',
    ]);
  });

  test('a watcher that stopped hears nothing; one that watches twice hears twice', () => {
    const bench = new Bench();
    let count = 0;
    const listener = (): void => {
      count += 1;
    };
    const stop = bench.state.watch(listener);
    bench.state.watch(listener);
    bench.set('a', 1);
    stop();
    stop();
    bench.set('a', 2);
    expect(count).toBe(3);
  });

  test('a watcher that throws takes nothing from the others or from the state', () => {
    const bench = new Bench();
    const fault = new Error('watcher');
    bench.state.watch(() => {
      throw fault;
    });
    const batches = watched(bench);
    expect(() => bench.set('a', 1)).toThrow(fault);
    expect(batches).toHaveLength(1);
    expect(bench.state.secretById('id-a')).toBeDefined();
    expect(() => bench.set('a', 2)).toThrow(fault);
    expect(batches).toHaveLength(2);
  });

  test('a watcher cannot apply', () => {
    const bench = new Bench();
    bench.state.watch(() => {
      bench.state.skip(bench.state.appliedIndex + 1);
    });
    expect(() => bench.set('a', 1)).toThrow('a watcher applied a command');
  });
});

describe('resuming a watch', () => {
  test('missed batches come again', () => {
    const bench = new Bench();
    const batches = watched(bench);
    for (const seed of [1, 2, 3]) bench.set('a', seed);
    expect(bench.state.changesSince(0)).toEqual(batches);
    expect(bench.state.changesSince(1)).toEqual(batches.slice(1));
    expect(bench.state.changesSince(3)).toEqual([]);
    expect(bench.state.changesSince(99)).toEqual([]);
  });

  test('what is not kept any more is an error, not a gap', () => {
    const bench = new Bench(new State({ watchHistoryMax: 6 }));
    for (let seed = 1; seed <= 10; seed += 1) bench.set('a', seed);
    // Two changes per entry: the last three entries are kept.
    expect(bench.state.changesSince(6)).toBe('compacted');
    expect(bench.state.changesSince(7)).toMatchObject([{ index: 8 }, { index: 9 }, { index: 10 }]);
    const forgetful = new Bench(new State({ watchHistoryMax: 0 }));
    forgetful.set('a', 1);
    expect(forgetful.state.changesSince(0)).toBe('compacted');
    expect(forgetful.state.changesSince(1)).toEqual([]);
  });
});

describe('applying', () => {
  test('an entry once and in order', () => {
    const bench = new Bench();
    bench.set('a', 1);
    const command = { ...bench.setCommand('b', 1), atMs: 1, request: undefined };
    const by = { kind: 'admin', id: 'x' } as const;
    expect(() => bench.state.apply(1, { ...command, by })).toThrow('twice or out of order');
    expect(() => {
      bench.state.skip(1);
    }).toThrow('twice or out of order');
    expect(bench.state.secretByName('b')).toBeUndefined();
  });

  test('a defect in a handler is taken back whole and answered', () => {
    const bench = new Bench();
    bench.node('n1');
    bench.set('a', 1);
    bench.service('web', { bindings: [bindingSpec({ secretId: 'id-a' })] });
    bench.task('t1', 'service-web', 'n1');
    const digest = bench.state.digest();
    const batches = watched(bench);
    const index = bench.state.appliedIndex + 1;
    const orphan = (changes: readonly TaskChange[]): CommandResult =>
      bench.state.apply(index, {
        kind: 'tasks.schedule',
        changes,
        atMs: 1,
        by: { kind: 'system', id: '' },
        request: undefined,
      });
    // The first lines are done when the last, which no decoder would let through, breaks.
    const broken = Object.defineProperty({ kind: 'desire' }, 'id', {
      get: () => {
        throw new Error('defect');
      },
    }) as TaskChange;
    const twice = (['SHUTDOWN', 'REMOVE'] as const).map(
      (desiredState) => ({ kind: 'desire', id: 't1', desiredState }) as const,
    );
    expect(orphan([...twice, broken])).toMatchObject({
      ok: false,
      code: 'CV_INTERNAL',
    });
    expect(bench.state.digest()).toBe(digest);
    expect(batches).toEqual([]);
    expect(bench.state.taskById('t1')?.desiredState).toBe('RUNNING');
    expect(bench.state.appliedIndex).toBe(index);
    expect(restoreState(bench.state.freeze().chunks()).digest()).toBe(digest);
  });

  test.each<[string, () => unknown, boolean]>([
    ['no room for a buffer', () => new ArrayBuffer(Number.MAX_SAFE_INTEGER), true],
    ['an endless recursion', endless, true],
    ['an offset out of bounds', () => new DataView(new ArrayBuffer(1)).getInt32(8), false],
    ['a number that is not whole', () => BigInt(0.5), false],
  ])('%s stops the manager only when it is its own lack', (_what, act, isOwn) => {
    const bench = new Bench();
    bench.node('n1');
    const broken = Object.defineProperty({ kind: 'desire' }, 'id', { get: act }) as TaskChange;
    const apply = (): CommandResult =>
      bench.state.apply(bench.state.appliedIndex + 1, {
        kind: 'tasks.schedule',
        changes: [broken],
        atMs: 1,
        by: { kind: 'system', id: '' },
        request: undefined,
      });
    if (isOwn) expect(apply).toThrow(/allocation failed|call stack/);
    else expect(apply()).toMatchObject({ ok: false, code: 'CV_INTERNAL' });
  });

  test('a defect in the middle of a change of a secret leaves the secret as it was', () => {
    const bench = new Bench();
    bench.node('n1');
    for (const seed of [1, 2]) bench.set('a', seed);
    bench.service('web', { bindings: [bindingSpec({ secretId: 'id-a' })] });
    bench.task('t1', 'service-web', 'n1');
    const digest = bench.state.digest();
    const versions = [1, 2].map((version) => bench.state.secretVersion('id-a', version));
    // Only whole numbers are packed, so this breaks when the version is stored.
    const by = { kind: 'admin', id: 'local' } as const;
    for (const broken of [bench.setCommand('a', 3), bench.setCommand('new', 3)]) {
      const command = { ...broken, by, atMs: 0.5, request: undefined };
      const result = bench.state.apply(bench.state.appliedIndex + 1, command);
      expect(result).toMatchObject({ ok: false, code: 'CV_INTERNAL' });
    }
    expect(bench.state.digest()).toBe(digest);
    expect([1, 2].map((version) => bench.state.secretVersion('id-a', version))).toEqual(versions);
    expect(bench.state.secretByName('new')).toBeUndefined();
    expect(restoreState(bench.state.freeze().chunks()).digest()).toBe(digest);
    expect(bench.set('a', 3)).toMatchObject({ version: 3 });
  });
});
