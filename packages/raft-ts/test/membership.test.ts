import { describe, expect, test } from '@jest/globals';
import type { ConfChange, ConfChangeSingle } from '../src/index.js';
import { LEAVE_JOINT, message } from '../src/index.js';
import { Cluster } from './support/cluster.js';

const add = (nodeId: number): ConfChangeSingle => ({ type: 'ConfChangeAddNode', nodeId });
const learn = (nodeId: number): ConfChangeSingle => ({ type: 'ConfChangeAddLearnerNode', nodeId });
const remove = (nodeId: number): ConfChangeSingle => ({ type: 'ConfChangeRemoveNode', nodeId });

const simple = (change: ConfChangeSingle): ConfChange => ({ version: 1, change });
const auto = (...changes: ConfChangeSingle[]): ConfChange => ({
  version: 2,
  transition: 'auto',
  changes,
});
const explicit = (...changes: ConfChangeSingle[]): ConfChange => ({
  version: 2,
  transition: 'jointExplicit',
  changes,
});

const modes = [{ asyncStorageWrites: false }, { asyncStorageWrites: true }];

describe.each(modes)('changes of the configuration with %j', (config) => {
  test('a learner joins, catches up and is promoted', () => {
    const cluster = new Cluster({ voters: [1, 2, 3], config });
    cluster.elect(1);
    cluster.propose(1, 'a');
    cluster.addBlank(4);
    cluster.change(1, simple(learn(4)));
    expect(cluster.member(4).confState).toMatchObject({ voters: [1, 2, 3], learners: [4] });
    expect(cluster.member(4).applied).toEqual(['a']);
    cluster.change(1, simple(add(4)));
    for (const id of [1, 2, 3, 4]) {
      expect(cluster.member(id).confState).toMatchObject({ voters: [1, 2, 3, 4], learners: [] });
    }
  });

  test('a joint change replaces several voters and is left by itself', () => {
    const cluster = new Cluster({ voters: [1, 2, 3], config });
    cluster.elect(1);
    cluster.addBlank(4);
    cluster.addBlank(5);
    cluster.change(1, auto(add(4), add(5), remove(2), learn(3)));
    cluster.settle();
    for (const id of [1, 4, 5]) {
      expect(cluster.member(id).confState).toEqual({
        voters: [1, 4, 5],
        votersOutgoing: [],
        learners: [3],
        learnersNext: [],
        autoLeave: false,
      });
    }
  });

  test.each([
    { group: [1, 4, 5], count: 0 },
    { group: [1, 2, 3], count: 0 },
    { group: [1, 2, 4], count: 1 },
  ])('in a joint configuration both majorities decide: $group', ({ group, count }) => {
    const cluster = new Cluster({ voters: [1, 2, 3], config });
    cluster.elect(1);
    cluster.addBlank(4);
    cluster.addBlank(5);
    cluster.change(1, explicit(add(4), add(5), remove(2), remove(3)));
    cluster.isolate(...group);
    cluster.propose(1, 'a');
    cluster.tickAll(3);
    expect(cluster.member(1).applied).toHaveLength(count);
    cluster.heal();
    cluster.tickAll(3);
    cluster.change(1, LEAVE_JOINT);
    expect(cluster.member(5).confState).toMatchObject({ voters: [1, 4, 5], votersOutgoing: [] });
  });

  test.each([
    ['the last voter away', simple(remove(1))],
    ['the last voter to the learners', simple(learn(1))],
    ['all voters away', explicit(remove(1))],
  ])('a change that takes %s becomes an empty entry', (_, change) => {
    const cluster = new Cluster({ voters: [1], config });
    cluster.elect(1);
    cluster.change(1, change);
    cluster.propose(1, 'a');
    cluster.settle();
    expect(cluster.member(1).confState).toMatchObject({ voters: [1], votersOutgoing: [] });
    expect(cluster.member(1).applied).toEqual(['a']);
  });

  test('so does an empty change that does not leave a joint configuration', () => {
    const cluster = new Cluster({ voters: [1], config });
    cluster.elect(1);
    cluster.change(1, explicit(learn(2)));
    cluster.change(1, explicit());
    expect(cluster.member(1).confState.votersOutgoing).toEqual([1]);
    cluster.change(1, LEAVE_JOINT);
    expect(cluster.member(1).confState.votersOutgoing).toEqual([]);
  });

  test('a joint configuration is left also if the leader changes in between', () => {
    const cluster = new Cluster({ voters: [1, 2, 3], config });
    cluster.elect(1);
    cluster.addBlank(4);
    cluster.node(1).proposeConfChange(auto(add(4), remove(3)));
    // The empty change of the leader does not get through.
    cluster.arrives = ({ entries }) =>
      !entries.some((e) => e.type === 'EntryConfChangeV2' && e.data.length === 0);
    cluster.settle();
    expect(cluster.member(2).confState.votersOutgoing).toEqual([1, 2, 3]);
    cluster.heal();
    cluster.isolate(2, 3, 4);
    cluster.elect(2);
    cluster.settle();
    cluster.heal();
    cluster.tickAll(5);
    expect(cluster.member(2).confState).toMatchObject({ voters: [1, 2, 4], votersOutgoing: [] });
    expect(cluster.member(1).confState).toMatchObject({ voters: [1, 2, 4], votersOutgoing: [] });
  });

  test('a leader that is removed steps down, if that is configured', () => {
    const cluster = new Cluster({
      voters: [1, 2, 3],
      config: { ...config, stepDownOnRemoval: true },
    });
    cluster.elect(1);
    cluster.change(1, simple(remove(1)));
    expect(cluster.role(1)).toBe('StateFollower');
    cluster.elect(2);
    expect(cluster.node(2).status().config.voters[0]).toEqual(new Set([2, 3]));
  });

  test('a smaller quorum commits what waited for the larger one', () => {
    const cluster = new Cluster({ voters: [1, 2], config });
    cluster.elect(1);
    cluster.node(1).proposeConfChange(simple(remove(2)));
    cluster.propose(1, 'waits');
    cluster.arrives = ({ to, entries }) => to !== 2 || !entries.some(({ index }) => index === 4);
    cluster.settle();
    expect(cluster.member(1).applied).toEqual(['waits']);
  });
});

