import { ERROR_TABLE } from './error-table.js';
import type { ErrorKind } from './error-row.js';
import type { ErrorCode } from './error-table.js';

/** Registered, so that recognition works across duplicate copies of this package. */
const MARK = Symbol.for('conclave.error');

/** Plain data that travels with an error; never a secret, never a path of somebody's home. */
export type ErrorDetails = Readonly<Record<string, string | number | boolean | readonly string[]>>;

/** Optional parts of an error. */
export interface ErrorOptions {
  /** What to do next; one line. Defaults to the advice of the table. */
  readonly hint?: string;
  /** Milliseconds after which a retry makes sense, 0..600_000. */
  readonly retryAfterMs?: number;
  readonly details?: ErrorDetails;
  readonly cause?: unknown;
}

/**
 * An expected failure, with a stable code from {@link ERROR_TABLE}.
 * `message` is one sentence that names the offending field and its limit, never a value.
 */
export class ConclaveError extends Error {
  override readonly name = 'ConclaveError';
  readonly code: ErrorCode;
  readonly kind: ErrorKind;
  readonly hint: string;
  readonly retryAfterMs: number | undefined;
  readonly details: ErrorDetails;

  constructor(code: ErrorCode, message: string, options: ErrorOptions = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.code = code;
    this.kind = ERROR_TABLE[code].kind;
    this.hint = options.hint ?? ERROR_TABLE[code].next;
    this.retryAfterMs = options.retryAfterMs;
    this.details = options.details ?? {};
    Object.defineProperty(this, MARK, { value: true });
  }
}

/** True for a {@link ConclaveError} of any copy of this package. */
export function isConclaveError(value: unknown): value is ConclaveError {
  return typeof value === 'object' && value !== null && MARK in value;
}

/** True when `text` is a code of the table; for codes that come from the wire. */
export function isErrorCode(text: string): text is ErrorCode {
  return Object.hasOwn(ERROR_TABLE, text);
}

/** Causes that are looked through for one of ours. */
const CAUSE_DEPTH_MAX = 5;

/**
 * The error as it is when it is ours; one of ours that a library wrapped into its own; else a
 * `CV_INTERNAL` that hides the text and keeps the cause.
 */
export function toConclaveError(error: unknown): ConclaveError {
  let inner = error;
  for (let depth = 0; depth < CAUSE_DEPTH_MAX; depth += 1) {
    if (isConclaveError(inner)) return inner;
    if (typeof inner !== 'object' || inner === null || !('cause' in inner)) break;
    inner = inner.cause;
  }
  return new ConclaveError('CV_INTERNAL', 'internal error', { cause: error });
}

/** A broken invariant: a defect. Nobody catches it on purpose; the process ends. */
export class InvariantViolation extends Error {
  override readonly name = 'InvariantViolation';
}

/** Throws {@link InvariantViolation} unless `condition` holds. For our own mistakes, not for input. */
export function assert(condition: boolean, message: string): asserts condition {
  if (!condition) throw new InvariantViolation(message);
}

/** The value, or {@link InvariantViolation} when it is absent. */
export function required<T>(value: T | undefined | null, what: string): T {
  if (value === undefined || value === null) throw new InvariantViolation(`${what} is absent`);
  return value;
}
