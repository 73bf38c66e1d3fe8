import type { Clock, Timers } from '@conclave/kernel';
import type { State } from '@conclave/state';
import { openChannel } from '@conclave/transport';
import type { Channel, IdentitySource } from '@conclave/transport';
import type { KnownManager } from './identity/authority.js';

/** What channels to other managers are made of. */
export interface PeersOptions {
  readonly clusterId: string;
  readonly selfNodeId: string;
  readonly identity: IdentitySource;
  readonly state: () => State;
  /** Managers that a join answer named, for the time without state. */
  readonly known: readonly KnownManager[];
  readonly clock: Clock;
  readonly timers: Timers;
}

/** Channels to the other managers: one per member and address, found by node or Raft id. */
export class Peers {
  readonly #options: PeersOptions;
  readonly #channels = new Map<string, Channel>();

  constructor(options: PeersOptions) {
    this.#options = options;
  }

  /** The managers that are listed now, this one left out. */
  list(): KnownManager[] {
    const { state, known, selfNodeId } = this.#options;
    const tables = state();
    if (tables.cluster() === undefined) return known.filter((one) => one.nodeId !== selfNodeId);
    return [...tables.nodes()].flatMap(({ id, manager }) =>
      manager === undefined || id === selfNodeId
        ? []
        : [{ nodeId: id, raftId: manager.raftId, address: manager.clusterAddress }],
    );
  }

  /** The channel to a member by its Raft id; undefined when its address is not known. */
  byRaftId(raftId: number): Channel | undefined {
    const { state, known } = this.#options;
    const node = state().nodeByRaftId(raftId);
    if (node?.manager !== undefined) return this.#channel(node.id, node.manager.clusterAddress);
    const named = known.find((one) => one.raftId === raftId);
    return named === undefined ? undefined : this.#channel(named.nodeId, named.address);
  }

  /** The channel to a member by its node id; undefined when its address is not known. */
  byNodeId(nodeId: string): Channel | undefined {
    const found = this.list().find((one) => one.nodeId === nodeId);
    return found === undefined ? undefined : this.#channel(nodeId, found.address);
  }

  /** Ends every channel. */
  close(): void {
    for (const channel of this.#channels.values()) channel.close();
    this.#channels.clear();
  }

  #channel(nodeId: string, address: string): Channel {
    const open = this.#channels.get(nodeId);
    if (open?.address === address) return open;
    open?.close();
    const { clusterId, identity, clock, timers } = this.#options;
    const channel = openChannel({
      address,
      identity,
      expect: { clusterId, nodeId },
      clock,
      timers,
    });
    this.#channels.set(nodeId, channel);
    return channel;
  }
}
