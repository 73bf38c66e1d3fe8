import {
  byteLength,
  ConclaveError,
  ERROR_TABLE,
  isConclaveError,
  isErrorCode,
} from '@conclave/kernel';
import type { ErrorCode, ErrorDetails, StatusName } from '@conclave/kernel';
import { Metadata, status as STATUS } from '@grpc/grpc-js';
import { decodeErrorDetail, encodeErrorDetail } from './codec.js';
import type { ErrorDetail } from './generated/conclave/v1/ErrorDetail.js';

/** The trailer that carries the error in our own form, so that the caller rebuilds the same code. */
export const ERROR_TRAILER = 'conclave-error-bin';

/**
 * Characters of one text that travels with an error: message, hint, value of a detail. Percent signs
 * make up to nine bytes of each, and trailers have to stay below the header limit of 16 KiB.
 */
const TEXT_LENGTH_MAX = 512;
/** Bytes of all names and values of `details` that travel; what does not fit is left out. */
const DETAIL_BYTES_MAX = 3 * 1024;

/** What a handler of grpc-js ends a call with. */
export interface CallStatus {
  readonly code: number;
  readonly details: string;
  readonly metadata: Metadata;
}

/** The part of grpc-js's ServiceError that is read. */
export interface ForeignStatus {
  readonly code?: number | undefined;
  readonly details?: string | undefined;
  readonly metadata?: Metadata | undefined;
}

function shorten(text: string): string {
  return text.length <= TEXT_LENGTH_MAX ? text : `${text.slice(0, TEXT_LENGTH_MAX - 3)}...`;
}

function detailTexts(details: ErrorDetails): Record<string, string> {
  const texts: [string, string][] = [];
  let size = 0;
  for (const [key, value] of Object.entries(details)) {
    const text = shorten(typeof value === 'object' ? value.join(', ') : String(value));
    size += byteLength(key) + byteLength(text);
    if (size > DETAIL_BYTES_MAX) break;
    texts.push([key, text]);
  }
  return Object.fromEntries(texts);
}

/**
 * The gRPC status of an error. A defect, and everything that is not a {@link ConclaveError}, leaves
 * as `CV_INTERNAL` with no text of its own: whoever answers a call logs it before.
 */
export function statusOf(error: unknown): CallStatus {
  const known = isConclaveError(error) && error.kind !== 'defect' ? error : undefined;
  const code: ErrorCode = known?.code ?? 'CV_INTERNAL';
  const metadata = new Metadata();
  const detail = encodeErrorDetail({
    code,
    hint: shorten(known?.hint ?? ERROR_TABLE[code].next),
    retryAfterMs: known?.retryAfterMs ?? 0,
    details: detailTexts(known?.details ?? {}),
  });
  metadata.set(ERROR_TRAILER, detail);
  return {
    code: STATUS[ERROR_TABLE[code].status],
    details: shorten(known?.message ?? 'internal error'),
    metadata,
  };
}

/** The code of a status that does not come from our own code: from grpc-js or something between. */
const CODE_OF_STATUS: Readonly<Record<StatusName | 'UNIMPLEMENTED', ErrorCode>> = {
  ABORTED: 'CV_PROTOCOL',
  ALREADY_EXISTS: 'CV_PROTOCOL',
  CANCELLED: 'CV_CANCELLED',
  DATA_LOSS: 'CV_PROTOCOL',
  DEADLINE_EXCEEDED: 'CV_DEADLINE',
  FAILED_PRECONDITION: 'CV_PROTOCOL',
  INTERNAL: 'CV_PEER_UNREACHABLE', // a stream that broke; a defect of a peer comes with our trailer
  INVALID_ARGUMENT: 'CV_ARGUMENT_INVALID',
  NOT_FOUND: 'CV_PROTOCOL',
  PERMISSION_DENIED: 'CV_ROLE_FORBIDDEN',
  RESOURCE_EXHAUSTED: 'CV_LIMIT_EXCEEDED',
  UNAUTHENTICATED: 'CV_UNAUTHENTICATED',
  UNAVAILABLE: 'CV_PEER_UNREACHABLE',
  UNIMPLEMENTED: 'CV_UNSUPPORTED',
};

/** What a person reads of such a status: texts of libraries name their own insides. */
const TEXT_OF_FOREIGN: Partial<Record<ErrorCode, string>> = {
  CV_ARGUMENT_INVALID: 'the peer refused the request as malformed',
  CV_CANCELLED: 'the call was given up',
  CV_DEADLINE: 'no answer came in time',
  CV_LIMIT_EXCEEDED: 'a message or the number of calls is over its limit',
  CV_PEER_UNREACHABLE: 'the connection failed',
  CV_ROLE_FORBIDDEN: 'the peer does not allow this call',
  CV_UNAUTHENTICATED: 'the peer does not accept this identity',
  CV_UNSUPPORTED: 'the peer does not know this call',
};

function trailerOf(foreign: ForeignStatus): ErrorDetail | undefined {
  const bytes = foreign.metadata?.get(ERROR_TRAILER)[0];
  if (!(bytes instanceof Uint8Array)) return undefined;
  try {
    return decodeErrorDetail(Buffer.from(bytes));
  } catch {
    return undefined; // from a peer that speaks another dialect: its status has to do
  }
}

function foreignCode(foreign: ForeignStatus): ErrorCode {
  const name = STATUS[foreign.code ?? STATUS.UNKNOWN] ?? 'UNKNOWN';
  return Object.hasOwn(CODE_OF_STATUS, name)
    ? CODE_OF_STATUS[name as keyof typeof CODE_OF_STATUS]
    : 'CV_PROTOCOL';
}

/**
 * The error that a failed call stands for: the very code that the peer threw, or, for a status that
 * is not ours or has a code this version does not know, the nearest one. Details arrive as text. What
 * a library said is kept as the cause.
 */
export function errorOf(foreign: ForeignStatus): ConclaveError {
  const detail = trailerOf(foreign);
  const message = foreign.details ?? 'the call failed';
  if (detail === undefined) {
    const code = foreignCode(foreign);
    const text = TEXT_OF_FOREIGN[code] ?? 'the peer answered in a way that is not understood';
    return new ConclaveError(code, text, { cause: foreign });
  }
  if (!isErrorCode(detail.code)) {
    return new ConclaveError(foreignCode(foreign), message, { cause: foreign });
  }
  return new ConclaveError(detail.code, message, {
    hint: detail.hint,
    details: detail.details,
    ...(detail.retryAfterMs > 0 ? { retryAfterMs: detail.retryAfterMs } : {}),
  });
}
