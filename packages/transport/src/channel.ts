import { ConclaveError } from '@conclave/kernel';
import type { Clock, Timers } from '@conclave/kernel';
import type { AnyMethod, Method } from '@conclave/wire';
import { ChannelCredentials, Client, logVerbosity, setLogVerbosity } from '@grpc/grpc-js';
import { callBidi, callServerStream, callUnary } from './calls.js';
import type { CallOptions, CallTarget } from './call-spec.js';
import type { BidiCall } from './calls.js';
import { CheckedCredentials } from './connector.js';
import type { ConnectorState, Handshake } from './connector.js';
import { joinHandshake, memberHandshake, strangerHandshake } from './handshakes.js';
import type { ExpectedManager } from './handshakes.js';
import type { IdentitySource } from './identity.js';
import * as limits from './limits.js';

/** A way to one manager, or to the daemon of this host. Connects by itself when it is used. */
export interface Channel extends Disposable {
  /** What it connects to. */
  readonly address: string;
  /** The certificate that the peer of the newest connection presented, DER. */
  readonly peerCertificateDer: Uint8Array | undefined;
  /** One message each way. */
  unary<I, O>(
    method: Method<'unary', I, unknown, never, O>,
    request: NoInfer<I>,
    options?: CallOptions,
  ): Promise<O>;
  /** One message, then many back; ending the loop cancels the call. */
  serverStream<I, O>(
    method: Method<'server-stream', I, unknown, never, O>,
    request: NoInfer<I>,
    options?: CallOptions,
  ): AsyncIterable<O>;
  /** Many messages both ways. */
  bidi<I, O>(method: Method<'bidi', I, unknown, never, O>, options?: CallOptions): BidiCall<I, O>;
  /** Ends every call and connection. May be called again. */
  close(): void;
}

/** Arguments of {@link openChannel}. */
export interface OpenChannelOptions {
  /** `host:port`, `[v6]:port`. The name of the host is for finding it, not for trusting it. */
  readonly address: string;
  readonly identity: IdentitySource;
  readonly expect: ExpectedManager;
  /**
   * Milliseconds without any sign of the peer after which a connection with open calls is given up,
   * at least 1 000; default 30 000. Half of it passes before the peer is asked.
   */
  readonly silenceMsMax?: number;
  readonly clock: Clock;
  readonly timers: Timers;
}

/** Arguments of {@link openJoinChannel}. */
export interface OpenJoinChannelOptions {
  readonly address: string;
  /** SHA-256 of the public key info of the root, from the token; of any that counts. */
  readonly pins: readonly Uint8Array[];
  readonly clock: Clock;
  readonly timers: Timers;
}

/** Arguments of {@link openStrangerChannel}. */
export type OpenStrangerChannelOptions = Omit<OpenJoinChannelOptions, 'pins'>;

/** Arguments of {@link openLocalChannel}. */
export interface OpenLocalChannelOptions {
  /** Path of the unix socket. */
  readonly path: string;
  readonly clock: Clock;
  readonly timers: Timers;
}

const ADDRESS_FORM = /^(?:\[[0-9a-fA-F:.%]+\]|[A-Za-z0-9._-]{1,253}):([0-9]{1,5})$/;
const PORT_MAX = 65_535;

function checkAddress(address: string): void {
  const port = Number(ADDRESS_FORM.exec(address)?.[1] ?? 0);
  if (port >= 1 && port <= PORT_MAX) return;
  throw new ConclaveError('CV_ARGUMENT_INVALID', 'an address has the form host:port', {
    details: { address: address.slice(0, 300) },
  });
}

function grpcOptions(
  authority: string,
  silenceMsMax: number | undefined,
): Record<string, number | string> {
  const halfMs = silenceMsMax === undefined ? undefined : Math.ceil(silenceMsMax / 2);
  return {
    'grpc.default_authority': authority,
    'grpc.enable_channelz': 0,
    'grpc.enable_http_proxy': 0,
    // What is retried, the caller decides: only it knows whether a write carries a key.
    'grpc.enable_retries': 0,
    'grpc.service_config_disable_resolution': 1,
    'grpc.use_local_subchannel_pool': 1,
    'grpc.initial_reconnect_backoff_ms': limits.RECONNECT_MS_MIN,
    'grpc.max_reconnect_backoff_ms': limits.RECONNECT_MS_MAX,
    'grpc.keepalive_time_ms': halfMs ?? limits.KEEPALIVE_MS,
    'grpc.keepalive_timeout_ms': halfMs ?? limits.KEEPALIVE_ANSWER_MS,
    'grpc.max_receive_message_length': limits.MESSAGE_BYTES_MAX,
    'grpc.max_send_message_length': limits.MESSAGE_BYTES_MAX,
    'grpc-node.max_session_memory': limits.SESSION_MEMORY_MIB_MAX,
  };
}

