import type { Readable } from 'node:stream';
import { required } from '@conclave/kernel';
import type { Timers } from '@conclave/kernel';
import type { AnyMethod } from '@conclave/wire';
import type {
  Metadata,
  sendUnaryData,
  ServerDuplexStream,
  ServerUnaryCall,
  ServerWritableStream,
  UntypedHandleCall,
} from '@grpc/grpc-js';
import type { AdmittedCall, AdmittedCalls } from './admission.js';
import { untilAborted } from './iterate.js';
import type { ServedMethod } from './serve.js';
import { BoundedWriter } from './stream-writer.js';
import type { StreamWriter } from './stream-writer.js';

/** What a method is run with. */
export interface RunOptions {
  readonly admitted: AdmittedCalls;
  readonly timers: Timers;
}

/** Handlers of methods with one answer have nothing to write to. */
const NO_WRITER: StreamWriter<unknown> = {
  queuedBytes: 0,
  write: () => Promise.reject(new Error('this method has one answer')),
};

function begin(options: RunOptions, metadata: Metadata): AdmittedCall {
  const call = required(options.admitted.get(metadata), 'admitted call');
  call.started();
  return call;
}

/** Ends the call with the one answer, or with the failure. */
function answer(
  call: AdmittedCall,
  response: Promise<Buffer>,
  respond: sendUnaryData<Buffer>,
): void {
  response.then(
    (bytes) => {
      if (call.isOver) return;
      call.succeeded();
      respond(null, bytes, call.trailers);
    },
    (error: unknown) => call.fail(error),
  );
}

/** Ends the stream after everything that was written, or with the failure. */
function finish(
  call: AdmittedCall,
  work: Promise<void>,
  stream: ServerWritableStream<Buffer, Buffer> | ServerDuplexStream<Buffer, Buffer>,
): void {
  work.then(
    () => {
      if (call.isOver) return;
      call.succeeded();
      stream.end(call.trailers);
    },
    // An error event is how grpc-js is told a status that follows what is queued.
    (error: unknown) => call.fail(error, (status) => stream.emit('error', status)),
  );
}

async function* requestsOf(
  call: AdmittedCall,
  stream: Readable,
  method: AnyMethod,
): AsyncGenerator<unknown> {
  const { signal } = call.context;
  try {
    // Ending the loop early must not destroy a stream that still has to carry the status.
    const chunks = stream.iterator({ destroyOnReturn: false }) as AsyncIterable<Buffer>;
    for await (const bytes of chunks) yield method.decodeRequest(bytes);
  } catch (error) {
    throw signal.aborted ? signal.reason : error;
  }
}

interface ByteSink {
  write(chunk: Buffer, callback: (error?: Error | null) => void): unknown;
}

function writerOf(
  call: AdmittedCall,
  sink: ByteSink,
  parts: { readonly method: AnyMethod; readonly timers: Timers },
): BoundedWriter<unknown> {
  const writer = new BoundedWriter<unknown>({
    encode: parts.method.encodeResponse as (message: unknown) => Buffer,
    send: (bytes, onSent) =>
      sink.write(bytes, (error) => {
        if (error === undefined || error === null) onSent();
      }),
    fail: (error) => call.cut(error),
    signal: call.context.signal,
    timers: parts.timers,
  });
  call.writesTo(writer);
  return writer;
}

function runUnary({ method, handler }: ServedMethod, options: RunOptions): UntypedHandleCall {
  const run = async (call: AdmittedCall, request: Buffer): Promise<Buffer> => {
    const message: unknown = method.decodeRequest(request);
    return method.encodeResponse(await handler(call.context, message, NO_WRITER));
  };
  return (wire: ServerUnaryCall<Buffer, Buffer>, callback: sendUnaryData<Buffer>) => {
    const call = begin(options, wire.metadata);
    answer(call, run(call, wire.request), callback);
  };
}

function runServerStream(
  { method, handler }: ServedMethod,
  options: RunOptions,
): UntypedHandleCall {
  const { timers } = options;
  const run = async (
    call: AdmittedCall,
    wire: ServerWritableStream<Buffer, Buffer>,
  ): Promise<void> => {
    const message: unknown = method.decodeRequest(wire.request);
    const writer = writerOf(call, wire, { method, timers });
    const responses = handler(call.context, message, NO_WRITER) as AsyncIterable<unknown>;
    const { signal } = call.context;
    for await (const response of untilAborted(responses, signal)) await writer.write(response);
  };
  return (wire: ServerWritableStream<Buffer, Buffer>) => {
    const call = begin(options, wire.metadata);
    finish(call, run(call, wire), wire);
  };
}

function runBidi({ method, handler }: ServedMethod, options: RunOptions): UntypedHandleCall {
  const { timers } = options;
  const run = async (
    call: AdmittedCall,
    wire: ServerDuplexStream<Buffer, Buffer>,
  ): Promise<void> => {
    const requests = requestsOf(call, wire as unknown as Readable, method);
    await handler(call.context, requests, writerOf(call, wire, { method, timers }));
  };
  return (wire: ServerDuplexStream<Buffer, Buffer>) => {
    const call = begin(options, wire.metadata);
    finish(call, run(call, wire), wire);
  };
}

/** The names that grpc-js registers handlers under. */
export type GrpcHandlerType = 'unary' | 'serverStream' | 'bidi';

/** A handler in the form of grpc-js; messages stay bytes there, so that errors stay ours. */
export function grpcHandler(
  served: ServedMethod,
  options: RunOptions,
): { readonly type: GrpcHandlerType; readonly handle: UntypedHandleCall } {
  switch (served.method.kind) {
    case 'unary':
      return { type: 'unary', handle: runUnary(served, options) };
    case 'server-stream':
      return { type: 'serverStream', handle: runServerStream(served, options) };
    case 'bidi':
      return { type: 'bidi', handle: runBidi(served, options) };
  }
}
