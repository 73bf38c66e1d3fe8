/**
 * "In Search of an Understandable Consensus Algorithm" (extended version), rule by rule. Where the
 * library differs from the letter, the test says how. What it adds is in thesis.test.ts and in the
 * transcripts.
 */
import { describe, expect, test } from '@jest/globals';
import { message } from 'raft-ts';
import type { MessageType } from 'raft-ts';
import { brief, ELECTION_TICK, entriesAt, Solo, text } from './runner/solo.js';
import type { SoloOptions } from './runner/solo.js';

const roles = [
  ['follower', (): Solo => new Solo({ term: 4 })],
  ['candidate', (): Solo => started({ term: 4 })],
  ['leader', (): Solo => leader({ term: 4 })],
] as const;

function started(options: SoloOptions = {}): Solo {
  const solo = new Solo(options);
  solo.node.campaign();
  solo.handle();
  return solo;
}

function leader(options: SoloOptions = {}): Solo {
  const solo = new Solo(options);
  solo.win(2, 3);
  expect(solo.state.raftState).toBe('StateLeader');
  return solo;
}

describe('figure 2, state', () => {
  test('current term, vote and log are persistent', () => {
    const solo = new Solo({ log: [1, 1] });
    solo.receive('MsgVote', { from: 2, term: 3, logTerm: 1, index: 2 });
    solo.append(3, [1, 2], [3]);
    solo.restart();
    expect(solo.state).toMatchObject({ term: 3, vote: 2 });
    expect(solo.terms).toEqual([1, 1, 3]);
  });

  test('term, vote and entries are handed out to be stored with the answer that needs them', () => {
    const { node } = new Solo();
    node.step(message('MsgVote', { to: 1, from: 2, term: 2, logTerm: 1, index: 1 }));
    expect(node.ready()).toMatchObject({
      hardState: { term: 2, vote: 2 },
      messages: [{ type: 'MsgVoteResp', reject: false }],
      mustSync: true,
    });
  });

  test('next index starts behind the last entry, match index at zero', () => {
    const { progress } = leader({ log: [1, 1, 1] }).node.status();
    expect(progress.get(2)).toMatchObject({ match: 0, next: 4 });
    expect(progress.get(3)).toMatchObject({ match: 0, next: 4 });
  });
});

describe('figure 2, AppendEntries, receiver', () => {
  test('1. is not obeyed if its term is earlier', () => {
    const solo = new Solo({ log: [1, 2], term: 5 });
    const entries = entriesAt(3, [4]);
    const fields = { from: 2, term: 4, logTerm: 2, index: 2, entries };
    // Without CheckQuorum the sender is left to learn of the later term elsewhere.
    expect(solo.receive('MsgApp', fields)).toEqual([]);
    expect(solo.terms).toEqual([1, 2]);
    expect(solo.state).toMatchObject({ term: 5, lead: 0 });
    const told = new Solo({ log: [1, 2], term: 5, checkQuorum: true });
    expect(told.receive('MsgApp', fields)).toMatchObject([{ type: 'MsgAppResp', term: 5 }]);
    expect(told.terms).toEqual([1, 2]);
  });

  test.each([
    ['has no entry at the previous index', [1, 4]],
    ['has an entry of another term there', [3, 3]],
  ] as const)('2. is rejected if the log %s', (_, [logTerm, index]) => {
    const solo = new Solo({ log: [1, 1, 2], term: 3 });
    expect(brief(solo.append(2, [logTerm, index], [3]))).toEqual(['2 MsgAppResp reject']);
    expect(solo.terms).toEqual([1, 1, 2]);
  });

  test('3. deletes a conflicting entry and all that follow it', () => {
    const solo = new Solo({ log: [1, 1, 2, 2, 2], term: 3 });
    solo.append(2, [1, 2], [3]);
    expect(solo.terms).toEqual([1, 1, 3]);
  });

  test('3. deletes nothing without a conflict', () => {
    const solo = new Solo({ log: [1, 1, 2, 2, 2] });
    solo.append(2, [1, 2], [2]);
    expect(solo.terms).toEqual([1, 1, 2, 2, 2]);
  });

  test('4. appends what is not in the log yet', () => {
    const solo = new Solo({ log: [1, 1, 2] });
    expect(brief(solo.append(2, [1, 2], [2, 2, 3]))).toEqual(['2 MsgAppResp 5']);
    expect(solo.terms).toEqual([1, 1, 2, 2, 3]);
  });

  test.each([
    ['the leader’s commit index, if that is smaller', 3, 3],
    ['the index of the last new entry, if that is smaller', 9, 4],
  ])('5. commits up to %s', (_, commit, expected) => {
    const solo = new Solo({ log: [1, 1, 1, 1, 1, 1] });
    solo.append(2, [1, 2], [1, 1], commit);
    expect(solo.state.commit).toBe(expected);
  });
});

