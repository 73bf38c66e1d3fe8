import { capacityOf, writeFields, writeUint32 } from './fields.js';
import type { Field } from './fields.js';
import { checkFields } from './purpose.js';
import type { Purpose } from './purpose.js';

/** Version of the byte layouts of this package. */
export const FORMAT = 1;
/** XChaCha20-Poly1305. */
export const ALGORITHM_PLAIN = 1;
/** XChaCha20-Poly1305 with a commitment to the key in front. */
export const ALGORITHM_COMMITTING = 2;

const HEAD_BYTES = 9;
const LETTER_C = 0x43;
const LETTER_V = 0x56;

/** What is fixed about a ciphertext besides its bytes. */
export interface AssociatedData {
  readonly purpose: Purpose;
  readonly algorithm: number;
  readonly keyId: number;
  readonly fields: readonly Field[];
}

/**
 * `"CV" | purpose u8 | format u8 | alg u8 | key id u32` and the length-prefixed fields. The bytes
 * are public and lie in a shared pool: for use at once.
 */
export function encodeAssociatedData(data: AssociatedData): Uint8Array {
  checkFields(data.purpose, data.fields);
  const bytes = Buffer.allocUnsafe(HEAD_BYTES + capacityOf(data.fields));
  bytes[0] = LETTER_C;
  bytes[1] = LETTER_V;
  bytes[2] = data.purpose;
  bytes[3] = FORMAT;
  bytes[4] = data.algorithm;
  writeUint32(bytes, 5, data.keyId);
  return bytes.subarray(0, writeFields(bytes, HEAD_BYTES, data.fields));
}
