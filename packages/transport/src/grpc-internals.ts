import { constants } from 'node:http2';
import type {
  Http2Server,
  IncomingHttpHeaders,
  ServerHttp2Stream,
  ServerOptions,
} from 'node:http2';
import { assert } from '@conclave/kernel';
import type { ErrorKind } from '@conclave/kernel';
import type { Server, ServerInterceptingCallInterface } from '@grpc/grpc-js';

/**
 * What grpc-js keeps to itself and cannot be had otherwise. Its version is pinned, and tests send a
 * compressed message and one that is too large, cut a stream that nobody reads and open too many, so
 * that a change there shows.
 */
interface Internals {
  readonly decoder?: {
    maxReadMessageLength?: number;
    readonly readMessageSize: number;
    readonly readMessageRemaining: number;
  };
  readonly incomingEncoding?: unknown;
  readonly stream?: Partial<ServerHttp2Stream>;
}

/** How the messages of the caller are compressed; `identity`: not at all. */
export function encodingOf(call: ServerInterceptingCallInterface): unknown {
  return (call as Internals).incomingEncoding;
}

/** The reset code that a caller sees as the nearest status. */
function resetCode(kind: ErrorKind): number {
  switch (kind) {
    case 'denied':
      return constants.NGHTTP2_INADEQUATE_SECURITY;
    case 'limit':
      return constants.NGHTTP2_ENHANCE_YOUR_CALM;
    default:
      return constants.NGHTTP2_CANCEL;
  }
}

/**
 * Ends the stream of a call and drops what is queued in it, because a status would have to wait
 * behind that. False: not possible, the connection has to go instead.
 */
export function resetCall(call: ServerInterceptingCallInterface, kind: ErrorKind): boolean {
  const { stream } = call as Internals;
  if (typeof stream?.close !== 'function') return false;
  stream.close(resetCode(kind));
  return true;
}

/** How far the message is that a call is receiving, or received last. */
export interface MessageProgress {
  readonly receivedBytes: number;
  readonly isComplete: boolean;
}

/**
 * Bounds the request messages of a call, before anything of them is read, and tells how they come
 * in. A larger one ends the call as grpc-js does it.
 */
export function limitRequest(
  call: ServerInterceptingCallInterface,
  bytesMax: number,
  onProgress: (progress: MessageProgress) => void,
): void {
  const { decoder, stream } = call as Internals;
  assert(decoder?.maxReadMessageLength !== undefined, 'grpc-js has another decoder');
  assert(typeof stream?.on === 'function', 'grpc-js has another stream');
  decoder.maxReadMessageLength = bytesMax;
  stream.on('data', () => {
    const { readMessageSize, readMessageRemaining } = decoder;
    onProgress({
      receivedBytes: readMessageSize - readMessageRemaining,
      isComplete: readMessageRemaining === 0,
    });
  });
}

interface ServerInternals {
  readonly commonServerOptions?: object;
  readonly http2Servers?: ReadonlyMap<Http2Server, unknown>;
}

/** Options of Node's HTTP/2 that grpc-js has no names for; the types of Node lack some as well. */
export interface Http2Options extends Pick<ServerOptions, 'settings'> {
  readonly maxSessionInvalidFrames: number;
  readonly maxSessionRejectedStreams: number;
}

/** Sets options of Node's HTTP/2. Before the connection injector is made. */
export function setHttp2Options(server: Server, options: Http2Options): void {
  const { commonServerOptions } = server as unknown as ServerInternals;
  assert(commonServerOptions !== undefined, 'grpc-js keeps its options elsewhere');
  Object.assign(commonServerOptions, options);
}

/** Lets grpc-js see only those streams that `admit` is true for. After its connection injector. */
export function guardStreams(
  server: Server,
  admit: (stream: ServerHttp2Stream, headers: IncomingHttpHeaders) => boolean,
): void {
  const { http2Servers } = server as unknown as ServerInternals;
  const [http2Server] = http2Servers?.keys() ?? [];
  const [handle, ...others] = http2Server?.listeners('stream') ?? [];
  assert(http2Server !== undefined, 'grpc-js keeps its HTTP/2 server elsewhere');
  assert(handle !== undefined && others.length === 0, 'grpc-js takes streams in another way');
  http2Server.removeAllListeners('stream');
  http2Server.on('stream', (stream, headers, flags) => {
    if (admit(stream, headers)) handle.call(http2Server, stream, headers, flags);
  });
}

/** Drops what has arrived over the connection of a call already; the connection is to be ended. */
export function endSession(call: ServerInterceptingCallInterface): void {
  (call as Internals).stream?.session?.destroy();
}
