import { ConclaveError } from '@conclave/kernel';
import { algorithmOfPublicKey, HASH_BYTES, isRecoverySplit } from '@conclave/sealed';
import type { RecoveryRow } from '@conclave/state';
import type { RecoveryPublicKey, RecoveryPublicKeyInput } from '@conclave/wire';

/** The public half of a recovery key as it travels. */
export function recoveryMessage(row: RecoveryRow): RecoveryPublicKeyInput {
  return { ...row, shareHashes: [...row.shareHashes] };
}

/**
 * Reads such a message, with bytes of its own.
 * @throws CV_ARGUMENT_INVALID when it is absent or malformed
 */
export function recoveryOf(message: RecoveryPublicKey | null): RecoveryRow {
  const { publicKey, threshold, shareHashes, generation } = message ?? {};
  const row = {
    generation: generation ?? 0,
    publicKey: Uint8Array.from(publicKey ?? []),
    threshold: threshold ?? 0,
    shareHashes: (shareHashes ?? []).map((hash) => Uint8Array.from(hash)),
  };
  const isKey = algorithmOfPublicKey(row.publicKey) !== undefined;
  const isSized = row.shareHashes.every((hash) => hash.length === HASH_BYTES);
  if (isKey && isSized && isRecoverySplit(row)) return row;
  throw new ConclaveError(
    'CV_ARGUMENT_INVALID',
    `recovery: ${isKey ? 'the shares do not fit their number' : 'is missing or malformed'}`,
    { details: { field: 'recovery' } },
  );
}
