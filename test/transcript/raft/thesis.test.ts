/**
 * The rest of the paper (6 membership, 7 snapshots, 8 clients) and what "Consensus: Bridging Theory
 * and Practice" adds: 3.10 transfer, 4.2.1 learners, 4.2.3 disruptive servers, 4.3 joint consensus,
 * 6.2 and 6.4 reads, 9.6 pre-vote.
 */
import { describe, expect, test } from '@jest/globals';
import type { ConfChange, ConfState, Message, Snapshot } from 'raft-ts';
import { LEAVE_JOINT, message, ProposalDroppedError } from 'raft-ts';
import { brief, bytes, ELECTION_TICK, Solo } from './runner/solo.js';
import type { SoloOptions } from './runner/solo.js';

function leader(options: SoloOptions = {}): Solo {
  const solo = new Solo(options);
  solo.win(2);
  expect(solo.state.raftState).toBe('StateLeader');
  return solo;
}

/** A leader of 1, 2, 3 whose first entry, at index 2, is committed. */
function settledLeader(options: SoloOptions = {}): Solo {
  const solo = leader(options);
  solo.receive('MsgAppResp', { from: 2, index: 2 });
  solo.receive('MsgAppResp', { from: 3, index: 2 });
  return solo;
}

const voters = (solo: Solo): number[][] =>
  solo.node.status().config.voters.map((half) => [...half].toSorted((a, b) => a - b));

const joint = (changes: readonly [string, number][]): ConfChange => ({
  version: 2,
  transition: 'jointExplicit',
  changes: changes.map(([what, nodeId]) => ({
    type:
      what === 'add'
        ? 'ConfChangeAddNode'
        : what === 'learn'
          ? 'ConfChangeAddLearnerNode'
          : 'ConfChangeRemoveNode',
    nodeId,
  })),
});

/** Proposes a change, which nodes acknowledge. */
function change(solo: Solo, what: ConfChange, acked: readonly number[]): void {
  solo.node.proposeConfChange(what);
  solo.handle();
  const index = solo.storage.lastIndex();
  for (const from of acked) solo.receive('MsgAppResp', { from, index });
}

const snapshotAt = (index: number, term: number, part: Partial<ConfState> = {}): Snapshot => ({
  data: bytes('state'),
  metadata: {
    index,
    term,
    confState: {
      voters: [1, 2, 3],
      votersOutgoing: [],
      learners: [],
      learnersNext: [],
      autoLeave: false,
      ...part,
    },
  },
});

describe('6 membership changes (thesis 4.3, joint consensus)', () => {
  const replace = joint([
    ['remove', 2],
    ['remove', 3],
    ['add', 4],
    ['add', 5],
  ]);

  test('the cluster goes through a configuration of both majorities', () => {
    const solo = settledLeader();
    change(solo, replace, [2]);
    expect(voters(solo)).toEqual([
      [1, 4, 5],
      [1, 2, 3],
    ]);
    change(solo, LEAVE_JOINT, [2, 4]);
    expect(voters(solo)).toEqual([[1, 4, 5], []]);
  });

  test.each([
    [[4, 5], false],
    [[2, 3], false],
    [[2, 4], true],
    [[3, 5], true],
  ])('while joint, acknowledgments of %j commit: %p', (acked, isCommitted) => {
    const solo = settledLeader();
    change(solo, replace, [2]);
    solo.propose('x');
    for (const from of acked) solo.receive('MsgAppResp', { from, index: 4 });
    expect(solo.state.commit === 4).toBe(isCommitted);
  });

  test.each([
    [[4, 5], 'StateCandidate'],
    [[2, 3], 'StateCandidate'],
    [[3, 4], 'StateLeader'],
  ])('while joint, votes of %j make a %s', (granted, role) => {
    const solo = settledLeader();
    change(solo, replace, [2]);
    solo.receive('MsgHeartbeat', { from: 2, term: 5 });
    solo.win(...granted);
    expect(solo.state.raftState).toBe(role);
  });

  test('a second change is refused until the first one is applied', () => {
    const solo = settledLeader();
    solo.node.proposeConfChange(joint([['remove', 3]]));
    solo.node.proposeConfChange(joint([['remove', 2]]));
    solo.handle();
    solo.receive('MsgAppResp', { from: 2, index: 4 });
    expect(solo.applied.map(({ type }) => type)).toEqual([
      'EntryNormal',
      'EntryConfChangeV2',
      'EntryNormal',
    ]);
    expect(voters(solo)[0]).toEqual([1, 2]);
  });

  test.each([
    [true, 'StateFollower'],
    [false, 'StateLeader'],
  ])('a leader that is not in the new configuration steps down: %p', (stepDownOnRemoval, role) => {
    const solo = settledLeader({ stepDownOnRemoval });
    const remove = { type: 'ConfChangeRemoveNode', nodeId: 1 } as const;
    // It manages the cluster without counting itself: both others have to store the change.
    change(solo, { version: 1, change: remove }, [2, 3]);
    expect(voters(solo)[0]).toEqual([2, 3]);
    expect(solo.state.raftState).toBe(role);
    expect(() => solo.propose('x')).toThrow(ProposalDroppedError);
  });
});

