import type { State } from '@conclave/state';
import type { ConsensusStatus, ManagerReach } from '../control/status-source.js';
import type { RaftHost } from './raft-host.js';
import type { RaftLinks } from './raft-links.js';

/** What this manager knows of consensus, for the control API. Asks nobody. */
export function raftStatus(
  host: RaftHost,
  selfNodeId: string,
  links: Pick<RaftLinks, 'failureTo' | 'isRefused'>,
): Omit<ConsensusStatus, 'diverged' | 'stuck'> {
  const { lead, term, commit, progress } = host.status();
  const { state } = host;
  const leaderId = lead === 0 ? '' : (state.nodeByRaftId(lead)?.id ?? '');
  return {
    nodeId: selfNodeId,
    leaderId,
    term,
    commitIndex: commit,
    // A leader without a quorum steps down within an election timeout, and then nobody names it.
    hasQuorum: lead !== 0,
    isRefused: lead === 0 && links.isRefused,
    managers: managersOf(state, { selfNodeId, leaderId, progress, links }),
  };
}

function managersOf(
  state: State,
  seen: {
    readonly selfNodeId: string;
    readonly leaderId: string;
    readonly progress: ReturnType<RaftHost['status']>['progress'];
    readonly links: Pick<RaftLinks, 'failureTo'>;
  },
): ManagerReach[] {
  return [...state.nodes()].flatMap((node) => {
    if (node.manager === undefined) return [];
    const view = seen.progress.get(node.manager.raftId);
    const isSelf = node.id === seen.selfNodeId;
    // Followers hear only from the leader; of others they know what was committed. Without a leader
    // that is old, but everybody asks everybody for a vote.
    const isThere =
      seen.leaderId === ''
        ? seen.links.failureTo(node.manager.raftId) === undefined
        : node.id === seen.leaderId || node.state === 'READY';
    const isKnown = view?.recentActive ?? isThere;
    return [
      {
        nodeId: node.id,
        isReachable: isSelf || isKnown,
        matchIndex: view?.match ?? (isSelf ? state.appliedIndex : 0),
      },
    ];
  });
}
