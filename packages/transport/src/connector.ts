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
  /** Where to, for the texts of errors. */
  readonly address: string;
  /** Why the latest attempt failed; nothing after one that succeeded. */
  lastError: ConclaveError | undefined;
  /** Connections that are open now. */
  openCount: number;
  /** The certificate that the newest connection's peer presented, DER. */
  peerCertificateDer: Uint8Array | undefined;
}

function unreachable(address: string, cause: unknown): ConclaveError {
  const message = `what answers at ${address} does not speak as a manager does`;
  return new ConclaveError('CV_PEER_UNREACHABLE', message, { cause });
}

interface SecureOptions {
  readonly handshake: Handshake;
  readonly timers: Timers;
  readonly address: string;
}

/** Resolves with the verified socket; every other end destroys it. */
function secure(tcp: Socket, options: SecureOptions): Promise<TLSSocket> {
  const { handshake, timers, address } = options;
  return new Promise((resolve, reject) => {
    const socket = connectTls({ ...handshake.options(), socket: tcp, ALPNProtocols: ['h2'] });
    const timer = timers.after(limits.HANDSHAKE_MS_MAX, () => {
      const message = `what answers at ${address} did not finish its handshake`;
      fail(new ConclaveError('CV_PEER_UNREACHABLE', message));
    });
    const onClose = (): void => fail(unreachable(address, undefined));
    const fail = (error: unknown): void => {
      timer.cancel();
      socket.destroy();
      reject(isConclaveError(error) ? error : unreachable(address, error));
    };
    socket.on('error', fail);
    socket.once('close', onClose);
    socket.once('secureConnect', () => {
      timer.cancel();
      socket.removeListener('close', onClose);
      try {
        if (socket.alpnProtocol !== 'h2') throw unreachable(address, 'no HTTP/2');
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
      const { address } = state;
      const options = { handshake: this.#handshake, timers: this.#timers, address };
      const socket = await secure(tcp, options);
      state.lastError = undefined;
      state.openCount += 1;
      const der = socket.getPeerCertificate().raw as Buffer | undefined;
      state.peerCertificateDer = der === undefined ? undefined : new Uint8Array(der);
      socket.once('close', () => {
        state.openCount -= 1;
      });
      return { socket, secure: true };
    } catch (error) {
      state.lastError = isConclaveError(error) ? error : unreachable(state.address, error);
      throw state.lastError;
    }
  }
}
