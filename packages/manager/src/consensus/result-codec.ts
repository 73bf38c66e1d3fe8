import { ConclaveError, isErrorCode } from '@conclave/kernel';
import type { CommandResult } from '@conclave/state';
import type { ProposeOutcome, ProposeOutcomeInput } from '@conclave/wire';
import type { ProposedResult } from './raft-host.js';

/** What apply answered, for the manager that proposed from elsewhere. Both run one version. */
export function encodeResult(result: CommandResult): Uint8Array {
  return new TextEncoder().encode(JSON.stringify(result));
}

/**
 * Reads {@link encodeResult}.
 * @throws CV_PROTOCOL when the bytes are not a result
 */
export function decodeResult(bytes: Uint8Array): CommandResult {
  try {
    const result = JSON.parse(new TextDecoder().decode(bytes)) as CommandResult;
    if (typeof result.ok === 'boolean') return result;
  } catch {
    // Falls through to the one error below.
  }
  throw new ConclaveError('CV_PROTOCOL', 'the answer of the leader is malformed');
}

/** A command that was not put into the log, or of which nobody knows. */
export function encodeFailure(error: ConclaveError): ProposeOutcomeInput {
  // The text of a defect may quote anything; it is in the log of this manager.
  const isDefect = error.kind === 'defect';
  const details = Object.entries(isDefect ? {} : error.details);
  return {
    error: {
      code: isDefect ? 'CV_INTERNAL' : error.code,
      hint: error.hint,
      retryAfterMs: error.retryAfterMs ?? 0,
      details: Object.fromEntries(details.map(([key, value]) => [key, String(value)])),
    },
    message: isDefect ? 'internal error' : error.message,
  };
}

/**
 * What became of a command.
 * @throws the error that the leader named, or CV_PROTOCOL when the outcome is malformed
 */
export function decodeOutcome(outcome: ProposeOutcome | undefined): ProposedResult {
  if (outcome === undefined) {
    throw new ConclaveError('CV_PROTOCOL', 'the leader answered fewer commands than it was given');
  }
  const { error, message, index, result } = outcome;
  if (error === null) return { index, result: decodeResult(result) };
  const { code, hint, retryAfterMs, details } = error;
  throw new ConclaveError(isErrorCode(code) ? code : 'CV_PROTOCOL', message, {
    hint,
    details,
    ...(retryAfterMs > 0 ? { retryAfterMs } : {}),
  });
}
