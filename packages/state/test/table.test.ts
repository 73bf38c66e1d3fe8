import { describe, expect, test } from '@jest/globals';
import { limits } from '@conclave/kernel';
import { Digest } from '../src/digest.js';
import { exposeTask } from '../src/exposure.js';
import { Journal } from '../src/journal.js';
import { GroupIndex, Table } from '../src/table.js';
import { Tables } from '../src/tables.js';
import { Bench, bindingSpec } from './support/bench.js';

interface Row {
  readonly id: string;
  readonly group: string;
}

function tableOf(isRecencyOrdered: boolean): { table: Table<Row>; index: GroupIndex<Row> } {
  const index = new GroupIndex<Row>((row) => [row.group]);
  const keyOf = (row: Row): string => row.id;
  const table = new Table<Row>({ name: 'row', keyOf, indexes: [index], isRecencyOrdered });
  return { table, index };
}

const put = (table: Table<Row>, ...rows: Row[]): void => {
  for (const row of rows) table.write(row.id, row);
};

describe('a table', () => {
  test('keeps the order of creation; with recency a written row goes behind the others', () => {
    for (const isRecencyOrdered of [false, true]) {
      const { table } = tableOf(isRecencyOrdered);
      put(table, { id: 'a', group: '' }, { id: 'b', group: '' }, { id: 'a', group: 'x' });
      const order = [...table.values()].map((row) => row.id);
      expect(order).toEqual(isRecencyOrdered ? ['b', 'a'] : ['a', 'b']);
    }
  });

  test('gives the oldest row first, through removals and new rows', () => {
    const { table } = tableOf(true);
    const taken: (string | undefined)[] = [];
    const take = (): void => {
      const key = table.takeOldestKey();
      taken.push(key);
      if (key !== undefined) table.write(key, undefined);
    };
    put(table, { id: 'a', group: '' }, { id: 'b', group: '' }, { id: 'c', group: '' });
    take();
    put(table, { id: 'b', group: '' });
    take();
    take();
    take();
    put(table, { id: 'd', group: '' });
    take();
    expect(taken).toEqual(['a', 'c', 'b', undefined, 'd']);
  });

  test('its indexes follow rows from group to group', () => {
    const { table, index } = tableOf(false);
    put(table, { id: 'a', group: 'x' }, { id: 'b', group: 'x' }, { id: 'c', group: 'y' });
    expect([...index.keys('x')]).toEqual(['a', 'b']);
    expect(index.count('y')).toBe(1);
    put(table, { id: 'a', group: 'y' });
    expect([...index.keys('x')]).toEqual(['b']);
    expect([...index.keys('y')]).toEqual(['c', 'a']);
    for (const key of ['a', 'b', 'c']) table.write(key, undefined);
    expect(index.count('x') + index.count('y')).toBe(0);
  });

  test('a frozen copy stays as it was', () => {
    const { table } = tableOf(false);
    put(table, { id: 'a', group: '' });
    const frozen = table.freeze();
    put(table, { id: 'a', group: 'x' }, { id: 'b', group: '' });
    expect(frozen).toEqual([{ id: 'a', group: '' }]);
  });
});

describe('the record of exposure', () => {
  test('is bounded: what was not renewed for longest goes', () => {
    const bench = new Bench();
    bench.node('n1');
    bench.set('a', 1);
    bench.service('web', { bindings: [bindingSpec({ secretId: 'id-a' })] });
    bench.task('t1', 'service-web', 'n1');
    const task = bench.state.taskById('t1');
    const command = bench.log.at(-1);
    const tables = new Tables();
    const stored = tables.secrets.storeVersion({
      secretId: 'id-a',
      version: 1,
      sealed: { keyId: 1, wrappedDek: new Uint8Array(1), envelope: new Uint8Array(1), size: 1 },
      digest: new Uint8Array(1),
      createdAtMs: 1,
      createdBy: { kind: 'system', id: '' },
      index: 1,
    });
    const row = bench.state.secretById('id-a');
    if (task === undefined || command === undefined || row === undefined) throw new Error('absent');
    const history = { count: 0, firstRevision: 1, packed: new Uint8Array(0) };
    tables.secrets.replace(undefined, { row, versions: [stored], history });
    for (let number = 0; number < limits.EXPOSURE_COUNT_MAX; number += 1) {
      const old = { nodeId: `old-${number}`, secretId: 'x', secretName: 'x', version: 1 };
      const key = `${old.nodeId}/x@1`;
      tables.exposure.write(key, { ...old, firstAtMs: 1, lastAtMs: 1 });
    }
    const scope = { tables, journal: new Journal(new Digest()), index: 9, command };
    for (const nodeId of ['n1', 'n2', 'n1']) exposeTask(scope, { ...task, nodeId });
    expect(tables.exposure.size).toBe(limits.EXPOSURE_COUNT_MAX);
    const has = (nodeId: string): boolean => tables.indexes.exposureByNode.count(nodeId) > 0;
    expect(['old-0', 'old-1', 'old-2', 'n1', 'n2'].map(has)).toEqual([
      false,
      false,
      true,
      true,
      true,
    ]);
  });
});
