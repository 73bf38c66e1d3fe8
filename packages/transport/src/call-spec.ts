import { ConclaveError } from '@conclave/kernel';
import type { Clock, Timers } from '@conclave/kernel';
import { errorOf } from '@conclave/wire';
import type { AnyMethod } from '@conclave/wire';
import { Metadata } from '@grpc/grpc-js';
import type { CallOptions as GrpcCallOptions, Client, ServiceError } from '@grpc/grpc-js';
import { IDEMPOTENCY_KEY } from './call-context.js';
import type { ConnectorState } from './connector.js';

/** How one call is made. */
export interface CallOptions {
  /** Milliseconds. Default `CALL_MS_DEFAULT` for one answer, none for streams. */
  readonly timeoutMs?: number | undefined;
  /** Cancels the call. */
  readonly signal?: AbortSignal | undefined;
  /** For writes: a repeated call with the same key has no second effect. */
  readonly idempotencyKey?: string | undefined;
  /** Gets the texts that came with the status, also with that of a failure. */
  readonly onTrailers?: ((trailers: ReadonlyMap<string, string>) => void) | undefined;
}

/** What calls are made through. */
export interface CallTarget {
  readonly client: Client;
  /** Absent for plain sockets of this host, where the status of a call says it all. */
  readonly state: ConnectorState | undefined;
  readonly clock: Clock;
  readonly timers: Timers;
  /** How to end each open call; closing a channel of grpc-js leaves them open. */
  readonly openCalls: Set<() => void>;
}

/** Which call is made. */
export interface CallSpec {
  readonly method: AnyMethod;
  readonly options: CallOptions;
}

/** Messages are bytes for grpc-js; our codec runs outside, so that its errors stay ours. */
export const asBytes = (bytes: Buffer): Buffer => bytes;

/** What leaves with the headers of a call. */
export function requestMetadata(options: CallOptions): Metadata {
  const metadata = new Metadata();
  const { idempotencyKey } = options;
  if (idempotencyKey !== undefined) metadata.set(IDEMPOTENCY_KEY, idempotencyKey);
  return metadata;
}

/** The deadline in the form of grpc-js. */
export function deadlineOf(clock: Clock, timeoutMs: number | undefined): GrpcCallOptions {
  return timeoutMs === undefined ? {} : { deadline: new Date(clock.now() + timeoutMs) };
}

/** What the texts of sockets, resolvers and TLS mean to a person. */
const UNREACHED: readonly (readonly [pattern: RegExp, text: (address: string) => string])[] = [
  [
    /Name resolution failed|ENOTFOUND|EAI_/,
    (address) => `the host name of ${address} is not known`,
  ],
  [/ECONNREFUSED/, (address) => `nobody listens at ${address}`],
  [/EHOSTUNREACH|ENETUNREACH/, (address) => `there is no way to ${address}`],
  [/No connection established|Deadline exceeded/, (address) => `${address} does not answer`],
];

function unreached({ address, lastError }: ConnectorState, error: ServiceError): ConclaveError {
  if (lastError !== undefined) return lastError;
  const known = UNREACHED.find(([pattern]) => pattern.test(error.details));
  const message = known?.[1](address) ?? `the connection to ${address} broke`;
  return new ConclaveError('CV_PEER_UNREACHABLE', message, { cause: error });
}

/** The failure of a call, told by the connection when it never reached anybody. */
export function failureOf({ state }: CallTarget, error: ServiceError): ConclaveError {
  const known = errorOf(error);
  // With a trailer of ours the peer has answered, whatever became of the connection since.
  if (state === undefined || known.cause !== error) return known;
  const isLost = known.code === 'CV_PEER_UNREACHABLE';
  const isSilent = known.code === 'CV_DEADLINE' && state.openCount === 0;
  return isLost || isSilent ? unreached(state, error) : known;
}

/** What ends a call from this side. */
export interface Cancellation {
  readonly target: CallTarget;
  readonly signal: AbortSignal | undefined;
  readonly cancel: () => void;
}

/** Cancels when the channel closes or the caller's signal fires, until the result is called. */
export function linkCancellation({ target, signal, cancel }: Cancellation): () => void {
  target.openCalls.add(cancel);
  if (signal?.aborted === true) cancel();
  signal?.addEventListener('abort', cancel, { once: true });
  return () => {
    target.openCalls.delete(cancel);
    signal?.removeEventListener('abort', cancel);
  };
}

/** Hands the texts of the trailers to whoever asked for them. */
export function tellTrailers(options: CallOptions, metadata: Metadata): void {
  if (options.onTrailers === undefined) return;
  const texts = new Map<string, string>();
  for (const [key, value] of Object.entries(metadata.getMap())) {
    if (typeof value === 'string') texts.set(key, value);
  }
  options.onTrailers(texts);
}
