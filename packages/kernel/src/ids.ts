import { encodeBase32 } from './base32.js';
import type { Random } from './random.js';

/** Bytes of randomness in an id. */
export const ID_BYTES = 16;
const ID_PATTERN = /^[a-z2-7]{25}[aeimquy4]$/;

/** A new id: 128 random bits as 26 characters of lower-case base32; never reused. */
export function createId(random: Random): string {
  return encodeBase32(random.bytes(ID_BYTES));
}

/** True when `text` has the form of an id (26 characters that decode to 128 bits). */
export function isId(text: string): boolean {
  return ID_PATTERN.test(text);
}
