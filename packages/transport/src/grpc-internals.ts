import { constants } from 'node:http2';
import type { ServerHttp2Stream } from 'node:http2';
import type { ErrorKind } from '@conclave/kernel';
import type { ServerInterceptingCallInterface } from '@grpc/grpc-js';

/**
 * The two things that grpc-js keeps to itself and that cannot be had otherwise. Its version is
 * pinned, and tests send a compressed message and cut a stream that nobody reads, so that a change
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
