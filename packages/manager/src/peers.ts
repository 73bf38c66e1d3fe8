import type { Clock, TimerHandle, Timers } from '@conclave/kernel';
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
  readonly open?: typeof openChannel;
}

/**
 * Milliseconds for which calls under way go on over connections with the certificate before. Less
 * than the time for which others accept that one.
 */
const RETIRE_MS = 60_000;

/** Channels to the other managers: one per member and address, found by node or Raft id. */
export class Peers {
  readonly #options: PeersOptions;
  readonly #channels = new Map<string, Channel>();
  readonly #retiring = new Map<Channel, TimerHandle>();
  readonly #stopWatching: () => void;

  constructor(options: PeersOptions) {
    this.#options = options;
    // A connection keeps the certificate it began with: others would refuse it after the overlap.
    this.#stopWatching = options.identity.onChange(() => this.#renew());
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

  /** The channel to a manager that another one has named. */
  at({ nodeId, address }: Pick<KnownManager, 'address' | 'nodeId'>): Channel {
    return this.#channel(nodeId, address);
  }

  /** Ends the channels to nodes that are not among these any more. */
  keepOnly(nodeIds: ReadonlySet<string>): void {
    for (const [nodeId, channel] of this.#channels) {
      if (nodeIds.has(nodeId)) continue;
      this.#channels.delete(nodeId);
      channel.close();
    }
  }

  /** Ends every channel. */
  close(): void {
    this.#stopWatching();
    this.keepOnly(new Set());
    for (const [channel, timer] of this.#retiring) {
      timer.cancel();
      channel.close();
    }
    this.#retiring.clear();
  }

  /** New calls connect with the new certificate; those under way get some time. */
  #renew(): void {
    for (const channel of this.#channels.values()) {
      const timer = this.#options.timers.after(RETIRE_MS, () => {
        this.#retiring.delete(channel);
        channel.close();
      });
      this.#retiring.set(channel, timer);
    }
    this.#channels.clear();
  }

  #channel(nodeId: string, address: string): Channel {
    const open = this.#channels.get(nodeId);
    if (open?.address === address) return open;
    open?.close();
    const { clusterId, identity, clock, timers } = this.#options;
    const channel = (this.#options.open ?? openChannel)({
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
