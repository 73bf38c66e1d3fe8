import type { State } from '@conclave/state';
import type { ConsensusStatus, ManagerReach, StatusSource } from '../control/status-source.js';
import type { Lease } from '../dispatch/lease.js';
import type { RaftHost } from './raft-host.js';

/** What this manager knows of consensus, for the control API. */
export class RaftStatus implements StatusSource {
  readonly #host: RaftHost;
  readonly #selfNodeId: string;
  readonly #lease: Pick<Lease, 'isHeld'>;

  constructor(host: RaftHost, selfNodeId: string, lease: Pick<Lease, 'isHeld'>) {
    this.#host = host;
    this.#selfNodeId = selfNodeId;
    this.#lease = lease;
  }

  /** @inheritdoc */
  current(): ConsensusStatus {
    const status = this.#host.status();
    const state = this.#host.state;
    const leaderId = nodeIdOf(state, status.lead);
    return {
      nodeId: this.#selfNodeId,
      leaderId,
      term: status.term,
      commitIndex: status.commit,
      // A leader steps down without a quorum within an election timeout; a follower knows a
      // quorum by its lease, or by a leader that is still heard of.
      hasQuorum: this.#host.isLeader || this.#lease.isHeld || status.lead !== 0,
      managers: this.#managers(state, leaderId),
    };
  }

  #managers(state: State, leaderId: string): ManagerReach[] {
    const { progress } = this.#host.status();
    return [...state.nodes()].flatMap((node) => {
      if (node.manager === undefined) return [];
      const view = progress.get(node.manager.raftId);
      const isSelf = node.id === this.#selfNodeId;
      // Followers hear only from the leader; of others they know what was committed.
      const isKnown = view?.recentActive ?? (node.id === leaderId || node.state === 'READY');
      return [
        {
          nodeId: node.id,
          isReachable: isSelf || isKnown,
          matchIndex: view?.match ?? (isSelf ? state.appliedIndex : 0),
        },
      ];
    });
  }
}

function nodeIdOf(state: State, raftId: number): string {
  return raftId === 0 ? '' : (state.nodeByRaftId(raftId)?.id ?? '');
}
