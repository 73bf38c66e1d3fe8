import { describe, expect, test } from '@jest/globals';
import type { Entry } from '../src/index.js';
import { message, ProposalDroppedError } from '../src/index.js';
import { bytes } from './support/bytes.js';
import { Cluster } from './support/cluster.js';

const modes = [{ asyncStorageWrites: false }, { asyncStorageWrites: true }];

function entry(term: number, index: number, payload = ''): Entry {
  return { term, index, type: 'EntryNormal', data: bytes(payload) };
}

describe.each(modes)('replication with %j', (config) => {
  test('everybody applies the same, in the same order', () => {
    const cluster = new Cluster({ voters: [1, 2, 3], config });
    cluster.elect(1);
    for (const payload of ['a', 'b', 'c']) cluster.propose(1, payload);
    cluster.propose(2, 'd');
    cluster.settle();
    const all = ['a', 'b', 'c', 'd'];
    expect(cluster.applied()).toEqual({ 1: all, 2: all, 3: all });
  });

  test('a minority commits nothing; what it had is replaced', () => {
    const cluster = new Cluster({ voters: [1, 2, 3], config });
    cluster.elect(1);
    cluster.isolate(1);
    cluster.propose(1, 'lost');
    cluster.propose(1, 'lost too');
    cluster.settle();
    expect(cluster.member(1).applied).toEqual([]);
    cluster.elect(2);
    cluster.propose(2, 'kept');
    cluster.settle();
    cluster.heal();
    cluster.tickAll(3);
    const all = ['kept'];
    expect(cluster.applied()).toEqual({ 1: all, 2: all, 3: all });
    expect(cluster.member(1).storage.lastIndex()).toBe(cluster.member(2).storage.lastIndex());
  });

  test('a follower that was away catches up from the log', () => {
    const cluster = new Cluster({ voters: [1, 2, 3], config: { ...config, maxSizePerMsg: 64 } });
    cluster.elect(1);
    cluster.isolate(3);
    const all = Array.from({ length: 200 }, (_, i) => `payload ${i}`);
    for (const payload of all) cluster.propose(1, payload);
    cluster.settle();
    cluster.heal();
    cluster.tickAll(3);
    expect(cluster.member(3).applied).toEqual(all);
  });

  test('entries of earlier terms are committed only with one of the own term', () => {
    const cluster = new Cluster({ voters: [1, 2, 3], config });
    cluster.elect(1);
    cluster.isolate(1);
    cluster.propose(1, 'old');
    cluster.settle();
    cluster.heal();
    cluster.arrives = ({ type }) => type !== 'MsgApp';
    cluster.node(1).transferLeader(1);
    cluster.deliver(message('MsgHeartbeat', { from: 2, to: 1, term: 2 }));
    cluster.node(1).campaign();
    cluster.settle();
    expect(cluster.node(1).basicStatus()).toMatchObject({ raftState: 'StateLeader', term: 3 });
    // The old entry is on a majority, the one of this term is not.
    cluster.deliver(message('MsgAppResp', { from: 2, to: 1, term: 3, index: 3 }));
    cluster.settle();
    expect(cluster.node(1).basicStatus().commit).toBe(2);
    cluster.deliver(message('MsgAppResp', { from: 2, to: 1, term: 3, index: 4 }));
    cluster.settle();
    expect(cluster.node(1).basicStatus().commit).toBe(4);
  });

  test('lost messages are made up for by heartbeats', () => {
    const cluster = new Cluster({ voters: [1, 2, 3], config: { ...config, maxInflightMsgs: 2 } });
    cluster.elect(1);
    cluster.arrives = ({ type }) => type !== 'MsgApp';
    for (let i = 0; i < 10; i++) cluster.propose(1, `${i}`);
    cluster.settle();
    expect(cluster.node(1).status().progress.get(2)).toMatchObject({ paused: true });
    cluster.heal();
    cluster.tickAll(4);
    expect(cluster.member(2).applied).toHaveLength(10);
  });

  test('committed entries come back after a restart, and only those not applied', () => {
    const cluster = new Cluster({ voters: [1], config });
    cluster.elect(1);
    cluster.propose(1, 'a');
    cluster.propose(1, 'b');
    cluster.settle();
    const member = cluster.member(1);
    member.restart(2);
    expect(member.applied).toEqual([]);
    cluster.settle();
    expect(member.applied).toEqual(['a', 'b']);
  });
});

