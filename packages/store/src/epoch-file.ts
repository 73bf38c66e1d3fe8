import { PURPOSE, sealEnvelope, SecretBytes, unsealEnvelope } from '@conclave/sealed';
import type { Random } from '@conclave/kernel';
import type { EpochKey } from './cipher.js';
import { damaged } from './errors.js';

/** The small file that holds the storage keys; whoever opens the store says where it lies. */
export interface EpochFile {
  /** Undefined when there is none yet. */
  read(): Promise<Uint8Array | undefined>;
  /** Replaces it as a whole; durable when it resolves. */
  write(content: Uint8Array): Promise<void>;
}

/** Whose keys they are and what seals them. */
export interface EpochFilePlace {
  readonly clusterId: string;
  readonly nodeId: string;
  readonly key: SecretBytes;
  readonly random: Random;
}

/** Layout of the content: `epoch u32 | key(32)` for each key, epochs growing. */
const EPOCH_BYTES = 4;
/** Bytes of a storage key. */
export const STORAGE_KEY_BYTES = 32;
const ROW_BYTES = EPOCH_BYTES + STORAGE_KEY_BYTES;
const FILE_KEY_ID = 1;

/** Seals the keys for the file. */
export function encodeEpochs(place: EpochFilePlace, keys: readonly EpochKey[]): Uint8Array {
  const content = SecretBytes.allocate(keys.length * ROW_BYTES);
  content.use((whole) => {
    const view = new DataView(whole.buffer, whole.byteOffset, whole.length);
    for (const [number, { epoch, key }] of keys.entries()) {
      view.setUint32(number * ROW_BYTES, epoch);
      key.use((bytes) => whole.set(bytes, number * ROW_BYTES + EPOCH_BYTES));
    }
  });
  try {
    return sealEnvelope({
      purpose: PURPOSE.epochFile,
      key: place.key,
      keyId: FILE_KEY_ID,
      fields: [place.clusterId, place.nodeId],
      plaintext: content,
      random: place.random,
    });
  } finally {
    content.wipe();
  }
}

/**
 * Opens the keys of the file, oldest first.
 * @throws CV_LOG_DAMAGED when any byte differs, or it belongs to another member
 */
export function decodeEpochs(place: EpochFilePlace, file: Uint8Array): EpochKey[] {
  const content = openFile(place, file);
  try {
    return content.use((whole) => {
      const view = new DataView(whole.buffer, whole.byteOffset, whole.length);
      const keys: EpochKey[] = [];
      for (let at = 0; at + ROW_BYTES <= whole.length; at += ROW_BYTES) {
        const key = SecretBytes.allocate(STORAGE_KEY_BYTES);
        key.use((bytes) => bytes.set(whole.subarray(at + EPOCH_BYTES, at + ROW_BYTES)));
        keys.push({ epoch: view.getUint32(at), key });
      }
      if (keys.length > 0 && keys.length * ROW_BYTES === whole.length) return keys;
      throw damaged('the file of its keys has another shape than written');
    });
  } finally {
    content.wipe();
  }
}

function openFile(place: EpochFilePlace, envelope: Uint8Array): SecretBytes {
  try {
    return unsealEnvelope({
      purpose: PURPOSE.epochFile,
      key: place.key,
      keyId: FILE_KEY_ID,
      fields: [place.clusterId, place.nodeId],
      envelope,
    });
  } catch (cause) {
    throw damaged('the file of its keys does not open', cause);
  }
}
