import { ConclaveError } from '@conclave/kernel';
import type { CommandResult } from '@conclave/state';

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
