import { constants } from 'node:http2';
import type { IncomingHttpHeaders, ServerHttp2Stream } from 'node:http2';
import { ConclaveError } from '@conclave/kernel';
import type { Timers } from '@conclave/kernel';
import { statusOf } from '@conclave/wire';
import { callerKind } from './authority.js';
import type { AuthorityView } from './authority.js';
import type { CallerBudgets } from './caller-budgets.js';
import type { Connection } from './connection.js';
import type { Connections } from './connections.js';
import * as limits from './limits.js';

/** What streams are let in with. */
export interface StreamGateOptions {
  readonly connections: Connections;
  readonly budgets: CallerBudgets;
  readonly view: AuthorityView;
  readonly timers: Timers;
}

/** Calls `listener` for an answered stream whose request goes on. */
function onAnsweredEarly(stream: ServerHttp2Stream, listener: () => void): void {
  stream.once('finish', () => {
    if (!stream.readableEnded && !stream.destroyed) listener();
  });
}

function endStream(stream: ServerHttp2Stream, code: number): void {
  if (!stream.destroyed && !stream.closed) stream.close(code);
}

/** Answers a call with a status alone, before grpc-js has seen it. */
function answer(stream: ServerHttp2Stream, error: ConclaveError): void {
  const { code, details, metadata } = statusOf(error);
  stream.respond(
    {
      [constants.HTTP2_HEADER_STATUS]: constants.HTTP_STATUS_OK,
      [constants.HTTP2_HEADER_CONTENT_TYPE]: 'application/grpc+proto',
      'grpc-status': code,
      'grpc-message': encodeURI(details),
      ...metadata.toHttp2Headers(),
    },
    { endStream: true },
  );
  stream.resume();
}

/**
 * Stands in front of grpc-js, which sees a stream only when its connection and its caller may have
 * one more. So unknown methods and refused calls are counted like all others, and what goes beyond
 * is refused by HTTP/2 itself, before anything is made of it. A connection that does little else
 * than to be refused ends.
 */
export class StreamGate {
  readonly #options: StreamGateOptions;

  constructor(options: StreamGateOptions) {
    this.#options = options;
  }

  /** True when the stream may become a call; else it has been ended. */
  admit(stream: ServerHttp2Stream, headers: IncomingHttpHeaders): boolean {
    stream.on('error', () => undefined); // followed by its end
    const { socket } = stream.session ?? {};
    const connection = socket && this.#options.connections.find(socket);
    if (connection === undefined) {
      endStream(stream, constants.NGHTTP2_REFUSED_STREAM);
      return false;
    }
    // One that was given up already cannot be answered any more.
    if (connection.isFull || stream.destroyed || stream.closed) {
      endStream(stream, constants.NGHTTP2_REFUSED_STREAM);
      this.#countRefusal(stream, connection);
      return false;
    }
    connection.streamOpened();
    stream.once('close', () => connection.streamClosed());
    this.#stopReadingAfterAnswer(stream);
    const { peer } = connection;
    const { budgets, view } = this.#options;
    if (budgets.take(peer, callerKind(peer, view), headers[':path'] ?? '')) return true;
    answer(stream, tooManyCalls());
    this.#countRefusal(stream, connection);
    return false;
  }

  #stopReadingAfterAnswer(stream: ServerHttp2Stream): void {
    onAnsweredEarly(stream, () => {
      // A caller that heard the answer ends by itself; what another one sends is not read for ever.
      const farewell = this.#options.timers.after(limits.CUT_GRACE_MS, () => {
        endStream(stream, constants.NGHTTP2_NO_ERROR);
      });
      stream.once('close', () => farewell.cancel());
    });
  }

  #countRefusal(stream: ServerHttp2Stream, connection: Connection): void {
    if (connection.mayCancel()) return;
    stream.session?.destroy();
    connection.destroy();
  }
}

function tooManyCalls(): ConclaveError {
  return new ConclaveError('CV_LIMIT_EXCEEDED', 'this caller makes too many calls', {
    retryAfterMs: 1_000,
  });
}
