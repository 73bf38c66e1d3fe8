import { constants } from 'node:crypto';
import { once } from 'node:events';
import { createServer as createTcpServer } from 'node:net';
import type { AddressInfo, Server as TcpServer, Socket } from 'node:net';
import { createServer as createTlsServer } from 'node:tls';
import type { SecureContextOptions, Server as TlsServer, TLSSocket } from 'node:tls';
import { ConclaveError } from '@conclave/kernel';
import type { Clock, Logger, TimerHandle, Timers } from '@conclave/kernel';
import { AcceptGate } from './accept-gate.js';
import type { GateRefusal } from './accept-gate.js';
import type { GateRules, Lane } from './gate-rates.js';
import { connectionKey } from './connection.js';
import { HandshakeQueue } from './handshake-queue.js';
import { secureContextOptions } from './identity.js';
import type { IdentitySource } from './identity.js';
import * as limits from './limits.js';
import type { TransportObserver } from './observer.js';

/** What a TLS listener needs, whoever may connect. */
export interface TlsAcceptorOptions {
  /** IP address to bind; `::` or `0.0.0.0` for all. */
  readonly host: string;
  /** 0: one that is free. */
  readonly port: number;
  readonly identity: IdentitySource;
  /** On the cluster listener nobody without a certificate under our roots gets through. */
  readonly kind: 'cluster' | 'join';
  readonly rules: GateRules;
  /** Which way a connection from this address takes. */
  readonly laneOf: (address: string) => Lane;
  readonly clock: Clock;
  readonly timers: Timers;
  readonly logger: Logger;
  readonly observer?: TransportObserver | undefined;
  /** Takes a socket whose handshake is over; it destroys the socket when it does not want it. */
  readonly onSecure: (socket: TLSSocket) => void;
}

interface Pending {
  readonly socket: Socket;
  readonly address: string;
  readonly lane: Lane;
  /** Ends the connection unless its handshake is over by then. */
  readonly deadline: TimerHandle;
}

/**
 * Accepts TCP connections, limits them before they cost anything, and lets a few at a time through
 * a TLS 1.3 handshake. There is no session resumption: a resumed session would skip the check of the
 * certificate. Every socket that errs or is late is destroyed here; Node itself keeps some.
 */
export class TlsAcceptor {
  readonly #options: TlsAcceptorOptions;
  readonly #gate: AcceptGate;
  readonly #tls: TlsServer;
  readonly #tcp: TcpServer;
  readonly #pending = new Map<string, Pending>();
  readonly #queues: Readonly<Record<Lane, HandshakeQueue<Pending>>>;
  readonly #sockets = new Set<Socket>();
  readonly #stopReload: () => void;

