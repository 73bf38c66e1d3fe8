import type { Socket } from 'node:net';
import { connect as connectTls } from 'node:tls';
import type { ConnectionOptions, TLSSocket } from 'node:tls';
import { ConclaveError, isConclaveError } from '@conclave/kernel';
import type { Timers } from '@conclave/kernel';
import { CallCredentials, ChannelCredentials } from '@grpc/grpc-js';
import * as limits from './limits.js';

type ConnectorParameters = Parameters<ChannelCredentials['_createSecureConnector']>;
type SecureConnector = ReturnType<ChannelCredentials['_createSecureConnector']>;

/** How a channel turns a TCP connection into one it may speak on. */
export interface Handshake {
  /** The TLS settings of the next connection, or nothing for plain sockets of this host. */
  readonly options: () => ConnectionOptions;
  /** Throws unless the other side is who it has to be. Nothing was sent to it before. */
  readonly verify: (socket: TLSSocket) => void;
}

/** What a channel knows of its latest attempt to connect. */
export interface ConnectorState {
  /** Why the latest attempt failed; nothing after one that succeeded. */
  lastError: ConclaveError | undefined;
  /** Connections that are open now. */
  openCount: number;
  /** The certificate that the newest connection's peer presented, DER. */
  peerCertificateDer: Uint8Array | undefined;
}

function unreachable(cause: unknown): ConclaveError {
  return new ConclaveError('CV_PEER_UNREACHABLE', 'the secure connection failed', { cause });
}

/** Resolves with the verified socket; every other end destroys it. */
function secure(tcp: Socket, handshake: Handshake, timers: Timers): Promise<TLSSocket> {
  return new Promise((resolve, reject) => {
    const socket = connectTls({ ...handshake.options(), socket: tcp, ALPNProtocols: ['h2'] });
    const timer = timers.after(limits.HANDSHAKE_MS_MAX, () => {
      fail(new ConclaveError('CV_PEER_UNREACHABLE', 'the peer did not finish its handshake'));
    });
    const onClose = (): void => fail(unreachable(undefined));
    const fail = (error: unknown): void => {
      timer.cancel();
      socket.destroy();
      reject(isConclaveError(error) ? error : unreachable(error));
    };
    socket.on('error', fail);
    socket.once('close', onClose);
    socket.once('secureConnect', () => {
      timer.cancel();
      socket.removeListener('close', onClose);
      try {
        if (socket.alpnProtocol !== 'h2') throw unreachable('the peer speaks no HTTP/2');
        handshake.verify(socket);
        resolve(socket);
      } catch (error) {
        fail(error);
      }
    });
  });
}

/**
 * Credentials whose connector does the handshake itself, so that identities are read anew for each
 * connection, TLS has our range, and the peer is checked by our own rules before a byte is sent.
 */
export class CheckedCredentials extends ChannelCredentials {
  readonly #handshake: Handshake;
  readonly #timers: Timers;
  readonly #state: ConnectorState;

  constructor(handshake: Handshake, timers: Timers, state: ConnectorState) {
    super();
    this.#handshake = handshake;
    this.#timers = timers;
    this.#state = state;
  }

  override _isSecure(): boolean {
    return true;
  }

  override _equals(other: ChannelCredentials): boolean {
    return this === other;
  }

  override _createSecureConnector(
    _target: ConnectorParameters[0],
    _options: ConnectorParameters[1],
    callCredentials?: ConnectorParameters[2],
  ): SecureConnector {
    return {
      connect: (tcp) => this.#connect(tcp),
      waitForReady: () => Promise.resolve(),
      getCallCredentials: () => callCredentials ?? CallCredentials.createEmpty(),
      destroy: () => undefined,
    };
  }

  async #connect(tcp: Socket): Promise<{ socket: Socket; secure: boolean }> {
    const state = this.#state;
    try {
      const socket = await secure(tcp, this.#handshake, this.#timers);
      state.lastError = undefined;
      state.openCount += 1;
      const der = socket.getPeerCertificate().raw as Buffer | undefined;
      state.peerCertificateDer = der === undefined ? undefined : new Uint8Array(der);
      socket.once('close', () => {
        state.openCount -= 1;
      });
      return { socket, secure: true };
    } catch (error) {
      state.lastError = isConclaveError(error) ? error : unreachable(error);
      throw state.lastError;
    }
  }
}
