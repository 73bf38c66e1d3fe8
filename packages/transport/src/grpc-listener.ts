import type { Socket } from 'node:net';
import { assert, ConclaveError } from '@conclave/kernel';
import type { Clock, Logger, Timers } from '@conclave/kernel';
import type { MethodKind } from '@conclave/wire';
import { logVerbosity, Server, ServerCredentials, setLogVerbosity } from '@grpc/grpc-js';
import type { ConnectionInjector } from '@grpc/grpc-js';
import { admissionInterceptor } from './admission.js';
import type { AdmittedCalls } from './admission.js';
import { isAccepted } from './authority.js';
import type { Authority } from './authority.js';
import { authorisationRow } from './authorisation.js';
import type { ListenerKind } from './authorisation.js';
import { CallerBudgets } from './caller-budgets.js';
import { Connections } from './connections.js';
import { guardStreams, setHttp2Options } from './grpc-internals.js';
import type { Http2Options } from './grpc-internals.js';
import * as limits from './limits.js';
import type { TransportObserver } from './observer.js';
import type { Peer } from './peer.js';
import { grpcHandler } from './run-call.js';
import type { ServedMethod, ServedService } from './serve.js';
import { StreamGate } from './stream-gate.js';

/** What every listener needs, whatever its sockets are. */
export interface GrpcListenerOptions {
  readonly kind: ListenerKind;
  readonly services: readonly ServedService[];
  /** Absent on listeners without certificates. */
  readonly authority?: Authority | undefined;
  readonly clock: Clock;
  readonly timers: Timers;
  readonly logger: Logger;
  readonly observer?: TransportObserver | undefined;
}

function grpcOptions(kind: ListenerKind): Record<string, number> {
  const [ageMs, graceMs, memoryMib] =
    kind === 'join'
      ? [
          limits.JOIN_CONNECTION_AGE_MS_MAX,
          limits.JOIN_CONNECTION_AGE_GRACE_MS,
          limits.JOIN_SESSION_MEMORY_MIB_MAX,
        ]
      : [
          limits.CONNECTION_AGE_MS_MAX,
          limits.CONNECTION_AGE_GRACE_MS,
          limits.SESSION_MEMORY_MIB_MAX,
        ];
  return {
    'grpc.enable_channelz': 0,
    'grpc.max_receive_message_length': limits.MESSAGE_BYTES_MAX,
    'grpc.max_send_message_length': limits.MESSAGE_BYTES_MAX,
    'grpc.keepalive_time_ms': limits.KEEPALIVE_MS,
    'grpc.keepalive_timeout_ms': limits.KEEPALIVE_ANSWER_MS,
    'grpc.max_connection_idle_ms': limits.IDLE_MS_MAX,
    'grpc.max_connection_age_ms': ageMs,
    'grpc.max_connection_age_grace_ms': graceMs,
    'grpc-node.max_session_memory': memoryMib,
  };
}

function http2Options(kind: ListenerKind): Http2Options {
  return {
    maxSessionInvalidFrames: limits.INVALID_FRAMES_MAX,
    maxSessionRejectedStreams: limits.REJECTED_STREAMS_MAX,
    settings: {
      maxConcurrentStreams:
        kind === 'join'
          ? limits.JOIN_STREAMS_PER_CONNECTION_MAX
          : limits.STREAMS_PER_CONNECTION_MAX,
      maxHeaderListSize: limits.METADATA_BYTES_MAX,
    },
  };
}

const asBytes = (bytes: Buffer): Buffer => bytes;

/**
 * A gRPC server without a port: sockets whose peer is known are handed in. Calls are admitted by
 * the table of rights and committed state, and checked again when that changes.
 */
export class GrpcListener {
  readonly connections: Connections;
  readonly #kind: ListenerKind;
  readonly #server: Server;
  readonly #injector: ConnectionInjector;
  readonly #stopWatching: (() => void) | undefined;

  constructor(options: GrpcListenerOptions) {
    // grpc-js writes to the console by itself; what matters is in our own log.
    setLogVerbosity(logVerbosity.NONE);
    const { clock, kind, logger, timers, authority } = options;
    this.#kind = kind;
    const view = { authority, clock };
    this.connections = new Connections({
      clock,
      timers,
      isAccepted: (peer) => isAccepted(peer, view),
    });
    const methods = options.services.flatMap((service) => service.methods);
    const kinds = new Map<string, MethodKind>();
    for (const { method } of methods) kinds.set(method.path, method.kind);
    const admitted: AdmittedCalls = new WeakMap();
    const gate = { connections: this.connections, budgets: new CallerBudgets(clock), view, timers };
    const admission = {
      ...gate,
      listener: kind,
      logger,
      observer: options.observer,
      kindOf: (path: string) => kinds.get(path),
    };
    this.#server = new Server({
      ...grpcOptions(kind),
      interceptors: [admissionInterceptor(admission, admitted)],
    });
    for (const served of methods) this.#register(served, { admitted, timers });
    setHttp2Options(this.#server, http2Options(kind));
    this.#injector = this.#server.createConnectionInjector(ServerCredentials.createInsecure());
    const streams = new StreamGate(gate);
    guardStreams(this.#server, (stream, headers) => streams.admit(stream, headers));
    this.#stopWatching = authority?.onChange(() => this.connections.recheck());
  }

  /** Takes over a socket; destroys it when it is closed already. */
  adopt(peer: Peer, socket: Socket): void {
    const connection = this.connections.add(peer, socket);
    if (connection === undefined) {
      socket.destroy();
      return;
    }
    this.#injector.injectConnection(socket);
  }

  /** Cuts streams, lets other calls finish for `CLOSE_GRACE_MS`, then ends what is left. */
  async close(timers: Timers): Promise<void> {
    this.#stopWatching?.();
    this.connections.cutStreams(new ConclaveError('CV_PEER_UNREACHABLE', 'this host is stopping'));
    await new Promise<void>((resolve) => {
      const timer = timers.after(limits.CLOSE_GRACE_MS, () => {
        this.connections.destroyAll();
        this.#server.forceShutdown();
        resolve();
      });
      this.#server.tryShutdown(() => {
        timer.cancel();
        resolve();
      });
    });
  }

  #register(served: ServedMethod, options: Parameters<typeof grpcHandler>[1]): void {
    const { path } = served.method;
    const isAllowed = authorisationRow(path)?.[this.#kind] !== undefined;
    assert(isAllowed, `${path} has no row for the ${this.#kind} listener`);
    const { type, handle } = grpcHandler(served, options);
    const isNew = this.#server.register(path, handle, asBytes, asBytes, type);
    assert(isNew, `${path} is served twice`);
  }
}
