import { sealEnvelope, unsealBytes } from './envelope.js';
import type { SealRequest, UnsealRequest } from './envelope.js';
import type { PURPOSE } from './purpose.js';

/** The purposes of the storage layer of a manager. */
export type StoragePurpose =
  typeof PURPOSE.storageEntry | typeof PURPOSE.snapshotChunk | typeof PURPOSE.hardState;

/** Arguments of {@link storageSeal}. */
export interface StorageSealRequest extends SealRequest {
  readonly purpose: StoragePurpose;
  readonly plaintext: Uint8Array;
}

/** Arguments of {@link storageUnseal}. */
export interface StorageUnsealRequest extends UnsealRequest {
  readonly purpose: StoragePurpose;
}

/** Seals bytes that are about to be stored; the content is ciphertext or metadata already. */
export function storageSeal(request: StorageSealRequest): Uint8Array {
  return sealEnvelope(request);
}

/**
 * Opens stored bytes.
 * @throws CV_ENVELOPE_FORGED when they were changed or moved
 */
export function storageUnseal(request: StorageUnsealRequest): Uint8Array {
  return unsealBytes(request);
}
