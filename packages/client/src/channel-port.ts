import { identityOf } from '@conclave/pki';
import type { Channel } from '@conclave/transport';
import type { Method } from '@conclave/wire';
import type { RpcPort, StreamMethod, UnaryMethod } from './port.js';

/** The caller's side of a method is all that a channel uses of it. */
function unaryOf<Request, Response>(
  method: UnaryMethod<Request, Response>,
): Method<'unary', Request, unknown, unknown, Response> {
  return method as unknown as Method<'unary', Request, unknown, unknown, Response>;
}

function streamOf<Request, Response>(
  method: StreamMethod<Request, Response>,
): Method<'server-stream', Request, unknown, unknown, Response> {
  return method as unknown as Method<'server-stream', Request, unknown, unknown, Response>;
}

/** A channel of the transport as the client sees it. */
export function channelPort(channel: Channel): RpcPort {
  return {
    unary: (method, request, { deadlineMs, idempotencyKey, signal }) =>
      channel.unary(unaryOf(method), request, { timeoutMs: deadlineMs, idempotencyKey, signal }),
    stream: (method, request, { deadlineMs, signal }) =>
      channel.serverStream(streamOf(method), request, { timeoutMs: deadlineMs, signal }),
    peerId: () => {
      const der = channel.peerCertificateDer;
      return der === undefined ? undefined : identityOf(der).id;
    },
    close: () => channel.close(),
  };
}
