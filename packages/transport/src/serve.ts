import { required } from '@conclave/kernel';
import type { AnyMethod, Method } from '@conclave/wire';
import type { CallContext } from './call-context.js';
import type { StreamWriter } from './stream-writer.js';

/**
 * What answers one method.
 * - unary: one message in, one out.
 * - server stream: yields messages; asked for the next one only when the reader has room.
 * - bidi: reads and writes at its own pace; the stream ends when the promise does.
 *
 * The end of the requests does not prove that the caller meant to end there: Node's HTTP/2 ends a
 * cancelled stream in order first and resets it an instant later. Messages mark their last one.
 */
export type Handler<M> =
  M extends Method<'unary', infer _I, infer Request, infer Response, infer _O>
    ? (call: CallContext, request: Request) => Promise<Response>
    : M extends Method<'server-stream', infer _I, infer Request, infer Response, infer _O>
      ? (call: CallContext, request: Request) => AsyncIterable<Response>
      : M extends Method<'bidi', infer _I, infer Request, infer Response, infer _O>
        ? (
            call: CallContext,
            requests: AsyncIterable<Request>,
            responses: StreamWriter<Response>,
          ) => Promise<void>
        : never;

/** One handler per method of a service, under the method's name with a small first letter. */
export type Handlers<S> = { readonly [M in keyof S & string as Uncapitalize<M>]: Handler<S[M]> };

/** A handler whose messages are of no interest to the listener. */
export type AnyHandler = (
  call: CallContext,
  request: unknown,
  responses: StreamWriter<unknown>,
) => Promise<unknown> | AsyncIterable<unknown>;

/** A method together with what answers it. */
export interface ServedMethod {
  readonly method: AnyMethod;
  readonly handler: AnyHandler;
}

/** A service together with its handlers; any listener whose row allows it may serve it. */
export interface ServedService {
  readonly methods: readonly ServedMethod[];
}

/**
 * Binds handlers to the methods of a service of `loadWire()`. Handlers are called as methods of
 * `handlers`, so it may be an object of a class. What they throw becomes the status of the call.
 */
export function serve<S extends object>(service: S, handlers: Handlers<S>): ServedService {
  const byName = handlers as unknown as Readonly<Record<string, AnyHandler | undefined>>;
  const methods = Object.entries(service).map(([name, method]): ServedMethod => {
    const handlerName = `${name.charAt(0).toLowerCase()}${name.slice(1)}`;
    const handler = required(byName[handlerName], `handler ${handlerName}`);
    return { method: method as AnyMethod, handler: handler.bind(handlers) };
  });
  return { methods };
}
