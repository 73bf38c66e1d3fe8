import { describe, expect, test } from '@jest/globals';
import { ConclaveError } from '@conclave/kernel';
import type { RaftHost } from '../../src/consensus/raft-host.js';
import { raftStatus } from '../../src/consensus/status.js';

const NODES = [
  { id: 'a', state: 'READY', manager: { raftId: 1 } },
  { id: 'b', state: 'READY', manager: { raftId: 2 } },
  { id: 'c', state: 'READY', manager: { raftId: 3 } },
  { id: 'w', state: 'READY' },
];

/** What manager `a` knows: who leads, and of whom it heard lately as the leader. */
function hostOf(lead: number, heard: Readonly<Record<number, boolean>> = {}): RaftHost {
  const progress = new Map(
    Object.entries(heard).map(([raftId, recentActive]) => [
      Number(raftId),
      { recentActive, match: 5 },
    ]),
  );
  return {
    status: () => ({ lead, term: 2, commit: 5, progress }),
    state: {
      appliedIndex: 5,
      nodes: () => NODES,
      nodeByRaftId: (raftId: number) => NODES.find((node) => node.manager?.raftId === raftId),
    },
  } as unknown as RaftHost;
}

const gone = new ConclaveError('CV_PEER_UNREACHABLE', 'refused');
const linksWithout = (...raftIds: number[]) => ({
  failureTo: (raftId: number) => (raftIds.includes(raftId) ? gone : undefined),
  isRefused: false,
});

const reachable = (host: RaftHost, links = linksWithout()): string[] =>
  raftStatus(host, 'a', links)
    .managers.filter(({ isReachable }) => isReachable)
    .map(({ nodeId }) => nodeId);

describe('which managers can be reached', () => {
  test('a leader says of whom it heard lately', () => {
    expect(reachable(hostOf(1, { 1: true, 2: true, 3: false }))).toEqual(['a', 'b']);
  });

  test('a follower believes what was committed', () => {
    expect(reachable(hostOf(2), linksWithout(3))).toEqual(['a', 'b', 'c']);
  });

  test('without a leader it is what asking for votes shows, not what was committed once', () => {
    expect(reachable(hostOf(0), linksWithout(2, 3))).toEqual(['a']);
    expect(reachable(hostOf(0), linksWithout(3))).toEqual(['a', 'b']);
    expect(raftStatus(hostOf(0), 'a', linksWithout()).hasQuorum).toBe(false);
  });

  test('one that all others refuse was removed, unless somebody leads it again', () => {
    const links = { ...linksWithout(2, 3), isRefused: true };
    expect(raftStatus(hostOf(0), 'a', links).isRefused).toBe(true);
    expect(raftStatus(hostOf(2), 'a', links).isRefused).toBe(false);
    expect(raftStatus(hostOf(0), 'a', linksWithout(2, 3)).isRefused).toBe(false);
  });
});
