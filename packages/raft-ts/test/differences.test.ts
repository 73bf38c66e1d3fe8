import { describe, expect, test } from '@jest/globals';
import type { ConfChange } from '../src/index.js';
import { MemoryStorage, message, RaftInvariantError, RawNode, StepError } from '../src/index.js';
import { bytes } from './support/bytes.js';
import { Cluster } from './support/cluster.js';

const LIMITS = { electionTick: 10, heartbeatTick: 1, maxInflightMsgs: 8, random: () => 0 };

/** What a follower has after an append that it was sent, at term 1 and with one entry. */
function followerAfter(fields: Parameters<typeof message>[1]): { term: number; last: number } {
  const { node, storage } = new Cluster({ voters: [1, 2, 3] }).member(2);
  const append = message('MsgApp', { from: 1, to: 2, index: 1, logTerm: 1, ...fields });
  expect(() => {
    node.step(append);
  }).toThrow(StepError);
  expect(node.hasReady()).toBe(false);
  return { term: node.basicStatus().term, last: storage.lastIndex() };
}

/**
 * Node 3 has an entry in memory that 1 and 2 have committed, and campaigns on the strength of it.
 * Then it crashes and campaigns again in the same term, with a shorter log.
 */
function replayHazard(deferVoteRequests: boolean): Cluster {
  const cluster = new Cluster({
    voters: [1, 2, 3],
    config: { asyncStorageWrites: true, deferVoteRequests },
  });
  cluster.elect(1);
  cluster.propose(1, 'committed');
  const [one, two, three] = [cluster.member(1), cluster.member(2), cluster.member(3)];
  const deliver = (messages: Cluster['inFlight']): void =>
    messages.forEach((m) => cluster.deliver(m));
  deliver([...one.handleReady()]);
  three.handleReady();
  two.handleReady();
  deliver([...two.finishAppend()]);
  deliver([...one.finishAppend()]);
  expect(cluster.node(1).basicStatus().commit).toBe(3);

  three.node.campaign();
  const requests = three.handleReady();
  deliver(requests.filter(({ to }) => to === 2));
  two.handleReady();
  three.restart();
  expect(three.storage.lastIndex()).toBe(2);
  three.node.campaign();
  three.handleReady();
  deliver(three.finishAppend().filter(({ to }) => to === 3));
  while (two.appendWork.length > 0) deliver(two.finishAppend().filter(({ to }) => to === 3));
  return cluster;
}

