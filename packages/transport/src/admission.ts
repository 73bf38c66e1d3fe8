import { ConclaveError, errorRow, toConclaveError } from '@conclave/kernel';
import type { Logger, TimerHandle, Timers } from '@conclave/kernel';
import { statusOf } from '@conclave/wire';
import type { CallStatus, MethodKind } from '@conclave/wire';
import { Metadata, ServerInterceptingCall } from '@grpc/grpc-js';
import type { ServerInterceptingCallInterface, ServerInterceptor } from '@grpc/grpc-js';
import { authorise, callerKind } from './authority.js';
import type { AuthorityView } from './authority.js';
import type { ListenerKind } from './authorisation.js';
import { createContext, readMetadata } from './call-context.js';
import type { CallContext } from './call-context.js';
import type { CallerBudget, CallerBudgets } from './caller-budgets.js';
import type { Connection, OpenCall } from './connection.js';
import type { Connections } from './connections.js';
import { encodingOf, endSession, limitRequest, resetCall } from './grpc-internals.js';
import type { MessageProgress } from './grpc-internals.js';
import * as limits from './limits.js';
import type { CallOutcome, TransportObserver } from './observer.js';
import { requestBytesMax } from './request-bytes.js';
import type { StreamWriter } from './stream-writer.js';

/** What one listener admits calls with. */
export interface AdmissionOptions {
  readonly listener: ListenerKind;
  readonly connections: Connections;
  readonly budgets: CallerBudgets;
  readonly view: AuthorityView;
  readonly timers: Timers;
  readonly logger: Logger;
  readonly observer: TransportObserver | undefined;
  /** How many messages each method takes. */
  readonly kindOf: (path: string) => MethodKind | undefined;
}

/** A call that may run. Ends exactly once. */
export interface AdmittedCall {
  readonly context: CallContext;
  readonly trailers: Metadata;
  /** Nobody waits for an answer any more. */
  readonly isOver: boolean;
  /** The request message is complete: the handler runs from here on. */
  started(): void;
  /** The handler has done its part; what is left is to send. */
  succeeded(): void;
  /** Tells where the messages of a streamed answer queue. */
  writesTo(writer: StreamWriter<unknown>): void;
  /**
   * Ends the call with the status of `error`, and logs what the peer does not get to see. `send`
   * sends the status after what was written before; without it the status leaves at once.
   */
  fail(error: unknown, send?: (status: CallStatus) => void): void;
  /** Ends the call at once, whatever is still queued for the peer. */
  cut(error: ConclaveError): void;
}

class Call implements OpenCall, AdmittedCall {
  readonly context: CallContext;
  readonly trailers: Metadata = new Metadata();
  readonly #options: AdmissionOptions;
  readonly #call: ServerInterceptingCallInterface;
  readonly #connection: Connection;
  readonly #controller = new AbortController();
  readonly #recheck: () => void;
  readonly isStream: boolean;
  #writer: StreamWriter<unknown> | undefined;
  #readDeadline: TimerHandle | undefined;
  #deadline: TimerHandle | undefined;
  readonly #budget: CallerBudget;
  #heldBytes = 0;
  readonly #startedAt: number;
  #outcome: CallOutcome = 'CANCELLED';
  #isOver = false;

