import { describe, expect, test } from '@jest/globals';
import { message } from '../src/index.js';
import { Cluster } from './support/cluster.js';

const config = { preVote: true, checkQuorum: true };

describe('leadership transfer', () => {
  test('overrides the lease, and needs no pre-vote', () => {
    const cluster = new Cluster({ voters: [1, 2, 3], config });
    cluster.elect(1);
    cluster.node(1).transferLeader(2);
    cluster.settle();
    expect(cluster.leaders()).toEqual([2]);
    expect(cluster.node(3).basicStatus()).toMatchObject({ term: 2, lead: 2 });
  });

  test('a follower passes the request on', () => {
    const cluster = new Cluster({ voters: [1, 2, 3], config });
    cluster.elect(1);
    cluster.node(3).transferLeader(2);
    cluster.settle();
    expect(cluster.leaders()).toEqual([2]);
  });

  test('the target catches up first', () => {
    const cluster = new Cluster({ voters: [1, 2, 3], config });
    cluster.elect(1);
    cluster.isolate(2);
    cluster.propose(1, 'a');
    cluster.settle();
    cluster.heal();
    cluster.node(1).transferLeader(2);
    cluster.settle();
    cluster.tickAll(1);
    expect(cluster.leaders()).toEqual([2]);
    expect(cluster.member(2).applied).toEqual(['a']);
  });

  test('is given up after an election timeout, and proposals work again', () => {
    const cluster = new Cluster({ voters: [1, 2, 3], config });
    cluster.elect(1);
    cluster.isolate(2);
    cluster.node(1).transferLeader(2);
    expect(cluster.node(1).basicStatus().leadTransferee).toBe(2);
    expect(() => cluster.propose(1, 'a')).toThrow('raft proposal dropped');
    cluster.tickAll(9);
    expect(cluster.node(1).basicStatus().leadTransferee).toBe(2);
    cluster.tickAll(1);
    expect(cluster.node(1).basicStatus()).toMatchObject({ leadTransferee: 0, lead: 1 });
    cluster.propose(1, 'b');
  });

  test('to a learner, to itself and to strangers does nothing', () => {
    const cluster = new Cluster({ voters: [1, 2, 3], learners: [4], config });
    cluster.elect(1);
    for (const id of [1, 4, 9]) {
      cluster.node(1).transferLeader(id);
      expect(cluster.node(1).basicStatus().leadTransferee).toBe(0);
    }
  });

  test('ends when the target leaves', () => {
    const cluster = new Cluster({ voters: [1, 2, 3], config });
    cluster.elect(1);
    cluster.node(1).proposeConfChange({
      version: 1,
      change: { type: 'ConfChangeRemoveNode', nodeId: 2 },
    });
    cluster.arrives = ({ type }) => type !== 'MsgTimeoutNow';
    cluster.node(1).transferLeader(2);
    cluster.settle();
    expect(cluster.node(1).basicStatus()).toMatchObject({ leadTransferee: 0, lead: 1 });
  });

  test('a later request replaces an earlier one', () => {
    const cluster = new Cluster({ voters: [1, 2, 3], config });
    cluster.elect(1);
    cluster.arrives = ({ type, to }) => type !== 'MsgTimeoutNow' || to !== 2;
    cluster.node(1).transferLeader(2);
    cluster.node(1).transferLeader(3);
    cluster.settle();
    expect(cluster.leaders()).toEqual([3]);
  });
});

describe('forgetting the leader', () => {
  test('lets a follower vote before its lease ends', () => {
    const cluster = new Cluster({ voters: [1, 2, 3], config });
    cluster.elect(1);
    const request = message('MsgVote', { from: 3, to: 2, term: 2, index: 2, logTerm: 1 });
    cluster.deliver(request);
    expect(cluster.node(2).basicStatus().vote).toBe(1);
    cluster.node(2).forgetLeader();
    cluster.deliver(request);
    expect(cluster.node(2).basicStatus()).toMatchObject({ term: 2, vote: 3 });
  });

  test('has no effect with reads on a lease', () => {
    const cluster = new Cluster({
      voters: [1, 2, 3],
      config: { checkQuorum: true, readOnlyOption: 'leaseBased' },
    });
    cluster.elect(1);
    cluster.node(2).forgetLeader();
    expect(cluster.node(2).basicStatus().lead).toBe(1);
  });
});