describe('where this library differs from etcd raft on purpose', () => {
  test('1. vote requests that are sent at once elect a node without a committed entry', () => {
    const cluster = replayHazard(false);
    expect(cluster.role(3)).toBe('StateLeader');
    expect(cluster.member(3).storage.lastIndex()).toBe(2);
  });

  test('1. deferred ones, which is the default, do not', () => {
    const cluster = replayHazard(true);
    expect(cluster.role(3)).toBe('StateCandidate');
  });

  test('1. in synchronous mode they follow the other messages', () => {
    const cluster = new Cluster({ voters: [1, 2] });
    cluster.node(1).campaign();
    const { messages, hardState } = cluster.node(1).peekReady();
    expect(messages).toMatchObject([{ type: 'MsgVote', to: 2 }]);
    expect(hardState).toEqual({ term: 1, vote: 1, commit: 1 });
  });

  test('2. an append without a term changes nothing', () => {
    const entries = [{ term: 1, index: 2, type: 'EntryNormal', data: bytes('x') }] as const;
    expect(followerAfter({ term: 0, entries, commit: 2 })).toEqual({ term: 0, last: 1 });
  });

  test('3. nor does one whose entries do not follow each other', () => {
    const entries = [{ term: 1, index: 3, type: 'EntryNormal', data: bytes('x') }] as const;
    expect(followerAfter({ term: 1, entries })).toEqual({ term: 0, last: 1 });
  });

  test('4. a quota of zero, which would end application for good, is an error', () => {
    const storage = new MemoryStorage();
    expect(() => new RawNode({ ...LIMITS, id: 1, storage, maxSizePerMsg: 0 })).toThrow(
      'max committed size per ready must be greater than 0',
    );
  });

  test('5. the status says whether a joint configuration is left by itself', () => {
    const cluster = new Cluster({ voters: [1, 2] });
    cluster.elect(1);
    const seen: boolean[] = [];
    cluster.member(1).onApply = () => seen.push(cluster.node(1).status().config.autoLeave);
    const changes = [{ type: 'ConfChangeAddLearnerNode', nodeId: 3 }] as const;
    cluster.change(1, { version: 2, transition: 'jointImplicit', changes });
    expect(seen).toEqual([true, false]);
  });

  test('6. a proposal that is dropped says why', () => {
    const { node } = new Cluster({ voters: [1, 2] }).member(1);
    expect(() => {
      node.propose(bytes('x'));
    }).toThrow(expect.objectContaining({ message: 'raft proposal dropped', reason: 'noLeader' }));
  });

  test('7. what a storage cannot answer is a value', () => {
    const storage = new MemoryStorage();
    storage.append(
      [1, 2].map((index) => ({ term: 1, index, type: 'EntryNormal', data: bytes('') })),
    );
    expect(storage.compact(2)).toBe('compacted');
    expect(storage.compact(2)).toBe('alreadyCompacted');
    expect(storage.term(1)).toBe('compacted');
    expect(storage.entries(3, 4, 10)).toBe('unavailable');
  });

  test('8. and 9. an impossible change that is applied ends the node, for good', () => {
    const { node } = new Cluster({ voters: [1] }).member(1);
    const change: ConfChange = {
      version: 1,
      change: { type: 'ConfChangeRemoveNode', nodeId: 1 },
    };
    expect(() => node.applyConfChange(change)).toThrow(RaftInvariantError);
    expect(() => node.basicStatus()).toThrow('removed all voters');
  });

  test('8. it does not get that far: the leader makes an empty entry of it', () => {
    const cluster = new Cluster({ voters: [1] });
    cluster.elect(1);
    cluster.change(1, { version: 1, change: { type: 'ConfChangeRemoveNode', nodeId: 1 } });
    expect(cluster.member(1).confState.voters).toEqual([1]);
    expect(cluster.role(1)).toBe('StateLeader');
  });

  test('10. heartbeats carry a context of the library, not that of the reader', () => {
    const cluster = new Cluster({ voters: [1, 2] });
    cluster.elect(1);
    for (let i = 1; i <= 2; i++) {
      cluster.node(1).readIndex(bytes('the same'));
      const [heartbeat] = cluster.member(1).handleReady();
      expect(heartbeat?.context).toEqual(Uint8Array.of(i, 0, 0, 0, 0, 0, 0, 0));
    }
  });

  test.each([
    { deferSoleVoterReads: true, count: 0 },
    { deferSoleVoterReads: false, count: 1 },
  ])('the only voter answers no read before its first commit: $deferSoleVoterReads', (one) => {
    const { deferSoleVoterReads, count } = one;
    const config = { asyncStorageWrites: true, deferSoleVoterReads };
    const cluster = new Cluster({ voters: [1], config });
    const member = cluster.member(1);
    member.storage.setHardState({ term: 1, vote: 0, commit: 1 });
    member.restart();
    member.node.campaign();
    member.handleReady();
    for (const vote of member.finishAppend()) member.node.step(vote);
    expect(cluster.role(1)).toBe('StateLeader');
    member.node.readIndex(bytes('r'));
    member.handleReady();
    expect(member.reads).toHaveLength(count);
    cluster.settle();
    expect(member.reads).toHaveLength(1);
  });

  test('a request in the name of the node itself is refused', () => {
    const { node } = new Cluster({ voters: [1, 2] }).member(1);
    const own = message('MsgHeartbeat', { from: 1, to: 1, term: 3 });
    expect(() => {
      node.step(own);
    }).toThrow(StepError);
    expect(node.basicStatus().term).toBe(0);
  });
});
