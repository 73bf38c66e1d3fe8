import { constants } from 'node:http2';
import type { ServerHttp2Stream } from 'node:http2';
import type { ErrorKind } from '@conclave/kernel';
import type { ServerInterceptingCallInterface } from '@grpc/grpc-js';

/**
 * What grpc-js keeps to itself and cannot be had otherwise. Its version is pinned, and tests send a
 * compressed message, cut a stream that nobody reads and go on after an answer, so that a change
 * there shows.
 */
interface Internals {
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

/**
 * Calls `listener` when the whole answer was written and the caller has not finished its request:
 * grpc-js would go on reading whatever still comes.
 */
export function onAnsweredEarly(call: ServerInterceptingCallInterface, listener: () => void): void {
  const { stream } = call as Internals;
  stream?.once?.('finish', () => {
    if (stream.readableEnded !== true) listener();
  });
}

/** Takes nothing more of the request of a call that was answered. */
export function stopRequest(call: ServerInterceptingCallInterface): void {
  (call as Internals).stream?.close?.(constants.NGHTTP2_NO_ERROR);
}

/** Drops what has arrived over the connection of a call already; the connection is to be ended. */
export function endSession(call: ServerInterceptingCallInterface): void {
  (call as Internals).stream?.session?.destroy();
}