describe('a follower', () => {
  function follower(): Cluster {
    const cluster = new Cluster({ voters: [1, 2, 3] });
    const entries = [entry(1, 2, 'a'), entry(1, 3, 'b'), entry(1, 4, 'c')];
    const base = { from: 1, to: 2, term: 1, index: 1, logTerm: 1 };
    cluster.deliver(message('MsgApp', { ...base, entries, commit: 2 }));
    cluster.settle();
    return cluster;
  }

  test('commits no further than what the message confirms', () => {
    const cluster = follower();
    const base = { from: 1, to: 2, term: 2, index: 1, logTerm: 1, commit: 4 };
    cluster.deliver(message('MsgApp', { ...base, index: 2 }));
    expect(cluster.node(2).basicStatus().commit).toBe(2);
    cluster.deliver(message('MsgApp', { ...base, index: 2, entries: [entry(1, 3, 'b')] }));
    expect(cluster.node(2).basicStatus().commit).toBe(3);
  });

  test('does not cut its log at a delayed duplicate, and acknowledges only the message', () => {
    const cluster = follower();
    const base = { from: 1, to: 2, term: 1, index: 2, logTerm: 1 };
    cluster.deliver(message('MsgApp', { ...base, entries: [entry(1, 3, 'b')] }));
    const out = cluster.member(2).handleReady();
    expect(cluster.member(2).storage.lastIndex()).toBe(4);
    expect(out).toMatchObject([{ type: 'MsgAppResp', index: 3, reject: false }]);
  });

  test('answers what is below its commit index with that index', () => {
    const cluster = follower();
    const base = { from: 1, to: 2, term: 1, index: 1, logTerm: 7 };
    cluster.deliver(message('MsgApp', { ...base, term: 7, entries: [] }));
    const out = cluster.member(2).handleReady();
    expect(out).toMatchObject([{ type: 'MsgAppResp', index: 2, reject: false }]);
  });

  test('replaces its log from the first conflict on', () => {
    const cluster = follower();
    const entries = [entry(1, 3, 'b'), entry(2, 4, 'x')];
    const base = { from: 3, to: 2, term: 2, index: 2, logTerm: 1 };
    cluster.deliver(message('MsgApp', { ...base, entries, commit: 4 }));
    cluster.settle();
    expect(cluster.member(2).applied).toEqual(['a', 'b', 'x']);
  });

  test('hints where the logs may agree, past all later terms', () => {
    const cluster = new Cluster({ voters: [1, 2, 3] });
    const entries = [entry(1, 2), entry(2, 3), entry(4, 4), entry(5, 5), entry(5, 6)];
    const base = { from: 1, to: 2, index: 1, logTerm: 1 };
    cluster.deliver(message('MsgApp', { ...base, term: 5, entries }));
    cluster.settle();
    cluster.deliver(message('MsgApp', { ...base, term: 6, index: 6, logTerm: 3 }));
    const out = cluster.member(2).handleReady();
    expect(out).toMatchObject([{ reject: true, index: 6, rejectHint: 3, logTerm: 2 }]);
  });
});

describe('a leader', () => {
  test('ignores rejections that are late', () => {
    const cluster = new Cluster({ voters: [1, 2, 3] });
    cluster.elect(1);
    cluster.propose(1, 'a');
    cluster.settle();
    const before = cluster.node(1).status().progress.get(2);
    const late = { from: 2, to: 1, term: 1, index: 2, reject: true, rejectHint: 1, logTerm: 1 };
    cluster.deliver(message('MsgAppResp', late));
    expect(cluster.node(1).status().progress.get(2)).toEqual(before);
  });

  test('passes over places where its terms are later than the hint', () => {
    const cluster = new Cluster({ voters: [1, 2] });
    const member = cluster.member(1);
    const terms = [1, 3, 3, 5, 5];
    member.storage.append(terms.map((term, i) => entry(term, i + 2)));
    member.storage.setHardState({ term: 5, vote: 0, commit: 1 });
    member.restart();
    member.node.campaign();
    member.handleReady();
    member.node.step(message('MsgVoteResp', { from: 2, to: 1, term: 6 }));
    expect(member.handleReady()).toMatchObject([{ type: 'MsgApp', index: 6, logTerm: 5 }]);
    const rejection = { from: 2, to: 1, term: 6, index: 6, reject: true };
    member.node.step(message('MsgAppResp', { ...rejection, rejectHint: 5, logTerm: 2 }));
    expect(member.handleReady()).toMatchObject([{ type: 'MsgApp', index: 2, logTerm: 1 }]);
  });

  test('counts its own append only when it is durable', () => {
    const cluster = new Cluster({
      voters: [1, 2],
      config: { asyncStorageWrites: true },
    });
    cluster.elect(1);
    cluster.propose(1, 'a');
    const member = cluster.member(1);
    for (const m of member.handleReady()) cluster.deliver(m);
    for (const m of cluster.member(2).handleReady()) cluster.deliver(m);
    for (const m of cluster.member(2).finishAppend()) cluster.deliver(m);
    expect(cluster.node(1).basicStatus().commit).toBe(2);
    for (const m of member.finishAppend()) cluster.deliver(m);
    expect(cluster.node(1).basicStatus().commit).toBe(3);
  });

  test('fills the window as soon as a probe is answered', () => {
    const config = { maxSizePerMsg: 0, maxCommittedSizePerReady: 1000 };
    const cluster = new Cluster({ voters: [1, 2], config });
    cluster.elect(1);
    cluster.node(1).reportUnreachable(2);
    for (const payload of ['a', 'b', 'c', 'd']) cluster.propose(1, payload);
    cluster.member(1).handleReady();
    cluster.deliver(message('MsgAppResp', { from: 2, to: 1, term: 1, index: 3 }));
    const sent = cluster.member(1).handleReady();
    expect(sent.flatMap(({ entries }) => entries.map(({ index }) => index))).toEqual([4, 5, 6]);
  });

  test('probes after a report that a follower is unreachable', () => {
    const cluster = new Cluster({ voters: [1, 2, 3] });
    cluster.elect(1);
    cluster.node(1).reportUnreachable(2);
    expect(cluster.node(1).status().progress.get(2)?.state).toBe('StateProbe');
    cluster.tickAll(1);
    expect(cluster.node(1).status().progress.get(2)?.state).toBe('StateReplicate');
  });

  test('keeps the window of each follower', () => {
    const cluster = new Cluster({
      voters: [1, 2],
      config: {
        maxInflightMsgs: 3,
        maxInflightBytes: 10,
        maxSizePerMsg: 0,
        maxCommittedSizePerReady: 1000,
      },
    });
    cluster.elect(1);
    for (const payload of ['123456', '1234', '1', '2']) cluster.propose(1, payload);
    const view = cluster.node(1).status().progress.get(2);
    expect(view?.inflights).toEqual({ count: 2, bytes: 10, full: true });
    cluster.settle();
    expect(cluster.member(2).applied).toHaveLength(4);
  });
});