describe('one change at a time', () => {
  test('a refused change becomes an empty entry', () => {
    const cluster = new Cluster({ voters: [1, 2, 3] });
    cluster.elect(1);
    cluster.node(1).proposeConfChange(simple(learn(4)));
    cluster.node(1).proposeConfChange(simple(learn(5)));
    cluster.node(1).proposeConfChange(LEAVE_JOINT);
    cluster.settle();
    expect(cluster.member(2).confState.learners).toEqual([4]);
    const { storage } = cluster.member(2);
    expect(storage.entries(3, 6, Number.POSITIVE_INFINITY)).toMatchObject([
      { type: 'EntryConfChange' },
      { type: 'EntryNormal', data: new Uint8Array(0) },
      { type: 'EntryNormal', data: new Uint8Array(0) },
    ]);
  });

  test('a new leader assumes that its log holds one', () => {
    const cluster = new Cluster({ voters: [1, 2, 3] });
    cluster.elect(1);
    cluster.isolate(1);
    cluster.propose(1, 'tail');
    cluster.settle();
    cluster.heal();
    cluster.arrives = ({ type }) => type !== 'MsgApp';
    cluster.node(1).step(message('MsgHeartbeat', { from: 2, to: 1, term: 2 }));
    cluster.node(1).campaign();
    cluster.settle();
    expect(cluster.role(1)).toBe('StateLeader');
    cluster.node(1).proposeConfChange(simple(learn(9)));
    cluster.heal();
    cluster.tickAll(3);
    expect(cluster.member(1).confState.learners).toEqual([]);
    cluster.change(1, simple(learn(9)));
    expect(cluster.member(1).confState.learners).toEqual([9]);
  });

  test('a host that vetoes a change applies it with id 0', () => {
    const cluster = new Cluster({ voters: [1, 2, 3] });
    const before = cluster.member(1).confState;
    expect(cluster.node(1).applyConfChange(simple(add(0)))).toEqual(before);
    expect(cluster.node(1).applyConfChange(auto(remove(0)))).toEqual(before);
  });

  test('a change that is not possible is a broken log', () => {
    const cluster = new Cluster({ voters: [1, 2, 3] });
    expect(() => cluster.node(1).applyConfChange(LEAVE_JOINT)).toThrow(
      expect.objectContaining({ code: 'INVARIANT' }),
    );
  });
});

describe('first members', () => {
  test('bootstrap gives all of them the same entries', () => {
    const cluster = new Cluster({ voters: [] });
    for (const id of [1, 2, 3]) {
      cluster.addBlank(id);
      cluster.node(id).bootstrap([{ id: 1 }, { id: 2 }, { id: 3 }]);
    }
    cluster.settle();
    for (const id of [1, 2, 3]) {
      expect(cluster.member(id).confState.voters).toEqual([1, 2, 3]);
      expect(cluster.node(id).basicStatus()).toMatchObject({ term: 1, commit: 3, applied: 3 });
    }
    cluster.elect(2);
    cluster.propose(3, 'a');
    cluster.settle();
    expect(cluster.member(1).applied).toEqual(['a']);
  });

  test('bootstrap is refused without members and for storages in use', () => {
    const cluster = new Cluster({ voters: [1] });
    expect(() => cluster.node(1).bootstrap([{ id: 1 }])).toThrow("can't bootstrap a nonempty");
    cluster.addBlank(2);
    expect(() => cluster.node(2).bootstrap([])).toThrow('at least one peer');
    expect(cluster.role(2)).toBe('StateFollower');
  });
});
