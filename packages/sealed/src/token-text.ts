/**
 * Base32 on bytes: the seed of a token must not become a string, which cannot be wiped.
 * Same alphabet and strictness as the base32 of `kernel`.
 */
const ALPHABET: Uint8Array = new TextEncoder().encode('abcdefghijklmnopqrstuvwxyz234567');
const BITS_PER_LETTER = 5;
const BITS_PER_BYTE = 8;

/** Letters for `byteCount` bytes. */
export function letterCount(byteCount: number): number {
  return Math.ceil((byteCount * BITS_PER_BYTE) / BITS_PER_LETTER);
}

/** Writes the letters of `bytes` to `target` from `offset`. */
export function writeLetters(target: Uint8Array, offset: number, bytes: Uint8Array): void {
  let buffer = 0;
  let bitCount = 0;
  let next = offset;
  for (const byte of bytes) {
    buffer = (buffer << BITS_PER_BYTE) | byte;
    bitCount += BITS_PER_BYTE;
    while (bitCount >= BITS_PER_LETTER) {
      bitCount -= BITS_PER_LETTER;
      target[next] = ALPHABET[(buffer >>> bitCount) & 31] ?? 0;
      next += 1;
    }
    buffer &= (1 << bitCount) - 1;
  }
  if (bitCount > 0) target[next] = ALPHABET[(buffer << (BITS_PER_LETTER - bitCount)) & 31] ?? 0;
}

/**
 * Reads exactly `target.length` bytes from `letters`; false for other letters, another count, or
 * bits left over that are not zero.
 */
export function readLetters(target: Uint8Array, letters: Uint8Array): boolean {
  if (letters.length !== letterCount(target.length)) return false;
  let buffer = 0;
  let bitCount = 0;
  let next = 0;
  for (const letter of letters) {
    const value = valueOf(letter);
    if (value === undefined) return false;
    buffer = (buffer << BITS_PER_LETTER) | value;
    bitCount += BITS_PER_LETTER;
    if (bitCount < BITS_PER_BYTE) continue;
    bitCount -= BITS_PER_BYTE;
    target[next] = (buffer >>> bitCount) & 255;
    next += 1;
    buffer &= (1 << bitCount) - 1;
  }
  return buffer === 0;
}

function valueOf(letter: number): number | undefined {
  const offset = ALPHABET.indexOf(letter);
  return offset === -1 ? undefined : offset;
}
