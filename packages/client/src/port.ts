import type { Method } from '@conclave/wire';

/** A method with one request and one answer, seen from the caller. */
export type UnaryMethod<Request, Response> = Method<'unary', Request, unknown, never, Response>;

/** A method with one request and a stream of answers, seen from the caller. */
export type StreamMethod<Request, Response> = Method<
  'server-stream',
  Request,
  unknown,
  never,
  Response
>;

/** Settings of one attempt of one call. */
export interface AttemptOptions {
  /** Milliseconds until the attempt ends with `CV_DEADLINE`; absent: no limit (streams). */
  readonly deadlineMs?: number | undefined;
  /** Ends the attempt with `CV_CANCELLED`. */
  readonly signal?: AbortSignal | undefined;
  /** Sent as metadata too, so that a manager can answer a repetition before it reads the body. */
  readonly idempotencyKey?: string | undefined;
}

/**
 * What the client needs of a transport: one connection to a manager or to the local daemon.
 * Errors are ConclaveErrors. An implementation does not retry: that is the client's.
 */
export interface RpcPort {
  /** One request, one answer. */
  unary<Request, Response>(
    method: UnaryMethod<Request, Response>,
    request: Request,
    options: AttemptOptions,
  ): Promise<Response>;
  /** One request, many answers; leaving the loop cancels the call. */
  stream<Request, Response>(
    method: StreamMethod<Request, Response>,
    request: Request,
    options: AttemptOptions,
  ): AsyncIterable<Response>;
  /** Node id of the manager that answered last; absent, or undefined before: not known. */
  readonly peerId?: (() => string | undefined) | undefined;
  /** A port to each manager that this one chooses among; absent: it leads to one daemon. */
  readonly each?: (() => readonly Promise<RpcPort>[]) | undefined;
  /** Ends every call with `CV_CANCELLED`; may be called again. */
  close(): void;
}