describe('figure 2, RequestVote, receiver', () => {
  test('1. is not granted if its term is earlier', () => {
    const solo = new Solo({ term: 5 });
    const sent = solo.receive('MsgVote', { from: 2, term: 4, logTerm: 1, index: 1 });
    expect(sent.filter(({ reject }) => !reject)).toEqual([]);
    expect(solo.state).toMatchObject({ term: 5, vote: 0 });
  });

  test.each([
    [0, 2, true],
    [2, 2, true],
    [3, 2, false],
  ])('2. with vote %d, candidate %d: %p', (vote, from, isGranted) => {
    const solo = new Solo({ vote, term: 2 });
    const [answer] = solo.receive('MsgVote', { from, logTerm: 1, index: 1 });
    expect(answer).toMatchObject({ type: 'MsgVoteResp', reject: !isGranted });
    expect(solo.state.vote).toBe(isGranted ? from : vote);
  });

  test.each([
    [2, 3, true, 'equal'],
    [2, 4, true, 'longer'],
    [2, 2, false, 'shorter'],
    [3, 2, true, 'later last term'],
    [1, 9, false, 'earlier last term'],
  ])('2. with last entry %d/%d of the candidate: %p (%s)', (logTerm, index, isGranted) => {
    const solo = new Solo({ log: [1, 2, 2] });
    const [answer] = solo.receive('MsgVote', { from: 2, term: 5, logTerm, index });
    expect(answer).toMatchObject({ term: 5, reject: !isGranted });
  });
});

describe('figure 2, all servers', () => {
  test('what is committed is applied, in order and once', () => {
    const solo = new Solo({ log: [1, 1, 1, 1] });
    solo.append(2, [1, 4], [], 3);
    solo.append(2, [1, 4], [], 3);
    solo.append(2, [1, 4], [], 4);
    expect(solo.applied.map(({ index }) => index)).toEqual([2, 3, 4]);
  });

  const types: readonly MessageType[] = ['MsgApp', 'MsgHeartbeat', 'MsgVote', 'MsgAppResp'];
  test.each(roles.flatMap(([role, make]) => types.map((type) => [role, type, make] as const)))(
    'a %s follows the later term of a %s',
    (_, type, make) => {
      const solo = make();
      const term = solo.state.term + 3;
      solo.receive(type, { from: 2, term, logTerm: 1, index: 1 });
      const isLeader = type === 'MsgApp' || type === 'MsgHeartbeat';
      const lead = isLeader ? 2 : 0;
      expect(solo.state).toMatchObject({ term, raftState: 'StateFollower', lead });
    },
  );

  test.each(roles)('a %s ignores a leader of an earlier term', (_, make) => {
    const solo = make();
    const before = solo.state;
    expect(solo.receive('MsgHeartbeat', { from: 2, term: before.term - 1 })).toEqual([]);
    expect(solo.state).toEqual(before);
  });
});

