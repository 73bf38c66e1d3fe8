import { ConclaveError, delay, isConclaveError } from '@conclave/kernel';
import type { ErrorCode, ErrorKind } from '@conclave/kernel';
import { ATTEMPTS_MAX, BACKOFF_FIRST_MS, BACKOFF_MAX_MS, NO_LEADER_MS_MAX } from './limits.js';
import type { ClientContext } from './context.js';

/** Codes after which the same call may succeed; safe for writes because of their idempotency key. */
const RETRIED: ReadonlySet<ErrorCode> = new Set<ErrorCode>([
  'CV_NO_LEADER',
  'CV_NOT_LEADER',
  'CV_OUTCOME_UNKNOWN',
  'CV_PEER_UNREACHABLE',
  'CV_STATE_STALE',
]);

/** Codes that leave it open whether the manager did what was asked. */
const UNCERTAIN: ReadonlySet<ErrorCode> = new Set<ErrorCode>([
  'CV_DEADLINE',
  'CV_OUTCOME_UNKNOWN',
  'CV_PEER_UNREACHABLE',
]);

/** Kinds of answers about the request itself: a manager that had done it already would say so. */
const VERDICTS: ReadonlySet<ErrorKind> = new Set<ErrorKind>(['usage', 'missing', 'conflict']);

/** True when this answer says nothing about an earlier attempt, which may have been done. */
export function isOpenBefore(error: ConclaveError): boolean {
  return !VERDICTS.has(error.kind);
}

/**
 * Whether what was asked may have been done although the call ended with this error.
 * @param error what a call that changes something was rejected with
 */
export function isOutcomeOpen(error: unknown): boolean {
  if (!isConclaveError(error)) return true;
  return UNCERTAIN.has(error.code) || error.code === 'CV_CANCELLED' || error.kind === 'defect';
}

/** How long and for whom to try. */
export interface RetryOptions {
  /** Milliseconds for all attempts together. */
  readonly deadlineMs: number;
  readonly signal?: AbortSignal | undefined;
  /** Given for writes: named in the error when the outcome stays open. */
  readonly idempotencyKey?: string | undefined;
}

const isAborted = (signal: AbortSignal | undefined): boolean => signal?.aborted === true;

/** The error of a call that its caller gave up; a write may have arrived all the same. */
export function cancelled(isWrite: boolean): ConclaveError {
  const message = isWrite ? 'interrupted; the write may or may not be done' : 'interrupted';
  return new ConclaveError('CV_CANCELLED', message);
}

/**
 * A write that ends with "no leader" after an attempt that may have arrived is not known to have
 * failed, so the last error alone would lie.
 */
function finalError(error: ConclaveError, isUncertain: boolean, key?: string): ConclaveError {
  if (key === undefined || !isUncertain) return error;
  return new ConclaveError(
    'CV_OUTCOME_UNKNOWN',
    `the write may or may not be done: ${error.message}`,
    {
      hint: `Repeat it with the idempotency key ${key}; it is done once at most.`,
      details: { idempotencyKey: key, lastCode: error.code },
      cause: error,
    },
  );
}

/**
 * Runs `attempt` until it answers, fails for good, or `deadlineMs` is over. Between attempts it
 * pauses at random within a ceiling that doubles, and at least as long as the answer asked for.
 * Gives up earlier when every answer of {@link NO_LEADER_MS_MAX} was that there is no leader.
 * @throws CV_CANCELLED when `signal` fires
 * @throws CV_OUTCOME_UNKNOWN when an attempt of a write may have arrived and none answered
 * @throws the last error otherwise
 */
export async function withRetry<T>(
  context: ClientContext,
  options: RetryOptions,
  attempt: (remainingMs: number) => Promise<T>,
): Promise<T> {
  const endsAt = context.clock.monotonic() + options.deadlineMs;
  let ceilingMs = BACKOFF_FIRST_MS;
  const isWrite = options.idempotencyKey !== undefined;
  let isUncertain = false;
  let leaderlessSince: number | undefined;
  for (let attemptCount = 1; ; attemptCount += 1) {
    if (isAborted(options.signal)) throw cancelled(isWrite && isUncertain);
    try {
      return await attempt(Math.max(1, endsAt - context.clock.monotonic()));
    } catch (error) {
      if (!isConclaveError(error)) throw error;
      if (isAborted(options.signal)) throw cancelled(isWrite);
      isUncertain ||= UNCERTAIN.has(error.code);
      const pauseMs = Math.max(error.retryAfterMs ?? 0, 1 + context.random.below(ceilingMs));
      const now = context.clock.monotonic();
      leaderlessSince = error.code === 'CV_NO_LEADER' ? (leaderlessSince ?? now) : undefined;
      const isLate =
        now + pauseMs >= Math.min(endsAt, (leaderlessSince ?? endsAt) + NO_LEADER_MS_MAX);
      if (!RETRIED.has(error.code)) {
        throw finalError(error, isUncertain && isOpenBefore(error), options.idempotencyKey);
      }
      if (isLate || attemptCount >= ATTEMPTS_MAX) {
        throw finalError(error, isUncertain, options.idempotencyKey);
      }
      const ending = await delay(context.timers, pauseMs, options.signal);
      if (ending === 'aborted') throw cancelled(isWrite && isUncertain);
      ceilingMs = Math.min(2 * ceilingMs, BACKOFF_MAX_MS);
    }
  }
}
