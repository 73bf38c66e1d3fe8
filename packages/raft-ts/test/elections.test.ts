import { describe, expect, test } from '@jest/globals';
import { message, RawNode } from '../src/index.js';
import { setRandomizedElectionTimeout } from '../src/testing/index.js';
import { Cluster } from './support/cluster.js';

const modes = [{ asyncStorageWrites: false }, { asyncStorageWrites: true }];

describe.each(modes)('elections with %j', (mode) => {
  test('a majority elects, everybody follows', () => {
    const cluster = new Cluster({ voters: [1, 2, 3], config: mode });
    cluster.elect(1);
    for (const id of [1, 2, 3]) {
      expect(cluster.node(id).basicStatus()).toMatchObject({ term: 1, lead: 1, commit: 2 });
    }
  });

  test('a minority does not elect, however long it tries', () => {
    const cluster = new Cluster({ voters: [1, 2, 3, 4, 5], config: mode });
    cluster.isolate(1, 2);
    for (let i = 0; i < 100; i++) {
      cluster.tick(1);
      cluster.tick(2);
      cluster.settle();
    }
    expect(cluster.leaders()).toEqual([]);
    expect(cluster.node(1).basicStatus().term).toBeGreaterThan(2);
  });

  test('time alone elects one leader of one term', () => {
    const cluster = new Cluster({ voters: [1, 2, 3], config: mode, seed: 7 });
    cluster.tickAll(40);
    expect(cluster.leaders()).toHaveLength(1);
  });

  test('a single voter elects itself, after its vote is stored', () => {
    const cluster = new Cluster({ voters: [1], config: mode });
    cluster.node(1).campaign();
    expect(cluster.role(1)).toBe('StateCandidate');
    cluster.settle();
    expect(cluster.role(1)).toBe('StateLeader');
  });

  test('a vote survives a restart', () => {
    const cluster = new Cluster({ voters: [1, 2, 3], config: mode });
    cluster.node(1).campaign();
    cluster.process();
    cluster.process();
    for (const m of cluster.inFlight.filter(({ to }) => to === 2)) cluster.deliver(m);
    cluster.inFlight = [];
    cluster.process();
    cluster.member(2).restart();
    expect(cluster.node(2).basicStatus()).toMatchObject({ term: 1, vote: 1 });
    cluster.inFlight = [];
    const request = { from: 3, to: 2, term: 1, index: 1, logTerm: 1 };
    cluster.deliver(message('MsgVote', request));
    cluster.process();
    expect(cluster.inFlight).toMatchObject([{ type: 'MsgVoteResp', reject: true, to: 3 }]);
  });
});