class GrpcChannel implements Channel {
  readonly address: string;
  readonly #target: CallTarget;

  constructor(address: string, target: CallTarget) {
    this.address = address;
    this.#target = target;
  }

  get peerCertificateDer(): Uint8Array | undefined {
    return this.#target.state?.peerCertificateDer;
  }

  unary<I, O>(
    method: Method<'unary', I, unknown, never, O>,
    request: NoInfer<I>,
    options: CallOptions = {},
  ): Promise<O> {
    return callUnary(this.#target, { method: method as AnyMethod, options }, request) as Promise<O>;
  }

  serverStream<I, O>(
    method: Method<'server-stream', I, unknown, never, O>,
    request: NoInfer<I>,
    options: CallOptions = {},
  ): AsyncIterable<O> {
    const call = { method: method as AnyMethod, options };
    return callServerStream(this.#target, call, request) as AsyncIterable<O>;
  }

  bidi<I, O>(
    method: Method<'bidi', I, unknown, never, O>,
    options: CallOptions = {},
  ): BidiCall<I, O> {
    return callBidi(this.#target, { method: method as AnyMethod, options }) as BidiCall<I, O>;
  }

  close(): void {
    for (const cancel of this.#target.openCalls) cancel();
    this.#target.client.close();
  }

  [Symbol.dispose](): void {
    this.close();
  }
}

interface Ambience {
  readonly clock: Clock;
  readonly timers: Timers;
  readonly silenceMsMax?: number;
}

function openNetwork(address: string, handshake: Handshake, around: Ambience): Channel {
  const { clock, timers, silenceMsMax } = around;
  checkAddress(address);
  setLogVerbosity(logVerbosity.NONE);
  const state: ConnectorState = {
    address,
    lastError: undefined,
    openCount: 0,
    peerCertificateDer: undefined,
  };
  const credentials = new CheckedCredentials(handshake, timers, state);
  const client = new Client(`dns:${address}`, credentials, grpcOptions('conclave', silenceMsMax));
  return new GrpcChannel(address, { client, state, clock, timers, openCalls: new Set() });
}

/**
 * A channel of a member or administrator to a manager: TLS 1.3 with both certificates, the fixed
 * server name of the cluster, and the manager that `expect` names. Sends nothing to anybody else.
 * @throws CV_ARGUMENT_INVALID for a malformed address. Calls fail with CV_PEER_UNREACHABLE,
 *   CV_CA_MISMATCH, CV_CERTIFICATE_EXPIRED or CV_UNAUTHENTICATED when it cannot connect.
 */
export function openChannel(options: OpenChannelOptions): Channel {
  const { address, identity, expect, clock } = options;
  return openNetwork(address, memberHandshake(identity, expect, clock), options);
}

/**
 * A channel to the join listener of a manager that is known by the pin of its root only.
 * @throws CV_ARGUMENT_INVALID for a malformed address. Calls fail with CV_CA_MISMATCH, nothing
 *   having been sent, when the manager does not belong to the root of the pin.
 */
export function openJoinChannel(options: OpenJoinChannelOptions): Channel {
  const { address, pins, clock } = options;
  return openNetwork(address, joinHandshake(pins, clock), options);
}

/**
 * A channel to a join listener that nobody was recognised on. Only for asking for what proves itself:
 * certificates that lead from a root that is known to one that is not. Nothing that matters may be
 * said on it, and no other answer believed.
 * @throws CV_ARGUMENT_INVALID for a malformed address
 */
export function openStrangerChannel(options: OpenStrangerChannelOptions): Channel {
  return openNetwork(options.address, strangerHandshake(), options);
}

/** A channel to the daemon of this host. Calls fail with CV_PEER_UNREACHABLE when none answers. */
export function openLocalChannel(options: OpenLocalChannelOptions): Channel {
  const { path, clock, timers } = options;
  setLogVerbosity(logVerbosity.NONE);
  const client = new Client(
    `unix:${path}`,
    ChannelCredentials.createInsecure(),
    grpcOptions('localhost', undefined),
  );
  return new GrpcChannel(path, {
    client,
    state: undefined,
    clock,
    timers,
    openCalls: new Set(),
  });
}
