import { describe, expect, test } from '@jest/globals';
import type { Snapshot } from '../src/index.js';
import { message } from '../src/index.js';
import { bytes } from './support/bytes.js';
import { Cluster } from './support/cluster.js';

const modes = [{ asyncStorageWrites: false }, { asyncStorageWrites: true }];

function compactedCluster(config: object): Cluster {
  const cluster = new Cluster({ voters: [1, 2, 3], config });
  cluster.elect(1);
  cluster.isolate(3);
  for (const payload of ['a', 'b', 'c']) cluster.propose(1, payload);
  cluster.settle();
  const { storage } = cluster.member(1);
  storage.compact(storage.lastIndex());
  return cluster;
}

describe.each(modes)('snapshots with %j', (config) => {
  test('a follower behind the compacted log gets one, then entries', () => {
    const cluster = compactedCluster(config);
    cluster.heal();
    cluster.tickAll(3);
    expect(cluster.member(3).applied).toEqual(['a', 'b', 'c']);
    cluster.propose(1, 'd');
    cluster.settle();
    expect(cluster.member(3).applied).toEqual(['a', 'b', 'c', 'd']);
    expect(cluster.node(1).status().progress.get(3)?.state).toBe('StateReplicate');
  });

  test('a compaction between two looks at the log leads to one', () => {
    const cluster = new Cluster({ voters: [1, 2, 3], config });
    cluster.elect(1);
    cluster.isolate(3);
    cluster.propose(1, 'a');
    cluster.settle();
    cluster.member(1).storage.entries = () => 'compacted';
    cluster.heal();
    cluster.tickAll(3);
    expect(cluster.member(3).applied).toEqual(['a']);
  });

  test('a reported loss leads to another attempt', () => {
    const cluster = compactedCluster(config);
    cluster.arrives = ({ type, to }) => type !== 'MsgSnap' && to !== 9;
    cluster.tickAll(2);
    expect(cluster.node(1).status().progress.get(3)?.state).toBe('StateSnapshot');
    cluster.heal();
    cluster.tickAll(5);
    expect(cluster.member(3).applied).toEqual([]);
    cluster.node(1).reportSnapshot(3, 'failure');
    cluster.tickAll(2);
    expect(cluster.member(3).applied).toEqual(['a', 'b', 'c']);
  });

  test('none is sent to a follower that was not heard of', () => {
    const cluster = compactedCluster({ ...config, checkQuorum: true });
    cluster.tickAll(25);
    const node = cluster.node(1);
    node.reportUnreachable(3);
    expect(node.status().progress.get(3)).toMatchObject({ recentActive: false });
    cluster.propose(1, 'd');
    cluster.settle();
    expect(node.status().progress.get(3)?.state).toBe('StateProbe');
    cluster.heal();
    cluster.tickAll(60);
    expect(cluster.member(3).applied).toEqual(['a', 'b', 'c', 'd']);
  });

  test('the log takes over as soon as it can, whatever was acknowledged', () => {
    const cluster = compactedCluster(config);
    cluster.propose(1, 'after the compaction');
    cluster.settle();
    cluster.arrives = ({ type }) => type !== 'MsgSnap';
    cluster.tickAll(2);
    const pending = cluster.node(1).status().progress.get(3)?.pendingSnapshot ?? 0;
    expect(pending).toBe(6);
    // Another snapshot, older than the one that is on its way, has reached the follower.
    cluster.deliver(message('MsgAppResp', { from: 3, to: 1, term: 1, index: pending - 1 }));
    expect(cluster.node(1).status().progress.get(3)).toMatchObject({
      state: 'StateReplicate',
      match: pending - 1,
    });
  });

  test('a snapshot that is being installed bars campaigns', () => {
    const cluster = new Cluster({ voters: [1, 2, 3], config });
    const snapshot: Snapshot = {
      data: bytes('["x"]'),
      metadata: { index: 9, term: 1, confState: cluster.member(1).confState },
    };
    const node = cluster.node(3);
    node.step(message('MsgSnap', { from: 1, to: 3, term: 2, snapshot }));
    node.campaign();
    expect(cluster.role(3)).toBe('StateFollower');
    cluster.settle();
    node.campaign();
    expect(cluster.role(3)).toBe('StateCandidate');
    expect(cluster.member(3).applied).toEqual(['x']);
  });
});

describe('a follower and snapshots', () => {
  const confState = { votersOutgoing: [], learners: [], learnersNext: [], autoLeave: false };

  function snapshot(index: number, term: number, voters: number[]): Snapshot {
    return { data: bytes('[]'), metadata: { index, term, confState: { ...confState, voters } } };
  }

  test('refuses one that is not about it', () => {
    const cluster = new Cluster({ voters: [1, 2, 3] });
    const foreign = snapshot(9, 1, [1, 2]);
    cluster.deliver(message('MsgSnap', { from: 1, to: 3, term: 1, snapshot: foreign }));
    expect(cluster.member(3).handleReady()).toMatchObject([{ type: 'MsgAppResp', index: 1 }]);
  });

  test('moves its commit index over what it has', () => {
    const cluster = new Cluster({ voters: [1, 2, 3] });
    const entries = [{ term: 1, index: 2, type: 'EntryNormal', data: bytes('a') }] as const;
    const base = { from: 1, to: 3, term: 1 };
    cluster.deliver(message('MsgApp', { ...base, index: 1, logTerm: 1, entries }));
    cluster.settle();
    cluster.deliver(message('MsgSnap', { ...base, snapshot: snapshot(2, 1, [1, 2, 3]) }));
    expect(cluster.node(3).peekReady().snapshot).toBeUndefined();
    cluster.settle();
    expect(cluster.member(3).applied).toEqual(['a']);
  });

  test('takes over the configuration, with what is about to happen to it', () => {
    const cluster = new Cluster({ voters: [1, 2, 3] });
    const joint = {
      voters: [1, 2],
      votersOutgoing: [2, 3],
      learners: [4],
      learnersNext: [3],
      autoLeave: true,
    };
    const made = { data: bytes('[]'), metadata: { index: 9, term: 1, confState: joint } };
    cluster.deliver(message('MsgSnap', { from: 1, to: 3, term: 1, snapshot: made }));
    expect(cluster.node(3).status().config).toEqual({
      voters: [new Set([1, 2]), new Set([2, 3])],
      learners: new Set([4]),
      learnersNext: new Set([3]),
      autoLeave: true,
    });
  });
});

test('a snapshot that was written in an earlier term counts', () => {
  const cluster = new Cluster({ voters: [1, 2, 3], config: { asyncStorageWrites: true } });
  const member = cluster.member(3);
  const made: Snapshot = {
    data: bytes('["x"]'),
    metadata: { index: 9, term: 1, confState: member.confState },
  };
  member.node.step(message('MsgSnap', { from: 1, to: 3, term: 1, snapshot: made }));
  member.handleReady();
  member.node.step(message('MsgHeartbeat', { from: 2, to: 3, term: 2 }));
  for (const m of member.finishAppend()) if (m.to === 3) member.node.step(m);
  expect(member.node.basicStatus()).toMatchObject({ term: 2, applied: 9 });
  member.node.campaign();
  expect(cluster.role(3)).toBe('StateCandidate');
});
