import { ConclaveError } from '@conclave/kernel';
import { errorOf } from '@conclave/wire';
import type { AnyMethod } from '@conclave/wire';
import { status as STATUS } from '@grpc/grpc-js';
import type { ClientReadableStream, Metadata, ServiceError } from '@grpc/grpc-js';
import {
  asBytes,
  deadlineOf,
  failureOf,
  linkCancellation,
  requestMetadata,
  tellTrailers,
} from './call-spec.js';
import type { CallSpec, CallTarget } from './call-spec.js';
import * as limits from './limits.js';
import { BoundedWriter } from './stream-writer.js';
import type { StreamWriter } from './stream-writer.js';

/** An open call with many messages both ways. */
export interface BidiCall<I, O> {
  readonly requests: StreamWriter<I>;
  /** No more requests will come. */
  end(): void;
  /** Throws the failure of the call. To be iterated once. */
  readonly responses: AsyncIterable<O>;
  cancel(): void;
}

/** One message each way. */
export function callUnary(
  target: CallTarget,
  { method, options }: CallSpec,
  request: unknown,
): Promise<unknown> {
  return new Promise((resolve, reject) => {
    const timeoutMs = options.timeoutMs ?? limits.CALL_MS_DEFAULT;
    const bytes = method.encodeRequest(request);
    const call = target.client.makeUnaryRequest<Buffer, Buffer>(
      method.path,
      asBytes,
      asBytes,
      bytes,
      requestMetadata(options),
      deadlineOf(target.clock, timeoutMs),
      (error, response) => {
        unlink();
        try {
          if (error !== null) throw failureOf(target, error);
          resolve(method.decodeResponse(response as Buffer));
        } catch (failure) {
          reject(failure as Error);
        }
      },
    );
    call.on('status', (status: { metadata: Metadata }) => tellTrailers(options, status.metadata));
    const unlink = linkCancellation({
      target,
      signal: options.signal,
      cancel: () => call.cancel(),
    });
  });
}

function isServiceError(error: unknown): error is ServiceError {
  return typeof (error as { code?: unknown } | null)?.code === 'number';
}

interface ResponseParts {
  readonly target: CallTarget;
  readonly method: AnyMethod;
  readonly stream: ClientReadableStream<Buffer>;
  /** The failure that was told so far. */
  readonly failure: () => ServiceError | undefined;
}

async function* iterateResponses(parts: ResponseParts): AsyncGenerator<unknown> {
  const { target, method, stream, failure } = parts;
  try {
    const chunks = stream as unknown as AsyncIterable<Buffer>;
    for await (const bytes of chunks) yield method.decodeResponse(bytes);
  } catch (error) {
    throw isServiceError(error) ? failureOf(target, error) : error;
  } finally {
    stream.cancel();
  }
  // Told before the iteration began: then the end looks like an orderly one.
  const missed = failure();
  if (missed !== undefined) throw failureOf(target, missed);
}

function responsesOf(
  target: CallTarget,
  { method, options }: CallSpec,
  stream: ClientReadableStream<Buffer>,
): AsyncGenerator<unknown> {
  let failure: ServiceError | undefined;
  // grpc-js tells a failure once, and without a listener it would end the process.
  stream.on('error', (error) => {
    failure ??= error as ServiceError;
  });
  const unlink = linkCancellation({
    target,
    signal: options.signal,
    cancel: () => stream.cancel(),
  });
  stream.on('status', (status: { metadata: Metadata }) => {
    unlink();
    tellTrailers(options, status.metadata);
  });
  return iterateResponses({ target, method, stream, failure: () => failure });
}

/** One message, then many back. The call is made when the first one is asked for. */
export async function* callServerStream(
  target: CallTarget,
  spec: CallSpec,
  request: unknown,
): AsyncGenerator<unknown> {
  const { method, options } = spec;
  const stream = target.client.makeServerStreamRequest<Buffer, Buffer>(
    method.path,
    asBytes,
    asBytes,
    method.encodeRequest(request),
    requestMetadata(options),
    deadlineOf(target.clock, options.timeoutMs),
  );
  yield* responsesOf(target, spec, stream);
}

interface RequestStream {
  write(chunk: Buffer, callback: (error?: Error | null) => void): unknown;
  cancel(): void;
}

function requestWriter(
  target: CallTarget,
  method: AnyMethod,
  parts: { readonly stream: RequestStream; readonly controller: AbortController },
): BoundedWriter<unknown> {
  const { stream, controller } = parts;
  return new BoundedWriter<unknown>({
    encode: method.encodeRequest as (message: unknown) => Buffer,
    send: (bytes, onSent) =>
      stream.write(bytes, (error) => {
        if (error === undefined || error === null) onSent();
      }),
    fail: (error) => {
      controller.abort(error);
      stream.cancel();
    },
    signal: controller.signal,
    timers: target.timers,
  });
}

/** Why nothing can be written any more. */
function over(status: { readonly code: number }): ConclaveError {
  return status.code === STATUS.OK
    ? new ConclaveError('CV_CANCELLED', 'the peer has ended the stream')
    : errorOf(status);
}

/** Many messages both ways. */
export function callBidi(target: CallTarget, spec: CallSpec): BidiCall<unknown, unknown> {
  const { method, options } = spec;
  const controller = new AbortController();
  const stream = target.client.makeBidiStreamRequest<Buffer, Buffer>(
    method.path,
    asBytes,
    asBytes,
    requestMetadata(options),
    deadlineOf(target.clock, options.timeoutMs),
  );
  stream.on('status', (status: { code: number }) => controller.abort(over(status)));
  return {
    requests: requestWriter(target, method, { stream, controller }),
    end: () => stream.end(),
    responses: responsesOf(target, spec, stream as unknown as ClientReadableStream<Buffer>),
    cancel: () => stream.cancel(),
  };
}