describe('figure 2, followers (5.2)', () => {
  test('all start as followers, without a leader', () => {
    expect(new Solo().state).toMatchObject({ raftState: 'StateFollower', lead: 0 });
  });

  test('become candidates when the election timeout passes without a word of a leader', () => {
    const solo = new Solo();
    expect(solo.tick(ELECTION_TICK - 1)).toEqual([]);
    expect(brief(solo.tick())).toEqual(['2 MsgVote 1', '3 MsgVote 1']);
  });

  test('stay followers as long as they hear of it', () => {
    const solo = new Solo();
    for (let i = 0; i < 5; i++) {
      solo.tick(ELECTION_TICK - 1);
      solo.receive('MsgHeartbeat', { from: 2, commit: 0 });
    }
    expect(solo.state.raftState).toBe('StateFollower');
  });
});

describe('figure 2, candidates (5.2)', () => {
  test('raise the term, vote for themselves, and ask all others', () => {
    const solo = new Solo({ voters: [1, 2, 3, 4, 5], term: 4 });
    expect(brief(solo.tick(ELECTION_TICK))).toEqual([2, 3, 4, 5].map((id) => `${id} MsgVote 1`));
    expect(solo.state).toMatchObject({ raftState: 'StateCandidate', term: 5, vote: 1 });
  });

  test.each([
    [1, [], 'StateLeader'],
    [3, [2], 'StateLeader'],
    [3, [], 'StateCandidate'],
    [5, [2, 3], 'StateLeader'],
    [5, [2], 'StateCandidate'],
    [4, [2], 'StateCandidate'],
    [4, [2, 3], 'StateLeader'],
  ])('of %d with the votes of %j: %s', (count, granted, role) => {
    const solo = started({ voters: Array.from({ length: count }, (_, i) => i + 1) });
    for (const from of granted) solo.receive('MsgVoteResp', { from });
    expect(solo.state.raftState).toBe(role);
  });

  test('return when a majority refuses', () => {
    const solo = started();
    solo.receive('MsgVoteResp', { from: 2, reject: true });
    expect(solo.state.raftState).toBe('StateCandidate');
    solo.receive('MsgVoteResp', { from: 3, reject: true });
    expect(solo.state.raftState).toBe('StateFollower');
  });

  test('follow a leader of their own term', () => {
    const solo = started();
    expect(brief(solo.append(2, [1, 1], [2]))).toEqual(['2 MsgAppResp 2']);
    expect(solo.state).toMatchObject({ raftState: 'StateFollower', lead: 2 });
  });

  test('start again after another timeout, in a later term', () => {
    const solo = started();
    const { term } = solo.state;
    solo.tick(ELECTION_TICK);
    expect(solo.state).toMatchObject({ raftState: 'StateCandidate', term: term + 1 });
  });

  test('draw each timeout from [t, 2t - 1]', () => {
    const bounds: number[] = [];
    const random = (n: number): number => {
      bounds.push(n);
      return n - 1;
    };
    const solo = new Solo({ random });
    expect(bounds).toEqual([ELECTION_TICK]);
    solo.tick(2 * ELECTION_TICK - 2);
    expect(solo.state.raftState).toBe('StateFollower');
    solo.tick();
    expect(solo.state.raftState).toBe('StateCandidate');
    expect(bounds).toEqual([ELECTION_TICK, ELECTION_TICK]);
  });
});