  private constructor(options: TlsAcceptorOptions) {
    this.#options = options;
    this.#gate = new AcceptGate(options.clock, options.rules);
    const queue = (lane: Lane): HandshakeQueue<Pending> =>
      new HandshakeQueue(options.rules.lanes[lane], options.timers, ({ socket }) => {
        if (!socket.destroyed) this.#tls.emit('connection', socket);
      });
    this.#queues = { manager: queue('manager'), known: queue('known'), new: queue('new') };
    this.#tls = createTlsServer({
      ...this.#context(),
      ALPNProtocols: ['h2'],
      requestCert: options.kind === 'cluster',
      rejectUnauthorized: true,
      handshakeTimeout: limits.HANDSHAKE_MS_MAX,
    });
    this.#tls.on('tlsClientError', (error: Error, socket: Socket) => {
      options.logger.debug('transport.handshake-failed', { error });
      options.observer?.connectionRefused(options.kind, 'handshake');
      socket.destroy();
    });
    this.#tls.on('secureConnection', (socket) => this.#secured(socket));
    this.#tcp = createTcpServer({ noDelay: true }, (socket) => this.#accepted(socket));
    this.#stopReload = options.identity.onChange(() => {
      this.#tls.setSecureContext(this.#context());
    });
  }

  /**
   * @throws CV_SOCKET_IN_USE when another process listens there.
   * @throws CV_ARGUMENT_INVALID when this host has no such address.
   */
  static async open(options: TlsAcceptorOptions): Promise<TlsAcceptor> {
    const acceptor = new TlsAcceptor(options);
    try {
      await listenOn(acceptor.#tcp, options);
    } catch (error) {
      acceptor.#stopReload();
      throw error;
    }
    acceptor.#tcp.on('error', (error) => {
      options.logger.error('transport.listener-error', { error });
    });
    return acceptor;
  }

  get address(): AddressInfo {
    return this.#tcp.address() as AddressInfo;
  }

  get connectionCount(): number {
    return this.#gate.connectionCount;
  }

  /** Accepts nothing any more and ends what is in its handshake. Open connections stay. */
  stop(): void {
    this.#stopReload();
    this.#tcp.close();
    for (const pending of this.#pending.values()) pending.socket.destroy();
  }

  /** Ends what is still open; after `stop`. */
  async destroyAll(): Promise<void> {
    const ends = [...this.#sockets].map((socket) => {
      const end = once(socket, 'close');
      socket.destroy();
      return end;
    });
    await Promise.all(ends);
  }

  #context(): SecureContextOptions {
    const { identity, kind } = this.#options;
    const presents = kind === 'cluster' ? 'chain' : 'chain-and-roots';
    return {
      ...secureContextOptions(identity.current(), presents),
      secureOptions: constants.SSL_OP_NO_TICKET,
      sessionTimeout: 1, // seconds, for what the option above should leave
    };
  }

  #accepted(socket: Socket): void {
    socket.on('error', () => socket.destroy());
    const address = socket.remoteAddress;
    const key = connectionKey(socket);
    if (address === undefined || key === undefined) {
      socket.destroy();
      return;
    }
    const lane = this.#options.laneOf(address);
    const refusal = this.#gate.admit(address, lane);
    if (refusal !== undefined) {
      this.#refuse(socket, refusal);
      return;
    }
    const deadline = this.#options.timers.after(limits.HANDSHAKE_MS_MAX, () => socket.destroy());
    const pending: Pending = { socket, address, lane, deadline };
    this.#pending.set(key, pending);
    this.#sockets.add(socket);
    socket.once('close', () => {
      this.#sockets.delete(socket);
      this.#settle(key, pending);
      this.#gate.closed(address, lane);
    });
    // Who says nothing waits for its deadline, and not in anybody's way.
    socket.once('readable', () => this.#speaks(pending));
  }

  #speaks(pending: Pending): void {
    const { socket, lane } = pending;
    if (socket.destroyed) return;
    if (socket.readableLength === 0) socket.destroy();
    else if (!this.#queues[lane].add(pending)) this.#refuse(socket, 'queue');
  }

  #refuse(socket: Socket, reason: GateRefusal | 'queue'): void {
    const { kind, logger, observer } = this.#options;
    logger.debug('transport.refused', { reason, address: socket.remoteAddress });
    observer?.connectionRefused(kind, reason);
    socket.destroy();
  }

  /** Once per connection: its handshake ended or the connection did. */
  #settle(key: string, pending: Pending): void {
    if (this.#pending.get(key) !== pending) return;
    this.#pending.delete(key);
    pending.deadline.cancel();
    this.#queues[pending.lane].end(pending);
    this.#gate.settled(pending.address);
  }

  #secured(socket: TLSSocket): void {
    socket.on('error', () => socket.destroy());
    const key = connectionKey(socket);
    const pending = key === undefined ? undefined : this.#pending.get(key);
    if (key === undefined || pending === undefined) {
      socket.destroy();
      return;
    }
    this.#settle(key, pending);
    if (socket.alpnProtocol !== 'h2' || socket.getProtocol() !== 'TLSv1.3') {
      socket.destroy();
      return;
    }
    this.#options.onSecure(socket);
  }
}

const LOW_PORT_HINT =
  'The daemon has no right to ports below 1024: take a higher one, or lower ' +
  'net.ipv4.ip_unprivileged_port_start with sysctl.';

function listenOn(server: TcpServer, { host, port }: TlsAcceptorOptions): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once('error', (cause: NodeJS.ErrnoException) => {
      reject(
        cause.code === 'EADDRINUSE'
          ? new ConclaveError('CV_SOCKET_IN_USE', `another process listens on port ${port}`, {
              cause,
            })
          : new ConclaveError(
              'CV_ARGUMENT_INVALID',
              `cannot listen on ${host}:${port}: ${cause.code ?? 'unknown error'}`,
              cause.code === 'EACCES' ? { cause, hint: LOW_PORT_HINT } : { cause },
            ),
      );
    });
    server.listen({ host, port, exclusive: true }, () => {
      server.removeAllListeners('error');
      resolve();
    });
  });
}
