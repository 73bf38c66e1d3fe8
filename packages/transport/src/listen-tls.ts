import type { TLSSocket } from 'node:tls';
import { ConclaveError } from '@conclave/kernel';
import type { Clock, Logger, Timers } from '@conclave/kernel';
import { identityOf } from '@conclave/pki';
import { callerKind, isAccepted } from './authority.js';
import type { Authority } from './authority.js';
import { GrpcListener } from './grpc-listener.js';
import type { IdentitySource } from './identity.js';
import { KnownAddresses } from './known-addresses.js';
import * as limits from './limits.js';
import type { Listener } from './listener.js';
import type { Peer } from './peer.js';
import type { TransportObserver } from './observer.js';
import type { ServedService } from './serve.js';
import { TlsAcceptor } from './tls-acceptor.js';
import type { TlsAcceptorOptions } from './tls-acceptor.js';

/** What both listeners on the network need. */
export interface ListenOptions {
  /** IP address to bind; `::` or `0.0.0.0` for all. */
  readonly host: string;
  /** 0: one that is free. */
  readonly port: number;
  readonly identity: IdentitySource;
  readonly services: readonly ServedService[];
  readonly clock: Clock;
  readonly timers: Timers;
  readonly logger: Logger;
  readonly observer?: TransportObserver | undefined;
}

/** Arguments of {@link listenCluster}. */
export interface ListenClusterOptions extends ListenOptions {
  readonly clusterId: string;
  readonly authority: Authority;
}

function certifiedPeer(
  socket: TLSSocket,
  clusterId: string,
): Extract<Peer, { kind: 'certificate' }> {
  const certificate = socket.getPeerCertificate();
  // An empty object stands for no certificate; without the check it would name nobody.
  const der = certificate.raw as Buffer | undefined;
  if (!socket.authorized || der === undefined) {
    throw new ConclaveError('CV_UNAUTHENTICATED', 'the peer presented no certificate');
  }
  const identity = identityOf(new Uint8Array(der));
  if (identity.clusterId !== clusterId) {
    throw new ConclaveError('CV_UNAUTHENTICATED', 'the certificate belongs to another cluster');
  }
  return { kind: 'certificate', identity, address: socket.remoteAddress ?? '' };
}

/** A listener that could not bind must not go on watching for changes of rights. */
async function openAcceptor(grpc: GrpcListener, options: TlsAcceptorOptions): Promise<TlsAcceptor> {
  try {
    return await TlsAcceptor.open(options);
  } catch (error) {
    await grpc.close(options.timers);
    throw error;
  }
}

async function listenTls(
  grpc: GrpcListener,
  options: Omit<TlsAcceptorOptions, 'onSecure'>,
  peerOf: (socket: TLSSocket) => Peer,
): Promise<Listener> {
  const { logger, timers } = options;
  const onSecure = (socket: TLSSocket): void => {
    let peer: Peer;
    try {
      peer = peerOf(socket);
    } catch (error) {
      logger.info('transport.peer-refused', { error, address: socket.remoteAddress });
      options.observer?.connectionRefused(options.kind, 'identity');
      socket.destroy();
      return;
    }
    grpc.adopt(peer, socket);
  };
  const acceptor = await openAcceptor(grpc, { ...options, onSecure });
  const { address, port, family } = acceptor.address;
  let closing: Promise<void> | undefined;
  const close = (): Promise<void> => {
    closing ??= (async () => {
      acceptor.stop();
      await grpc.close(timers);
      await acceptor.destroyAll();
    })();
    return closing;
  };
  return {
    address: family === 'IPv6' ? `[${address}]:${port}` : `${address}:${port}`,
    port,
    get connectionCount(): number {
      return acceptor.connectionCount;
    },
    close,
    [Symbol.asyncDispose]: close,
  };
}

/**
 * The listener for members and administrators: TLS 1.3, both sides with a certificate under our
 * root, every call checked against committed state.
 * @throws CV_SOCKET_IN_USE when another process listens there.
 * @throws CV_ARGUMENT_INVALID when this host has no such address.
 */
export function listenCluster(options: ListenClusterOptions): Promise<Listener> {
  const { authority, clusterId } = options;
  const addresses = new KnownAddresses((address) => authority.isManagerAddress(address));
  return listenTls(
    new GrpcListener({ ...options, kind: 'cluster' }),
    {
      ...options,
      kind: 'cluster',
      rules: limits.ACCEPT_RULES,
      laneOf: (address) => addresses.laneOf(address),
    },
    (socket) => {
      const peer = certifiedPeer(socket, clusterId);
      if (isAccepted(peer, options)) {
        addresses.note(peer.address, callerKind(peer, options) === 'manager');
      }
      return peer;
    },
  );
}

/**
 * The listener for who wants to join: only the server has a certificate, and it presents the root
 * as well, so that the joining side can compare it with the pin of its token. Peers are anonymous.
 * @throws CV_SOCKET_IN_USE when another process listens there.
 * @throws CV_ARGUMENT_INVALID when this host has no such address.
 */
export function listenJoin(options: ListenOptions): Promise<Listener> {
  return listenTls(
    new GrpcListener({ ...options, kind: 'join' }),
    {
      ...options,
      kind: 'join',
      rules: limits.JOIN_ACCEPT_RULES,
      laneOf: () => 'new',
    },
    (socket) => ({ kind: 'anonymous', address: socket.remoteAddress ?? '' }),
  );
}
