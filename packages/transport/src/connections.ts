import type { Socket } from 'node:net';
import type { ConclaveError } from '@conclave/kernel';
import { Connection, connectionKey } from './connection.js';
import type { ConnectionRules, Endpoints } from './connection.js';
import * as limits from './limits.js';
import type { Peer } from './peer.js';

/**
 * Who shares a number of connections. A certificate that does not count is kept apart: it was stolen
 * before it was replaced, perhaps, and must not crowd out who has the one that counts.
 */
function identityKey(peer: Peer, isAccepted: boolean): string | undefined {
  if (peer.kind !== 'certificate') return undefined;
  const { id, kind } = peer.identity;
  return `${isAccepted ? 'accepted' : 'refused'} ${kind}/${id}`;
}

function connectionCountMax(peer: Peer, isAccepted: boolean): number {
  if (peer.kind !== 'certificate') return limits.CONNECTION_COUNT_MAX;
  if (!isAccepted) return limits.CONNECTIONS_REFUSED_MAX;
  switch (peer.identity.role) {
    case 'manager':
      return limits.CONNECTIONS_PER_MANAGER_MAX;
    case 'worker':
      return limits.CONNECTIONS_PER_WORKER_MAX;
    case 'admin':
      return limits.CONNECTIONS_PER_ADMIN_MAX;
  }
}

/** The open connections of a listener whose peer is known. */
export class Connections {
  readonly #rules: ConnectionRules;
  readonly #byKey = new Map<string, Connection>();
  /** In the order of their opening. */
  readonly #byIdentity = new Map<string, Set<Connection>>();

  constructor(rules: ConnectionRules) {
    this.#rules = rules;
  }

  get count(): number {
    return this.#byKey.size;
  }

  /**
   * Takes the connection up until its socket closes. `undefined` when the socket is closed already;
   * the caller destroys it then. An identity with too many loses its oldest one: after a break of
   * the network that is a dead one, which only keepalive would find otherwise. Connections with
   * certificates that count and those with others push out their own kind only.
   */
  add(peer: Peer, socket: Socket): Connection | undefined {
    const key = connectionKey(socket);
    if (key === undefined || this.#byKey.has(key)) return undefined;
    const connection = new Connection(peer, socket, this.#rules);
    this.#byKey.set(key, connection);
    socket.once('close', () => this.#byKey.delete(key));
    this.#addToIdentity(connection, socket);
    return connection;
  }

  /** The connection that a call came through. */
  find(ends: Endpoints): Connection | undefined {
    const key = connectionKey(ends);
    return key === undefined ? undefined : this.#byKey.get(key);
  }

  /** Checks every open call and every peer again. */
  recheck(): void {
    for (const connection of this.#byKey.values()) connection.recheck();
  }

  /** Cuts the streams of all connections; other calls go on. */
  cutStreams(error: ConclaveError): void {
    for (const connection of this.#byKey.values()) connection.cutStreams(error);
  }

  destroyAll(): void {
    for (const connection of this.#byKey.values()) connection.destroy();
  }

  #addToIdentity(connection: Connection, socket: Socket): void {
    const { peer } = connection;
    const isAccepted = this.#rules.isAccepted(peer);
    const identity = identityKey(peer, isAccepted);
    if (identity === undefined) return;
    const siblings = this.#byIdentity.get(identity) ?? new Set();
    this.#byIdentity.set(identity, siblings);
    if (siblings.size >= connectionCountMax(peer, isAccepted)) {
      const [oldest] = siblings;
      if (oldest !== undefined) {
        siblings.delete(oldest);
        oldest.destroy();
      }
    }
    siblings.add(connection);
    socket.once('close', () => {
      siblings.delete(connection);
      if (siblings.size === 0 && this.#byIdentity.get(identity) === siblings) {
        this.#byIdentity.delete(identity);
      }
    });
  }
}
