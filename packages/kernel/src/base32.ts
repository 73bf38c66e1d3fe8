const ALPHABET = 'abcdefghijklmnopqrstuvwxyz234567';
const VALUE_OF = new Map(ALPHABET.split('').map((letter, value) => [letter, value]));

/** Lower-case base32 (RFC 4648 alphabet) without padding. */
export function encodeBase32(bytes: Uint8Array): string {
  let text = '';
  let buffer = 0;
  let bitCount = 0;
  for (const byte of bytes) {
    buffer = (buffer << 8) | byte;
    bitCount += 8;
    while (bitCount >= 5) {
      bitCount -= 5;
      text += ALPHABET[(buffer >>> bitCount) & 31];
    }
    buffer &= (1 << bitCount) - 1;
  }
  return bitCount === 0 ? text : text + ALPHABET[(buffer << (5 - bitCount)) & 31];
}

/**
 * Reads what {@link encodeBase32} wrote; `undefined` for other letters, an impossible length or
 * bits left over that are not zero, so that every byte string has exactly one text.
 */
export function decodeBase32(text: string): Uint8Array | undefined {
  const bytes = new Uint8Array(Math.floor((text.length * 5) / 8));
  let buffer = 0;
  let bitCount = 0;
  let offset = 0;
  for (const letter of text) {
    const value = VALUE_OF.get(letter);
    if (value === undefined) return undefined;
    buffer = (buffer << 5) | value;
    bitCount += 5;
    if (bitCount >= 8) {
      bitCount -= 8;
      bytes[offset] = (buffer >>> bitCount) & 255;
      offset += 1;
      buffer &= (1 << bitCount) - 1;
    }
  }
  return bitCount >= 5 || buffer !== 0 ? undefined : bytes;
}