describe('figure 2, leaders (5.3)', () => {
  test('announce themselves with an append that contains an entry without a command (8)', () => {
    const solo = new Solo();
    const sent = solo.win(2);
    expect(brief(sent)).toEqual(['2 MsgApp 1', '3 MsgApp 1']);
    expect(sent[0]?.entries).toMatchObject([{ index: 2, term: 2, data: new Uint8Array(0) }]);
  });

  test('send heartbeats while idle', () => {
    const solo = leader();
    for (let i = 0; i < 3; i++) {
      expect(brief(solo.tick())).toEqual(['2 MsgHeartbeat', '3 MsgHeartbeat']);
    }
  });

  test('append commands, and apply them when they are committed', () => {
    const solo = leader();
    solo.receive('MsgAppResp', { from: 2, index: 2 });
    const [sent] = solo.propose('x');
    expect(sent).toMatchObject({ to: 2, type: 'MsgApp', index: 2, logTerm: 2 });
    expect(solo.applied.map(({ index }) => index)).toEqual([2]);
    solo.receive('MsgAppResp', { from: 2, index: 3 });
    expect(solo.applied.map(({ data }) => text(data))).toEqual(['', 'x']);
  });

  test('on success they raise next and match', () => {
    const solo = leader();
    solo.receive('MsgAppResp', { from: 2, index: 2 });
    expect(solo.node.status().progress.get(2)).toMatchObject({ match: 2, next: 3 });
  });

  test('on a rejection they step back and send again', () => {
    const solo = leader({ log: [1, 1, 1, 1] });
    const fields = { from: 2, index: 4, reject: true, rejectHint: 2, logTerm: 1 };
    const [again] = solo.receive('MsgAppResp', fields);
    expect(again).toMatchObject({ to: 2, type: 'MsgApp', index: 2, logTerm: 1 });
    expect(again?.entries.map(({ index }) => index)).toEqual([3, 4, 5]);
  });

  test('a follower that does not answer is sent to without end', () => {
    const solo = leader();
    for (let i = 0; i < 5; i++) {
      solo.tick();
      const sent = solo.receive('MsgHeartbeatResp', { from: 2 });
      expect(brief(sent)).toEqual(['2 MsgApp 1']);
    }
  });

  test('commit what a majority has stored, if it is of their term (5.4.2)', () => {
    const solo = leader({ log: [1, 1, 2], commit: 1, term: 2 });
    solo.receive('MsgAppResp', { from: 2, index: 3 });
    expect(solo.state.commit).toBe(1);
    solo.receive('MsgAppResp', { from: 2, index: 4 });
    expect(solo.state.commit).toBe(4);
  });

  test('never change or delete entries of their own log', () => {
    const solo = leader({ log: [1, 1, 1] });
    const before = solo.terms;
    const fields = { from: 2, index: 3, reject: true, rejectHint: 1, logTerm: 1 };
    solo.receive('MsgAppResp', fields);
    solo.append(2, [1, 1], [2]);
    expect(solo.terms).toEqual(before);
  });
});

describe('5.1 terms', () => {
  test('a deposed leader of an earlier term cannot append', () => {
    const solo = new Solo({ log: [1, 1], term: 2 });
    solo.receive('MsgHeartbeat', { from: 3, term: 3, commit: 0 });
    solo.receive('MsgApp', { from: 2, term: 2, logTerm: 1, index: 2, entries: entriesAt(3, [2]) });
    expect(solo.terms).toEqual([1, 1]);
    expect(solo.state).toMatchObject({ term: 3, lead: 3 });
  });
});

describe('5.2 leader election', () => {
  test('one vote per term, first come, first served', () => {
    const solo = new Solo();
    const ask = (from: number, term: number): boolean | undefined =>
      solo.receive('MsgVote', { from, term, logTerm: 1, index: 1 })[0]?.reject;
    expect([ask(2, 2), ask(3, 2), ask(2, 2), ask(3, 3)]).toEqual([false, true, false, false]);
  });
});