describe('thesis 4.2.1 new servers catch up as learners', () => {
  test('they get entries', () => {
    const solo = leader({ voters: [1, 2], learners: [3] });
    solo.receive('MsgAppResp', { from: 3, index: 2 });
    expect(brief(solo.propose('x'))).toContain('3 MsgApp 2');
  });

  test('they do not count for commits', () => {
    const solo = leader({ voters: [1, 2], learners: [3, 4, 5] });
    for (const from of [3, 4, 5]) solo.receive('MsgAppResp', { from, index: 2 });
    expect(solo.state.commit).toBe(1);
    solo.receive('MsgAppResp', { from: 2, index: 2 });
    expect(solo.state.commit).toBe(2);
  });

  test('they are not asked for votes, and their votes do not count', () => {
    const solo = new Solo({ voters: [1, 2], learners: [3] });
    expect(brief(solo.tick(ELECTION_TICK))).toEqual(['2 MsgVote 1']);
    solo.receive('MsgVoteResp', { from: 3 });
    expect(solo.state.raftState).toBe('StateCandidate');
  });

  test('they do not start elections', () => {
    const solo = new Solo({ voters: [2, 3], learners: [1] });
    expect(solo.tick(5 * ELECTION_TICK)).toEqual([]);
  });

  test('promoted, they count', () => {
    const solo = leader({ voters: [1, 2], learners: [3] });
    solo.receive('MsgAppResp', { from: 2, index: 2 });
    change(solo, { version: 1, change: { type: 'ConfChangeAddNode', nodeId: 3 } }, [2]);
    solo.propose('x');
    solo.receive('MsgAppResp', { from: 3, index: 4 });
    expect(solo.state.commit).toBe(4);
  });
});

describe('6, thesis 4.2.3 disruptive servers', () => {
  const options = { checkQuorum: true };
  const ask = { from: 3, term: 9, logTerm: 1, index: 1 };

  test('a vote request is ignored while the leader was heard of within an election timeout', () => {
    const solo = new Solo(options);
    solo.receive('MsgHeartbeat', { from: 2 });
    solo.tick(ELECTION_TICK - 1);
    expect(solo.receive('MsgVote', ask)).toEqual([]);
    expect(solo.state).toMatchObject({ term: 1, lead: 2 });
  });

  test('and is answered afterwards', () => {
    const solo = new Solo({ ...options, random: (n) => n - 1 });
    solo.receive('MsgHeartbeat', { from: 2 });
    solo.tick(ELECTION_TICK);
    expect(solo.receive('MsgVote', ask)).toMatchObject([{ type: 'MsgVoteResp', reject: false }]);
  });

  test('a leader ignores it as well', () => {
    const solo = settledLeader(options);
    expect(solo.receive('MsgVote', ask)).toEqual([]);
    expect(solo.state.raftState).toBe('StateLeader');
  });
});

describe('7 snapshots', () => {
  const install = (solo: Solo, snapshot: Snapshot, term = solo.state.term): Message[] =>
    solo.receive('MsgSnap', { from: 2, term, snapshot });

  test('one of an earlier term is ignored', () => {
    const solo = new Solo({ log: [1, 2], term: 3 });
    expect(install(solo, snapshotAt(9, 2), 2)).toEqual([]);
    expect(solo.storage.lastIndex()).toBe(2);
  });

  test('one beyond the log replaces all of it, and the configuration', () => {
    const solo = new Solo({ log: [1, 1, 1] });
    expect(brief(install(solo, snapshotAt(9, 1, { voters: [1, 2, 4] })))).toEqual([
      '2 MsgAppResp 9',
    ]);
    expect([solo.storage.firstIndex(), solo.storage.lastIndex()]).toEqual([10, 9]);
    expect(solo.state).toMatchObject({ commit: 9, applied: 9 });
    expect(voters(solo)[0]).toEqual([1, 2, 4]);
  });

  test('one of a conflicting entry replaces all of it, also what follows', () => {
    const solo = new Solo({ log: [1, 1, 1, 1, 1] });
    install(solo, snapshotAt(4, 2), 2);
    expect([solo.storage.firstIndex(), solo.storage.lastIndex()]).toEqual([5, 4]);
  });

  test('one of what the log has keeps the entries that follow', () => {
    const solo = new Solo({ log: [1, 1, 1, 1, 1] });
    expect(brief(install(solo, snapshotAt(4, 1)))).toEqual(['2 MsgAppResp 4']);
    expect(solo.terms).toEqual([1, 1, 1, 1, 1]);
    expect(solo.state.commit).toBe(4);
  });

  test('a leader sends one when the log does not go back far enough', () => {
    const solo = settledLeader();
    for (const payload of ['x', 'y']) solo.propose(payload);
    solo.receive('MsgAppResp', { from: 2, index: 4 });
    solo.storage.createSnapshot(4, undefined, bytes('state'));
    solo.storage.compact(4);
    const fields = { from: 3, index: 4, reject: true, rejectHint: 1, logTerm: 1 };
    const [sent] = solo.receive('MsgAppResp', fields);
    expect(sent).toMatchObject({ to: 3, type: 'MsgSnap', snapshot: { metadata: { index: 4 } } });
  });
});

