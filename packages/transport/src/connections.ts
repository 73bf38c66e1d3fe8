import type { Socket } from 'node:net';
import type { ConclaveError, Timers } from '@conclave/kernel';
import { Connection, connectionKey } from './connection.js';
import type { Endpoints } from './connection.js';
import * as limits from './limits.js';
import type { Peer } from './peer.js';

function identityKey(peer: Peer): string | undefined {
  return peer.kind === 'certificate' ? `${peer.identity.kind}/${peer.identity.id}` : undefined;
}

function connectionCountMax(peer: Peer): number {
  if (peer.kind !== 'certificate') return limits.CONNECTION_COUNT_MAX;
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
  readonly #timers: Timers;
  readonly #byKey = new Map<string, Connection>();
  readonly #countByIdentity = new Map<string, number>();

  constructor(timers: Timers) {
    this.#timers = timers;
  }

  get count(): number {
    return this.#byKey.size;
  }

  /**
   * Takes the connection up until its socket closes. `undefined` when the socket is closed already
   * or its identity has too many; the caller destroys it then.
   */
  add(peer: Peer, socket: Socket): Connection | undefined {
    const key = connectionKey(socket);
    if (key === undefined || this.#byKey.has(key)) return undefined;
    const identity = identityKey(peer);
    const count = identity === undefined ? 0 : (this.#countByIdentity.get(identity) ?? 0);
    if (count >= connectionCountMax(peer)) return undefined;
    if (identity !== undefined) this.#countByIdentity.set(identity, count + 1);
    const connection = new Connection(peer, socket, this.#timers);
    this.#byKey.set(key, connection);
    socket.once('close', () => {
      this.#byKey.delete(key);
      if (identity !== undefined) this.#release(identity);
    });
    return connection;
  }

  /** The connection that a call came through. */
  find(ends: Endpoints): Connection | undefined {
    const key = connectionKey(ends);
    return key === undefined ? undefined : this.#byKey.get(key);
  }

  /** Checks every open call again. */
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

  #release(identity: string): void {
    const count = (this.#countByIdentity.get(identity) ?? 1) - 1;
    if (count === 0) this.#countByIdentity.delete(identity);
    else this.#countByIdentity.set(identity, count);
  }
}
