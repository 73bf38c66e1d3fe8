import { ConclaveError } from '@conclave/kernel';
import { SecretBytes } from '@conclave/sealed';

const SIZE_BYTES = 4;

/** Several secrets as one, each with its size in front. Does not wipe the parts. */
export function packSecrets(parts: readonly SecretBytes[]): SecretBytes {
  const size = parts.reduce((sum, part) => sum + SIZE_BYTES + part.size, 0);
  const packed = SecretBytes.allocate(size);
  packed.use((whole) => {
    const view = new DataView(whole.buffer, whole.byteOffset, whole.length);
    let offset = 0;
    for (const part of parts) {
      view.setUint32(offset, part.size);
      part.use((bytes) => whole.set(bytes, offset + SIZE_BYTES));
      offset += SIZE_BYTES + part.size;
    }
  });
  return packed;
}

/**
 * Reads what {@link packSecrets} wrote. Does not wipe the whole.
 * @throws CV_ENVELOPE_FORGED when it has not exactly `count` parts
 */
export function unpackSecrets(packed: SecretBytes, count: number): SecretBytes[] {
  return packed.use((whole) => {
    const view = new DataView(whole.buffer, whole.byteOffset, whole.length);
    const parts: SecretBytes[] = [];
    let offset = 0;
    while (offset + SIZE_BYTES <= whole.length) {
      const size = view.getUint32(offset);
      offset += SIZE_BYTES;
      if (offset + size > whole.length) break;
      const part = SecretBytes.allocate(size);
      part.use((bytes) => bytes.set(whole.subarray(offset, offset + size)));
      parts.push(part);
      offset += size;
    }
    if (parts.length === count && offset === whole.length) return parts;
    for (const part of parts) part.wipe();
    throw new ConclaveError('CV_ENVELOPE_FORGED', 'a key file has another shape than written');
  });
}