  constructor(
    options: AdmissionOptions,
    call: ServerInterceptingCallInterface,
    request: { readonly path: string; readonly metadata: Metadata },
  ) {
    const { path, metadata } = request;
    const connection = options.connections.find(call.getConnectionInfo());
    if (connection === undefined) {
      throw new ConclaveError('CV_UNAUTHENTICATED', 'the connection has no known peer');
    }
    const { peer } = connection;
    const parts = readMetadata(metadata);
    this.#recheck = () => authorise({ path, listener: options.listener, peer }, options.view);
    this.#recheck();
    if (encodingOf(call) !== 'identity') {
      throw new ConclaveError('CV_UNSUPPORTED', 'compressed messages are not accepted');
    }
    this.#options = options;
    this.#startedAt = options.view.clock.monotonic();
    this.#call = call;
    this.#connection = connection;
    this.#budget = options.budgets.of(peer, callerKind(peer, options.view));
    const { signal } = this.#controller;
    const { trailers } = this;
    this.context = createContext({ ...parts, path, peer, signal, metadata, trailers });
    const kind = options.kindOf(path);
    this.isStream = kind !== 'unary';
    connection.opened(this);
    limitRequest(call, requestBytesMax(path), (progress) => this.#received(progress));
    this.#startDeadlines(kind);
  }

  get isOver(): boolean {
    return this.#isOver;
  }

  recheck(): void {
    this.#recheck();
  }

  started(): void {
    this.#readDeadline?.cancel();
  }

  succeeded(): void {
    this.#outcome = 'OK';
  }

  writesTo(writer: StreamWriter<unknown>): void {
    this.#writer = writer;
  }

  end(error: ConclaveError): void {
    // Also after a failure whose status waits behind what nobody reads.
    const isQueued = (this.#writer?.queuedBytes ?? 0) > 0;
    if (this.#isOver && !isQueued) return;
    this.#isOver = true;
    this.#outcome = errorRow(error.code).status;
    const level = this.context.peer.kind === 'anonymous' ? 'debug' : 'info';
    this.#options.logger[level]('transport.call-cut', { method: this.context.path, error });
    if (!isQueued) this.#sendStatus(error);
    else if (!resetCall(this.#call, error.kind)) this.#connection.destroy();
    this.#controller.abort(error);
  }

  cut(error: ConclaveError): void {
    this.#connection.cut(this, error);
  }

  fail(error: unknown, send?: (status: CallStatus) => void): void {
    if (this.#isOver) return;
    this.#isOver = true;
    const known = toConclaveError(error);
    this.#outcome = errorRow(known.code).status;
    const level = known.kind === 'defect' ? 'error' : 'debug';
    this.#options.logger[level]('transport.call-failed', { method: this.context.path, error });
    this.#sendStatus(known, send);
    this.#controller.abort(known);
    this.#connection.expectEnd(this, limits.STREAM_STALL_MS_MAX);
  }

  /** The stream of the call is closed, for whatever reason. */
  ended(): void {
    this.#isOver = true;
    this.#readDeadline?.cancel();
    this.#deadline?.cancel();
    this.#hold(0);
    this.#connection.ended(this);
    if (this.#outcome === 'CANCELLED' && !this.#connection.mayCancel()) {
      endSession(this.#call);
      this.#connection.destroy();
    }
    this.#options.observer?.callEnded({
      path: this.context.path,
      outcome: this.#outcome,
      durationMs: this.#options.view.clock.monotonic() - this.#startedAt,
      isStream: this.isStream,
    });
    // A handler with one answer has given it: nobody listens, and telling costs an error per call.
    const isAnswered = !this.isStream && this.#outcome === 'OK';
    if (isAnswered || this.#controller.signal.aborted) return;
    this.#controller.abort(new ConclaveError('CV_CANCELLED', 'the caller gave up'));
  }

  #startDeadlines(kind: MethodKind | undefined): void {
    const { listener, timers } = this.#options;
    const late = (ms: number, message: string): TimerHandle =>
      timers.after(ms, () => this.cut(new ConclaveError('CV_DEADLINE', message)));
    if (kind === 'unary' || kind === 'server-stream') {
      const readMs =
        listener === 'join' ? limits.JOIN_REQUEST_READ_MS_MAX : limits.REQUEST_READ_MS_MAX;
      this.#readDeadline = late(readMs, 'the request took too long to arrive');
    }
    if (kind === 'unary') this.#deadline = late(limits.UNARY_MS_MAX, 'the answer took too long');
  }

  /** Of a stream counts the message that is on its way, of other calls the request until its end. */
  #received({ receivedBytes, isComplete }: MessageProgress): void {
    if (this.#isOver) return;
    if (this.#hold(isComplete && this.isStream ? 0 : receivedBytes)) return;
    this.cut(new ConclaveError('CV_LIMIT_EXCEEDED', 'this caller has too much under way'));
  }

  #hold(bytes: number): boolean {
    const delta = bytes - this.#heldBytes;
    this.#heldBytes = bytes;
    return this.#budget.hold(delta);
  }

  #sendStatus(error: ConclaveError, send?: (status: CallStatus) => void): void {
    const status = statusOf(error);
    status.metadata.merge(this.trailers);
    if (send === undefined) this.#call.sendStatus(status);
    else send(status);
  }
}

/** Finds the admitted call of a handler by the metadata object that both get. */
export type AdmittedCalls = WeakMap<Metadata, AdmittedCall>;

/** One line per connection for people: who calls without end must not fill the log. */
function logRefusal(
  { connections, logger }: AdmissionOptions,
  call: ServerInterceptingCallInterface,
  fields: { readonly method: string; readonly error: unknown },
): void {
  const connection = connections.find(call.getConnectionInfo());
  const isKnown = connection?.peer.kind === 'certificate' || connection?.peer.kind === 'local';
  const level = isKnown && connection.isFirstRefusal() ? 'info' : 'debug';
  logger[level]('transport.call-refused', fields);
}

/**
 * The gate in front of every handler: peer, metadata, encoding and right are checked when the
 * headers are there, before any message is read or parsed.
 */
export function admissionInterceptor(
  options: AdmissionOptions,
  admitted: AdmittedCalls,
): ServerInterceptor {
  return (method, nextCall) => {
    let call: Call | undefined;
    return new ServerInterceptingCall(nextCall, {
      start: (next) => {
        next({
          onReceiveMetadata: (metadata, proceed) => {
            try {
              call = new Call(options, nextCall, { path: method.path, metadata });
            } catch (error) {
              logRefusal(options, nextCall, { method: method.path, error });
              nextCall.sendStatus(statusOf(error));
              return;
            }
            admitted.set(metadata, call);
            proceed(metadata);
          },
          onCancel: () => call?.ended(),
        });
      },
    });
  };
}
