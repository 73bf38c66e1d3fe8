import { ConclaveError } from '@conclave/kernel';
import { HASH_BYTES } from '@conclave/sealed';
import type { RecoveryRow } from '@conclave/state';

/** Layout: `generation u32 | threshold u8 | hash(32) per share`. */
const HEAD_BYTES = 5;
type RecoveryData = Omit<RecoveryRow, 'publicKey'>;

/** What a recovery slot keeps about its key besides the public half. */
export function encodeRecovery({ generation, threshold, shareHashes }: RecoveryData): Uint8Array {
  const data = new Uint8Array(HEAD_BYTES + shareHashes.length * HASH_BYTES);
  new DataView(data.buffer).setUint32(0, generation);
  data[HEAD_BYTES - 1] = threshold;
  for (const [place, hash] of shareHashes.entries())
    data.set(hash, HEAD_BYTES + place * HASH_BYTES);
  return data;
}

/** @throws CV_LOG_DAMAGED */
export function decodeRecovery(data: Uint8Array): RecoveryData {
  const count = (data.length - HEAD_BYTES) / HASH_BYTES;
  if (count < 0 || !Number.isInteger(count)) {
    throw new ConclaveError('CV_LOG_DAMAGED', 'a recovery slot has another shape than written');
  }
  const view = new DataView(data.buffer, data.byteOffset, data.length);
  const shareHashes = Array.from({ length: count }, (_, place) =>
    data.slice(HEAD_BYTES + place * HASH_BYTES, HEAD_BYTES + (place + 1) * HASH_BYTES),
  );
  return { generation: view.getUint32(0), threshold: view.getUint8(HEAD_BYTES - 1), shareHashes };
}
