import { beforeEach, expect, test } from '@jest/globals';
import type { NodeRow, State } from '@conclave/state';
import { RoleChanges } from '../src/role-changes.js';
import { SimulatedTime } from './simulated-time.js';

let time: SimulatedTime;
let changes: RoleChanges;

beforeEach(() => {
  time = new SimulatedTime();
  changes = new RoleChanges(time);
});

const worker = { id: 'n', role: 'worker', wantedRole: 'worker' } as NodeRow;
const manager = (membership: NonNullable<NodeRow['manager']>['membership']): NodeRow =>
  ({ ...worker, role: 'manager', wantedRole: 'manager', manager: { membership } }) as NodeRow;

function now(after: NodeRow | undefined): void {
  const change = { kind: 'node', id: 'n', action: 'updated', before: worker, after } as const;
  changes.follow({ kind: 'applied', batch: { index: 1, changes: [change] } }, {} as State);
}

function replaced(...nodes: NodeRow[]): void {
  const state = {
    nodes: () => nodes,
    nodeById: (id: string) => nodes.find((node) => node.id === id),
  };
  changes.follow({ kind: 'replaced' }, state as never);
}

test.each<[string, NodeRow]>([
  ['a promotion', { ...worker, wantedRole: 'manager' }],
  ['a manager that joins', manager('joining')],
  ['a learner', manager('learner')],
  ['a manager on its way out', manager('removing')],
  ['a demotion', { ...manager('removing'), wantedRole: 'worker' }],
])('%s is under way since it was seen first, until it is done', (_what, node) => {
  now(node);
  time.jump(50);
  now({ ...node, message: 'another change' });
  time.jump(51);
  expect([...changes.longerThan(100)]).toEqual(['n']);
  expect([...changes.longerThan(101)]).toEqual([]);
  now(worker);
  expect([...changes.longerThan(0)]).toEqual([]);
  now(node);
  time.jump(60);
  expect([...changes.longerThan(100)]).toEqual([]);
});

test('workers, voters, and hosts that wait for approval change nothing', () => {
  for (const node of [worker, manager('voter')]) now(node);
  now({ ...manager('joining'), waiting: { manager: undefined } });
  time.jump(1_000);
  expect([...changes.longerThan(0)]).toEqual([]);
});

test('one that is gone is forgotten; a whole new state is looked through', () => {
  now(manager('learner'));
  now(undefined);
  time.jump(1_000);
  expect([...changes.longerThan(0)]).toEqual([]);
  now(manager('learner'));
  replaced({ ...manager('joining'), id: 'other' });
  time.jump(1_000);
  expect([...changes.longerThan(0)]).toEqual(['other']);
});