describe('limits', () => {
  test('the uncommitted tail is limited, but admits one entry of any size', () => {
    const cluster = new Cluster({ voters: [1, 2], config: { maxUncommittedEntriesSize: 4 } });
    cluster.elect(1);
    cluster.propose(1, 'much too large');
    expect(() => cluster.propose(1, 'b')).toThrow(ProposalDroppedError);
    cluster.propose(1, '');
    cluster.settle();
    cluster.propose(1, 'abcd');
    expect(() => cluster.propose(1, 'e')).toThrow('raft proposal dropped');
  });

  test('the quota for entries being applied holds across Readys', () => {
    const config = { asyncStorageWrites: true, maxCommittedSizePerReady: 1 };
    const cluster = new Cluster({ voters: [1], config });
    cluster.elect(1);
    for (const payload of ['a', 'b']) cluster.propose(1, payload);
    const member = cluster.member(1);
    member.handleReady();
    for (const m of member.finishAppend()) cluster.deliver(m);
    member.handleReady();
    expect(member.applyWork).toMatchObject([{ entries: [{ index: 3 }] }]);
    expect(cluster.node(1).hasReady()).toBe(false);
    for (const m of member.finishApply()) cluster.deliver(m);
    member.handleReady();
    expect(member.applyWork).toMatchObject([{ entries: [{ index: 4 }] }]);
  });

  test('messages are cut to their size, with at least one entry', () => {
    for (const [maxSizePerMsg, counts] of [
      [0, [1, 1, 1]],
      [30, [2, 1]],
      [1000, [3]],
    ] as const) {
      const config = { maxSizePerMsg, maxCommittedSizePerReady: 1000 };
      const cluster = new Cluster({ voters: [1, 2], config });
      cluster.elect(1);
      cluster.node(1).reportUnreachable(2);
      for (let i = 0; i < 3; i++) cluster.propose(1, '12345678');
      const sent: number[] = [];
      cluster.arrives = ({ type, entries }) => {
        if (type === 'MsgApp' && entries.length > 0) sent.push(entries.length);
        return true;
      };
      cluster.member(1).handleReady();
      cluster.inFlight = [];
      cluster.node(1).reportUnreachable(2);
      cluster.tickAll(2);
      expect([maxSizePerMsg, sent]).toEqual([maxSizePerMsg, counts]);
    }
  });

  test('mustSync is false exactly if nothing but the commit index changed', () => {
    const cluster = new Cluster({ voters: [1] });
    const node = cluster.node(1);
    node.campaign();
    const vote = node.peekReady();
    expect(vote).toMatchObject({ mustSync: true, entries: [] });
    cluster.member(1).handleReady();
    expect(node.peekReady()).toMatchObject({ mustSync: true, hardState: undefined });
    cluster.member(1).handleReady();
    expect(node.peekReady()).toMatchObject({ mustSync: false, hardState: { commit: 2 } });
  });
});

describe('refused proposals say why', () => {
  test.each(['noLeader', 'forwardingDisabled', 'notMember', 'transferInProgress'] as const)(
    '%s',
    (reason) => {
      const cluster = new Cluster({
        voters: [1, 2, 3],
        config: { disableProposalForwarding: true },
      });
      if (reason !== 'noLeader') cluster.elect(1);
      if (reason === 'transferInProgress') cluster.node(1).transferLeader(2);
      if (reason === 'notMember') {
        const change = { type: 'ConfChangeRemoveNode', nodeId: 1 } as const;
        cluster.change(1, { version: 1, change });
      }
      const id = reason === 'forwardingDisabled' ? 2 : 1;
      expect(() => cluster.propose(id, 'a')).toThrow(
        expect.objectContaining({ code: 'PROPOSAL_DROPPED', reason }),
      );
    },
  );
});