describe('8 client interaction', () => {
  test('a leader starts its term with an entry of its own, and learns what is committed', () => {
    const solo = leader({ log: [1, 1, 1], commit: 1 });
    expect(solo.state.commit).toBe(1);
    solo.receive('MsgAppResp', { from: 2, index: 4 });
    expect(solo.applied.map(({ index }) => index)).toEqual([2, 3, 4]);
  });

  test('a follower passes commands on to the leader', () => {
    const solo = new Solo();
    solo.receive('MsgHeartbeat', { from: 2 });
    expect(solo.propose('x')).toMatchObject([{ to: 2, type: 'MsgProp' }]);
  });

  test('without a leader commands are refused', () => {
    expect(() => new Solo().propose('x')).toThrow(ProposalDroppedError);
  });
});

describe('thesis 3.10 leadership transfer', () => {
  test('1. the leader stops accepting requests', () => {
    const solo = settledLeader();
    solo.node.transferLeader(2);
    expect(() => solo.propose('x')).toThrow('raft proposal dropped');
  });

  test('2. it brings the target up to date, 3. then asks it to campaign', () => {
    const solo = settledLeader();
    solo.propose('x');
    solo.node.transferLeader(2);
    expect(brief(solo.handle())).not.toContain('2 MsgTimeoutNow');
    expect(brief(solo.receive('MsgAppResp', { from: 2, index: 3 }))).toContain('2 MsgTimeoutNow');
  });

  test('the target campaigns without waiting, and without a pre-vote', () => {
    const solo = new Solo({ preVote: true, checkQuorum: true });
    solo.receive('MsgHeartbeat', { from: 2 });
    const sent = solo.receive('MsgTimeoutNow', { from: 2 });
    expect(brief(sent)).toEqual(['2 MsgVote 1', '3 MsgVote 1']);
  });

  test('its request overrides leases', () => {
    const [request] = new Solo({ id: 3 }).receive('MsgTimeoutNow', { from: 2 });
    const solo = new Solo({ checkQuorum: true });
    solo.receive('MsgHeartbeat', { from: 2 });
    solo.node.step({ ...(request as Message), to: 1 });
    expect(solo.handle()).toMatchObject([{ to: 3, type: 'MsgVoteResp', reject: false }]);
  });

  test('it is given up after an election timeout', () => {
    const solo = settledLeader();
    solo.node.transferLeader(2);
    solo.tick(ELECTION_TICK);
    expect(solo.state).toMatchObject({ raftState: 'StateLeader', leadTransferee: 0 });
    expect(() => solo.propose('x')).not.toThrow();
  });
});

describe('thesis 6.2 a leader without contact to a majority steps down', () => {
  test('after an election timeout in which it heard of nobody', () => {
    const solo = settledLeader({ checkQuorum: true });
    solo.tick(ELECTION_TICK);
    expect(solo.state.raftState).toBe('StateLeader');
    solo.tick(ELECTION_TICK);
    expect(solo.state).toMatchObject({ raftState: 'StateFollower', lead: 0 });
  });

  test('not as long as a majority answers', () => {
    const solo = settledLeader({ checkQuorum: true });
    for (let i = 0; i < 5; i++) {
      solo.receive('MsgHeartbeatResp', { from: 3 });
      solo.tick(ELECTION_TICK);
    }
    expect(solo.state.raftState).toBe('StateLeader');
  });
});