describe('who gets a vote', () => {
  test.each([
    [{ logTerm: 1, index: 9 }, true],
    [{ logTerm: 2, index: 3 }, false],
    [{ logTerm: 2, index: 2 }, true],
    [{ logTerm: 3, index: 1 }, false],
  ])('a log that ends at %j is behind 2/3: %s', (end, isRejected) => {
    const cluster = new Cluster({ voters: [1, 2, 3] });
    const entry = { type: 'EntryNormal', data: new Uint8Array(0) } as const;
    cluster.deliver(
      message('MsgApp', {
        from: 1,
        to: 2,
        term: 2,
        index: 1,
        logTerm: 1,
        entries: [
          {
            ...entry,
            term: 2,
            index: 2,
          },
          {
            ...entry,
            term: 2,
            index: 3,
          },
        ],
      }),
    );
    cluster.process();
    cluster.inFlight = [];
    cluster.deliver(message('MsgVote', { from: 3, to: 2, term: 4, ...end }));
    cluster.process();
    expect(cluster.inFlight).toMatchObject([{ type: 'MsgVoteResp', reject: isRejected }]);
  });

  test('granting a vote restarts the timer, a pre-vote does not', () => {
    const cluster = new Cluster({ voters: [1, 2, 3] });
    setRandomizedElectionTimeout(cluster.node(2), 10);
    cluster.tick(2, 9);
    const end = { from: 3, to: 2, index: 1, logTerm: 1 };
    cluster.deliver(message('MsgPreVote', { ...end, term: 1 }));
    cluster.tick(2);
    expect(cluster.role(2)).toBe('StateCandidate');

    const other = new Cluster({ voters: [1, 2, 3] });
    other.deliver(message('MsgVote', { ...end, term: 1 }));
    setRandomizedElectionTimeout(other.node(2), 10);
    other.tick(2, 9);
    expect(other.role(2)).toBe('StateFollower');
  });

  test('granting in the present term restarts the timer as well, refusing does not', () => {
    const request = { from: 3, to: 2, term: 1, index: 1, logTerm: 1 };
    for (const { index, role } of [
      { index: 1, role: 'StateFollower' },
      { index: 0, role: 'StateCandidate' },
    ]) {
      const cluster = new Cluster({ voters: [1, 2, 3] });
      // Of a candidate whose log is too short: the term is known now, the vote still free.
      cluster.deliver(message('MsgVote', { ...request, from: 1, index: 0, logTerm: 0 }));
      setRandomizedElectionTimeout(cluster.node(2), 10);
      cluster.tick(2, 9);
      cluster.deliver(message('MsgVote', { ...request, index, logTerm: index }));
      cluster.tick(2);
      expect(cluster.role(2)).toBe(role);
    }
  });

  test('a vote is repeated for the same candidate, and for nobody else', () => {
    const cluster = new Cluster({ voters: [1, 2, 3] });
    const request = { to: 2, term: 1, index: 1, logTerm: 1 };
    for (const from of [3, 3, 1]) cluster.deliver(message('MsgVote', { ...request, from }));
    cluster.process();
    expect(cluster.inFlight.map(({ to, reject }) => [to, reject])).toEqual([
      [3, false],
      [3, false],
      [1, true],
    ]);
  });

  test('a vote that is all that changed has to be synced', () => {
    const cluster = new Cluster({ voters: [1, 2, 3] });
    const request = { from: 1, to: 2, term: 1, index: 1, logTerm: 1 };
    cluster.deliver(message('MsgVote', { ...request, index: 0 }));
    cluster.deliver(message('MsgVote', { ...request, logTerm: 0 }));
    cluster.settle();
    expect(cluster.node(2).basicStatus()).toMatchObject({ term: 1, vote: 0 });
    cluster.deliver(message('MsgVote', request));
    expect(cluster.node(2).peekReady()).toMatchObject({ mustSync: true, hardState: { vote: 1 } });
  });

  test('nobody gets one against the leader of the same term', () => {
    const cluster = new Cluster({ voters: [1, 2, 3] });
    cluster.deliver(message('MsgHeartbeat', { from: 1, to: 2, term: 3 }));
    cluster.deliver(message('MsgVote', { from: 3, to: 2, term: 3, index: 9, logTerm: 2 }));
    expect(cluster.node(2).basicStatus()).toMatchObject({ vote: 0, lead: 1 });
  });

  test.each(['MsgApp', 'MsgHeartbeat'] as const)('a candidate follows on %s', (type) => {
    const cluster = new Cluster({ voters: [1, 2, 3] });
    cluster.node(2).campaign();
    cluster.deliver(message(type, { from: 1, to: 2, term: 1, index: 1, logTerm: 1 }));
    expect(cluster.node(2).basicStatus()).toMatchObject({ raftState: 'StateFollower', lead: 1 });
  });

  test('votes of an earlier attempt and repeated votes do not add up', () => {
    const cluster = new Cluster({ voters: [1, 2, 3, 4, 5] });
    const node = cluster.node(1);
    node.campaign();
    cluster.process();
    cluster.process();
    const vote = message('MsgVoteResp', { from: 2, to: 1, term: 1 });
    node.step(vote);
    node.step(vote);
    node.step(vote);
    expect(cluster.role(1)).toBe('StateCandidate');
    node.campaign();
    cluster.process();
    node.step(message('MsgVoteResp', { from: 3, to: 1, term: 1 }));
    node.step(message('MsgVoteResp', { from: 4, to: 1, term: 2 }));
    expect(cluster.role(1)).toBe('StateCandidate');
    node.step(message('MsgVoteResp', { from: 5, to: 1, term: 2 }));
    expect(cluster.role(1)).toBe('StateLeader');
  });

  test('each change of role draws a new timeout', () => {
    let draws = 0;
    const cluster = new Cluster({ voters: [1, 2, 3] });
    const { storage } = cluster.member(1);
    const random = (n: number): number => draws++ % n;
    const single = new RawNode({
      id: 1,
      storage,
      electionTick: 10,
      heartbeatTick: 1,
      maxInflightMsgs: 1,
      random,
    });
    expect(draws).toBe(1);
    single.campaign();
    expect(draws).toBe(2);
    single.step(message('MsgHeartbeat', { from: 2, to: 1, term: 1 }));
    expect(draws).toBe(3);
  });
});