describe('5.3 log replication', () => {
  test.each([
    [5, [2], 1],
    [5, [2, 3], 3],
    [3, [2], 3],
    [4, [2], 1],
    [4, [2, 4], 3],
  ])('of %d with acknowledgments of %j the commit index is %d', (count, acked, commit) => {
    const voters = Array.from({ length: count }, (_, i) => i + 1);
    const solo = new Solo({ voters });
    solo.win(...voters.slice(1));
    solo.propose('x');
    for (const from of acked) solo.receive('MsgAppResp', { from, index: 3 });
    expect(solo.state.commit).toBe(commit);
  });

  test('a committed entry commits all before it, of whatever leader', () => {
    const solo = new Solo({ log: [1, 1, 2, 2], commit: 1 });
    solo.win(2);
    solo.receive('MsgAppResp', { from: 2, index: 5 });
    expect(solo.applied.map(({ term, index }) => `${term}/${index}`)).toEqual([
      '1/2',
      '2/3',
      '2/4',
      '3/5',
    ]);
  });

  test('followers learn of commits, with appends and with heartbeats', () => {
    const solo = new Solo({ log: [1, 1, 1] });
    solo.append(2, [1, 3], [], 2);
    expect(solo.applied.map(({ index }) => index)).toEqual([2]);
    solo.receive('MsgHeartbeat', { from: 2, commit: 3 });
    expect(solo.applied.map(({ index }) => index)).toEqual([2, 3]);
  });

  // The log of the leader, and those of its possible followers.
  const figure7 = [1, 1, 1, 4, 4, 5, 5, 6, 6, 6];
  test.each([
    ['a', [1, 1, 1, 4, 4, 5, 5, 6, 6]],
    ['b', [1, 1, 1, 4]],
    ['c', [1, 1, 1, 4, 4, 5, 5, 6, 6, 6, 6]],
    ['d', [1, 1, 1, 4, 4, 5, 5, 6, 6, 6, 7, 7]],
    ['e', [1, 1, 1, 4, 4, 4, 4]],
    ['f', [1, 1, 1, 2, 2, 2, 3, 3, 3, 3, 3]],
  ])('figure 7 (%s): a follower gets the log of the leader', (_, log) => {
    const solo = new Solo({ log: figure7, term: 7 });
    const follower = new Solo({ log, term: 7, id: 2 });
    let toFollower = solo.win(3).filter(({ to }) => to === 2);
    let rounds = 0;
    for (; toFollower.length > 0; rounds++) {
      expect(rounds).toBeLessThan(8);
      const answers = toFollower.flatMap((message) => {
        follower.node.step(message);
        return follower.handle();
      });
      toFollower = answers.flatMap((message) => {
        solo.node.step(message);
        return solo.handle().filter(({ to }) => to === 2);
      });
    }
    expect(rounds).toBeGreaterThan(0);
    expect(follower.terms).toEqual([...figure7, 8]);
    expect(solo.state.commit).toBe(11);
  });
});

describe('5.4 safety', () => {
  test.each([
    [[1, 1, 2], 2, 2, true],
    [[1, 1, 2], 1, 3, true],
    [[1, 1], 2, 2, false],
    [[1, 1, 2], 2, 3, false],
  ])('5.4.1 log %j denies a candidate with last entry %d/%d: %p', (log, logTerm, index, isDenied) => {
    const solo = new Solo({ log });
    const [answer] = solo.receive('MsgVote', { from: 2, term: 9, logTerm, index });
    expect(answer?.reject).toBe(isDenied);
  });

  test.each([
    [1, 1],
    [2, 1],
    [3, 1],
    [4, 4],
  ])('5.4.2 acknowledged up to %d, a leader of term 3 has committed %d', (index, commit) => {
    const solo = leader({ log: [1, 1, 2], term: 2 });
    solo.receive('MsgAppResp', { from: 2, index });
    expect(solo.state.commit).toBe(commit);
  });
});

describe('5.5 crashes of followers and candidates', () => {
  test('an append that comes twice has the same effect and the same answer', () => {
    const solo = new Solo();
    const first = solo.append(2, [1, 1], [1, 1], 2);
    const second = solo.append(2, [1, 1], [1, 1], 2);
    expect(brief(first)).toEqual(['2 MsgAppResp 3']);
    // It is below the commit index now: so much is known to agree.
    expect(brief(second)).toEqual(['2 MsgAppResp 2']);
    expect(solo.terms).toEqual([1, 1, 1]);
  });
});
