import { describe, expect, test } from '@jest/globals';
import type { Entry, Message } from '../src/index.js';
import { message } from '../src/index.js';
import { bytes, text } from './support/bytes.js';
import { Cluster } from './support/cluster.js';

function entry(term: number, index: number, payload: string): Entry {
  return { term, index, type: 'EntryNormal', data: bytes(payload) };
}

function asyncCluster(): Cluster {
  return new Cluster({ voters: [1, 2, 3], config: { asyncStorageWrites: true } });
}

describe('asynchronous storage writes', () => {
  test('answers to votes and appends wait for the write they are handed out with', () => {
    const cluster = asyncCluster();
    const member = cluster.member(2);
    const base = { from: 1, to: 2, term: 1, index: 1, logTerm: 1 };
    member.node.step(message('MsgVote', base));
    expect(member.handleReady()).toEqual([]);
    member.node.step(message('MsgApp', { ...base, entries: [entry(1, 2, 'a')] }));
    expect(member.handleReady()).toEqual([]);
    expect(member.finishAppend()).toMatchObject([{ type: 'MsgVoteResp', to: 1 }]);
    expect(member.finishAppend()).toMatchObject([
      { type: 'MsgAppResp', to: 1, index: 2 },
      { type: 'MsgStorageAppendResp', to: 2, index: 2, logTerm: 1, term: 1 },
    ]);
  });

  test('entries are applied only when they are known to be durable', () => {
    const cluster = asyncCluster();
    const member = cluster.member(2);
    const base = { from: 1, to: 2, term: 1, index: 1, logTerm: 1 };
    member.node.step(message('MsgApp', { ...base, entries: [entry(1, 2, 'a')], commit: 2 }));
    member.handleReady();
    const released = member.finishAppend();
    expect(member.node.hasReady()).toBe(false);
    for (const m of released) if (m.to === 2) member.node.step(m);
    member.handleReady();
    expect(member.applyWork).toMatchObject([{ entries: [{ index: 2 }] }]);
  });

  test('an acknowledgment of another term, or of a replaced entry, does not count', () => {
    const cluster = asyncCluster();
    const member = cluster.member(2);
    const base = { to: 2, index: 1, logTerm: 1 };
    const old = { ...base, from: 1, term: 1, entries: [entry(1, 2, 'old')] };
    member.node.step(message('MsgApp', old));
    member.handleReady();
    member.node.step(message('MsgHeartbeat', { from: 3, to: 2, term: 2 }));
    member.handleReady();
    const renewed = { ...base, from: 3, term: 2, entries: [entry(2, 2, 'new')], commit: 2 };
    member.node.step(message('MsgApp', renewed));
    member.handleReady();
    for (let i = 0; i < 2; i++) {
      for (const m of member.finishAppend()) if (m.to === 2) member.node.step(m);
      expect(member.node.peekReady().committedEntries).toEqual([]);
    }
    for (const m of member.finishAppend()) if (m.to === 2) member.node.step(m);
    expect(member.node.peekReady().committedEntries).toMatchObject([{ term: 2, index: 2 }]);
  });

  test('each write is acknowledged as long as anything is unstable', () => {
    const cluster = asyncCluster();
    const member = cluster.member(2);
    const base = { from: 1, to: 2, term: 1, index: 1, logTerm: 1 };
    member.node.step(message('MsgApp', { ...base, entries: [entry(1, 2, 'a')] }));
    member.handleReady();
    member.node.step(message('MsgHeartbeat', { from: 1, to: 2, term: 2 }));
    member.handleReady();
    expect(member.appendWork.map(({ responses }) => responses.at(-1))).toMatchObject([
      { type: 'MsgStorageAppendResp', term: 1, index: 2 },
      { type: 'MsgStorageAppendResp', term: 2, index: 2 },
    ]);
  });

  test('a snapshot that a newer one has overtaken is applied, and the newer one still waits', () => {
    const cluster = asyncCluster();
    const member = cluster.member(2);
    const { confState } = member;
    const snapshotAt = (index: number): Message => {
      const snapshot = { data: bytes('[]'), metadata: { index, term: 1, confState } };
      return message('MsgSnap', { from: 1, to: 2, term: 1, snapshot });
    };
    for (const index of [10, 20]) {
      member.node.step(snapshotAt(index));
      member.handleReady();
    }
    for (const index of [10, 20]) {
      for (const m of member.finishAppend()) if (m.to === 2) member.node.step(m);
      expect(member.node.basicStatus()).toMatchObject({ applied: index, commit: 20 });
    }
  });

  test('a write is not counted for the snapshot or the entry that took the place', () => {
    const lines: string[] = [];
    const logger = { enabled: () => true, log: (_: string, line: string) => lines.push(line) };
    const config = { asyncStorageWrites: true, logger };
    for (const replaces of ['MsgSnap', 'MsgApp'] as const) {
      const cluster = new Cluster({ voters: [1, 2, 3], config });
      const member = cluster.member(2);
      const base = { to: 2, index: 1, logTerm: 1 };
      const old = { ...base, from: 1, term: 1, entries: [entry(1, 2, 'old')] };
      member.node.step(message('MsgApp', old));
      member.node.step(message('MsgHeartbeat', { from: 3, to: 2, term: 2 }));
      member.handleReady();
      const metadata = { index: 2, term: 2, confState: member.confState };
      const entries = [entry(2, 2, 'new')];
      const snapshot = { data: bytes('[]'), metadata };
      const renewed = { ...base, from: 3, term: 2 };
      member.node.step(
        replaces === 'MsgSnap'
          ? message('MsgSnap', { ...renewed, snapshot })
          : message('MsgApp', { ...renewed, entries }),
      );
      const released = member.finishAppend();
      for (const m of released) if (m.to === 2) member.node.step(m);
    }
    expect(lines.filter((line) => line.endsWith('; ignoring'))).toEqual([
      'entry at index 2 matched unstable snapshot; ignoring',
      'entry at (index,term)=(2,1) mismatched with entry at (2,2) in unstable log; ignoring',
    ]);
  });

  test('a message that the stored part of the log fills takes nothing of the unstable part', () => {
    const sizes = { maxSizePerMsg: 0, maxCommittedSizePerReady: 1_000 };
    const config = { asyncStorageWrites: true, ...sizes };
    const cluster = new Cluster({ voters: [1, 2], config });
    cluster.elect(1);
    cluster.isolate(2);
    cluster.propose(1, 'stored');
    cluster.settle();
    cluster.propose(1, 'unstable');
    const { node } = cluster.member(1);
    node.reportUnreachable(2);
    node.step(message('MsgHeartbeatResp', { from: 2, to: 1, term: 1 }));
    const appends = node.peekReady().messages.filter(({ type }) => type === 'MsgApp');
    expect(appends.at(-1)?.entries.map(({ data }) => text(data))).toEqual(['stored']);
  });

  test('advance is for the other mode', () => {
    const cluster = asyncCluster();
    expect(() => cluster.node(1).advance()).toThrow('AsyncStorageWrites');
  });
});