describe('pre-votes and leases', () => {
  const config = { preVote: true, checkQuorum: true };

  test('a node that was cut off does not disturb when it comes back', () => {
    const cluster = new Cluster({ voters: [1, 2, 3], config });
    cluster.elect(1);
    cluster.isolate(3);
    cluster.tickAll(60);
    expect(cluster.node(3).basicStatus().term).toBe(1);
    cluster.heal();
    cluster.tickAll(30);
    expect(cluster.node(1).basicStatus()).toMatchObject({ term: 1, raftState: 'StateLeader' });
    expect(cluster.node(3).basicStatus()).toMatchObject({ term: 1, lead: 1 });
  });

  test('a pre-vote is no vote, and refused to earlier terms with the own one', () => {
    const cluster = new Cluster({ voters: [1, 2, 3], config });
    const request = { from: 3, to: 2, term: 5, index: 1, logTerm: 1 };
    cluster.deliver(message('MsgPreVote', request));
    expect(cluster.node(2).basicStatus()).toMatchObject({ term: 0, vote: 0 });
    cluster.deliver(message('MsgHeartbeat', { from: 1, to: 2, term: 7 }));
    cluster.deliver(message('MsgPreVote', request));
    cluster.process();
    const answers = cluster.inFlight.filter(({ type }) => type === 'MsgPreVoteResp');
    expect(answers).toMatchObject([
      { term: 5, reject: false },
      { term: 7, reject: true },
    ]);
  });

  test('a new member counts as active until the first check after it came', () => {
    const cluster = new Cluster({ voters: [1], config });
    cluster.elect(1);
    cluster.tick(1, 5);
    cluster.change(1, {
      version: 1,
      change: { type: 'ConfChangeAddNode', nodeId: 2 },
    });
    cluster.tickAll(10);
    expect(cluster.role(1)).toBe('StateLeader');
    cluster.tickAll(10);
    expect(cluster.role(1)).not.toBe('StateLeader');
  });

  test('a leader without a quorum steps down, and the others elect', () => {
    const cluster = new Cluster({ voters: [1, 2, 3], config });
    cluster.elect(1);
    cluster.isolate(1);
    cluster.tickAll(60);
    expect(cluster.role(1)).not.toBe('StateLeader');
    const [leader] = cluster.leaders();
    expect([2, 3]).toContain(leader);
  });

  test('a lease protects a live leader', () => {
    const cluster = new Cluster({ voters: [1, 2, 3], config: { checkQuorum: true } });
    cluster.elect(1);
    cluster.deliver(message('MsgVote', { from: 3, to: 2, term: 9, index: 9, logTerm: 9 }));
    expect(cluster.node(2).basicStatus()).toMatchObject({ term: 1, lead: 1 });
    cluster.tick(2, 10);
    cluster.deliver(message('MsgVote', { from: 3, to: 2, term: 9, index: 9, logTerm: 9 }));
    expect(cluster.node(2).basicStatus()).toMatchObject({ term: 9, vote: 3 });
  });

  test('a node that is far ahead in terms makes the leader follow it', () => {
    const cluster = new Cluster({ voters: [1, 2, 3], config: { checkQuorum: true } });
    cluster.elect(1);
    cluster.isolate(3);
    cluster.tickAll(60);
    const { term } = cluster.node(3).basicStatus();
    expect(term).toBeGreaterThan(1);
    cluster.heal();
    cluster.tickAll(60);
    expect(cluster.leaders()).toHaveLength(1);
    expect(cluster.node(1).basicStatus().term).toBeGreaterThanOrEqual(term);
  });
});

describe('who does not campaign', () => {
  test('learners, and nodes that do not know any configuration', () => {
    const cluster = new Cluster({ voters: [1, 2], learners: [3] });
    cluster.addBlank(4);
    for (const id of [3, 4]) {
      cluster.node(id).campaign();
      cluster.tick(id, 50);
      expect(cluster.role(id)).toBe('StateFollower');
      cluster.deliver(message('MsgTimeoutNow', { from: 1, to: id, term: 1 }));
      expect(cluster.role(id)).toBe('StateFollower');
    }
  });

  test('nodes with a committed change that is not applied', () => {
    const cluster = new Cluster({ voters: [1, 2, 3] });
    cluster.elect(1);
    cluster.node(1).proposeConfChange({
      version: 1,
      change: { type: 'ConfChangeAddNode', nodeId: 4 },
    });
    cluster.settle();
    const { storage } = cluster.member(2);
    expect(cluster.member(2).appliedIndex).toBe(3);
    cluster.member(2).restart(2);
    expect(storage.lastIndex()).toBe(3);
    cluster.node(2).campaign();
    expect(cluster.role(2)).toBe('StateFollower');
    cluster.settle();
    cluster.node(2).campaign();
    expect(cluster.role(2)).toBe('StateCandidate');
  });

  test('whoever has no leader forgets none', () => {
    const cluster = new Cluster({ voters: [1, 2, 3] });
    cluster.node(2).forgetLeader();
    expect(cluster.node(2).hasReady()).toBe(false);
  });

  test('nobody forgets a leader that relies on its lease', () => {
    const lines: string[] = [];
    const logger = { enabled: () => true, log: (_: string, line: string) => lines.push(line) };
    const lease = { checkQuorum: true, readOnlyOption: 'leaseBased' } as const;
    const cluster = new Cluster({ voters: [1, 2, 3], config: { ...lease, logger } });
    cluster.elect(1);
    cluster.node(2).forgetLeader();
    expect(cluster.node(2).basicStatus().lead).toBe(1);
    expect(lines.at(-1)).toBe('ignoring MsgForgetLeader due to ReadOnlyLeaseBased');
  });

  test('a learner votes when it is asked', () => {
    const cluster = new Cluster({ voters: [1, 2], learners: [3] });
    cluster.deliver(message('MsgVote', { from: 2, to: 3, term: 5, index: 1, logTerm: 1 }));
    cluster.process();
    expect(cluster.inFlight).toMatchObject([{ type: 'MsgVoteResp', from: 3, reject: false }]);
  });
});