describe('thesis 6.4 read index', () => {
  const confirm = (solo: Solo, from: number, request: Message | undefined): Message[] =>
    solo.receive('MsgHeartbeatResp', { from, context: request?.context ?? bytes('') });

  test('1. the leader has committed an entry of its term', () => {
    const solo = leader();
    solo.node.readIndex(bytes('r'));
    expect(brief(solo.handle())).toEqual([]);
    const sent = solo.receive('MsgAppResp', { from: 2, index: 2 });
    const heartbeat = sent.find(({ type }) => type === 'MsgHeartbeat');
    confirm(solo, 2, heartbeat);
    expect(solo.reads).toEqual(['r']);
  });

  test('2. the commit index is noted when the read arrives', () => {
    const solo = settledLeader();
    solo.node.readIndex(bytes('r'));
    const [heartbeat] = solo.handle();
    solo.propose('x');
    solo.receive('MsgAppResp', { from: 2, index: 3 });
    solo.node.step(
      message('MsgHeartbeatResp', {
        to: 1,
        from: 2,
        term: 2,
        context: heartbeat?.context ?? bytes(''),
      }),
    );
    expect(solo.node.ready().readStates).toMatchObject([{ index: 2 }]);
  });

  test('3. a round of heartbeats confirms that it still leads', () => {
    const solo = new Solo({ voters: [1, 2, 3, 4, 5] });
    solo.win(2, 3);
    for (const from of [2, 3]) solo.receive('MsgAppResp', { from, index: 2 });
    solo.node.readIndex(bytes('r'));
    const [heartbeat] = solo.handle();
    expect(heartbeat?.type).toBe('MsgHeartbeat');
    confirm(solo, 2, heartbeat);
    expect(solo.reads).toEqual([]);
    confirm(solo, 2, heartbeat);
    expect(solo.reads).toEqual([]);
    confirm(solo, 3, heartbeat);
    expect(solo.reads).toEqual(['r']);
  });

  test('reads of followers go through the leader', () => {
    const solo = new Solo();
    solo.receive('MsgHeartbeat', { from: 2 });
    solo.node.readIndex(bytes('r'));
    expect(solo.handle()).toMatchObject([{ to: 2, type: 'MsgReadIndex' }]);
    const entries = [{ term: 0, index: 0, type: 'EntryNormal', data: bytes('r') }] as const;
    solo.receive('MsgReadIndexResp', { from: 2, index: 1, entries });
    expect(solo.reads).toEqual(['r']);
  });

  test('6.4.1 on a lease no round is needed, but a commit is', () => {
    const solo = leader({ checkQuorum: true, readOnlyOption: 'leaseBased' });
    solo.node.readIndex(bytes('early'));
    expect(solo.reads).toEqual([]);
    solo.receive('MsgAppResp', { from: 2, index: 2 });
    solo.node.readIndex(bytes('late'));
    solo.handle();
    expect(solo.reads).toEqual(['early', 'late']);
  });
});

describe('thesis 9.6 pre-vote', () => {
  const options = { preVote: true, checkQuorum: true };

  test('asking changes neither term nor vote', () => {
    const solo = new Solo(options);
    expect(solo.tick(ELECTION_TICK)).toMatchObject([
      { to: 2, type: 'MsgPreVote', term: 2 },
      { to: 3, type: 'MsgPreVote', term: 2 },
    ]);
    expect(solo.state).toMatchObject({ term: 1, vote: 0, raftState: 'StatePreCandidate' });
  });

  test('the term grows when a majority would vote', () => {
    const solo = new Solo(options);
    solo.tick(ELECTION_TICK);
    const sent = solo.receive('MsgPreVoteResp', { from: 2, term: 2 });
    expect(brief(sent)).toEqual(['2 MsgVote 1', '3 MsgVote 1']);
    expect(solo.state).toMatchObject({ term: 2, vote: 1, raftState: 'StateCandidate' });
  });

  test('a node in a minority asks again and again, in the same term', () => {
    const solo = new Solo(options);
    solo.tick(10 * ELECTION_TICK);
    expect(solo.state.term).toBe(1);
  });

  test.each([
    ['whoever has heard of a leader', true, 1],
    ['whoever has a better log', false, 0],
  ])('%s does not grant it', (_, hasLeader, index) => {
    const solo = new Solo({ ...options, log: [1, 1] });
    if (hasLeader) solo.receive('MsgHeartbeat', { from: 2 });
    const sent = solo.receive('MsgPreVote', { from: 3, term: 2, logTerm: 1, index: index + 1 });
    expect(sent.filter(({ reject }) => !reject)).toEqual([]);
  });

  test('granting it promises nothing', () => {
    const solo = new Solo(options);
    const ask = (from: number): boolean | undefined =>
      solo.receive('MsgPreVote', { from, term: 2, logTerm: 1, index: 1 })[0]?.reject;
    expect([ask(2), ask(3)]).toEqual([false, false]);
    expect(solo.state).toMatchObject({ term: 1, vote: 0 });
  });
});
