import { byteLength, ConclaveError, limits } from '@conclave/kernel';
import type { Metadata } from '@grpc/grpc-js';
import { actorOf } from './peer.js';
import type { CallActor, Peer } from './peer.js';

/** Request metadata: the key under which a repeated write is recognised. */
export const IDEMPOTENCY_KEY = 'conclave-idempotency-key';
/** Response trailer: the manager that answered. */
export const SERVED_BY = 'conclave-served-by';
/** Response trailer: the index of the log that the answer shows. */
export const INDEX = 'conclave-index';

const PRINTABLE = /^[\x21-\x7e]+$/;

function textOf(metadata: Metadata, key: string): string | undefined {
  const values = metadata.get(key);
  if (values.length > 1) {
    throw new ConclaveError('CV_ARGUMENT_INVALID', `${key} is given more than once`);
  }
  const [value] = values;
  return typeof value === 'string' ? value : undefined;
}

function idempotencyKey(metadata: Metadata): string | undefined {
  const text = textOf(metadata, IDEMPOTENCY_KEY);
  if (text === undefined) return undefined;
  if (!PRINTABLE.test(text) || byteLength(text) > limits.IDEMPOTENCY_KEY_BYTES_MAX) {
    throw new ConclaveError(
      'CV_ARGUMENT_INVALID',
      `${IDEMPOTENCY_KEY} must be 1..${limits.IDEMPOTENCY_KEY_BYTES_MAX} printable letters`,
    );
  }
  return text;
}

/** What a handler knows of its call besides the message. */
export interface CallContext {
  /** `/conclave.v1.Service/Method` */
  readonly path: string;
  readonly peer: Peer;
  /** Who acts: the peer. */
  readonly actor: CallActor;
  readonly idempotencyKey: string | undefined;
  /** Fires when nobody waits any more: cancelled, too late, cut, or the listener closes. */
  readonly signal: AbortSignal;
  /** A text of the request's metadata. */
  metadata(key: string): string | undefined;
  /** Sets a text that leaves with the status, also with that of a failure. */
  setTrailer(key: string, value: string): void;
}

/** The parts of a context that come from the request's metadata; checked. */
export interface CallMetadata {
  readonly idempotencyKey: string | undefined;
}

/**
 * @throws CV_ARGUMENT_INVALID for a malformed or repeated value of ours.
 */
export function readMetadata(metadata: Metadata): CallMetadata {
  return { idempotencyKey: idempotencyKey(metadata) };
}

/** Arguments of {@link createContext}. */
export interface ContextParts extends CallMetadata {
  readonly path: string;
  readonly peer: Peer;
  readonly signal: AbortSignal;
  readonly metadata: Metadata;
  readonly trailers: Metadata;
}

/** The context of one call. */
export function createContext(parts: ContextParts): CallContext {
  const { path, peer, signal } = parts;
  return {
    path,
    peer,
    actor: actorOf(peer),
    idempotencyKey: parts.idempotencyKey,
    signal,
    metadata: (key) => textOf(parts.metadata, key),
    setTrailer: (key, value) => parts.trailers.set(key, value),
  };
}
