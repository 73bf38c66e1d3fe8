import { ConclaveError } from '@conclave/kernel';

/** What stands between the dashes of a PEM block. */
export type PemLabel = 'CERTIFICATE' | 'PRIVATE KEY' | 'PUBLIC KEY';

/**
 * Base64 on bytes instead of text, because a PEM block may hold a private key and a string cannot
 * be wiped.
 */
const ALPHABET: Uint8Array = new TextEncoder().encode(
  'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/',
);
const PAD = 0x3d;
const NEWLINE = 0x0a;
const CARRIAGE_RETURN = 0x0d;
const LINE_LETTERS = 64;
/** Larger blocks are no certificate of ours. */
const PEM_BYTES_MAX = 64 * 1024;
const encoder = new TextEncoder();

/** One PEM block with lines of 64 letters. The caller wipes it when it holds a private key. */
export function toPem(label: PemLabel, der: Uint8Array): Uint8Array {
  const begin = encoder.encode(`-----BEGIN ${label}-----\n`);
  const end = encoder.encode(`-----END ${label}-----\n`);
  const letterCount = Math.ceil(der.length / 3) * 4;
  const lineCount = Math.ceil(letterCount / LINE_LETTERS);
  const size = begin.length + letterCount + lineCount + end.length;
  const pem = new Uint8Array(new ArrayBuffer(size));
  pem.set(begin);
  writeBody(pem.subarray(begin.length, size - end.length), der);
  pem.set(end, size - end.length);
  return pem;
}

/**
 * The DER bytes of exactly one PEM block, with nothing but line ends around it.
 * @throws CV_ARGUMENT_INVALID for another label or anything malformed
 */
export function fromPem(label: PemLabel, pem: Uint8Array): Uint8Array {
  const begin = encoder.encode(`-----BEGIN ${label}-----`);
  const end = encoder.encode(`-----END ${label}-----`);
  let last = pem.length;
  while (last > 0 && isLineEnd(pem[last - 1])) last -= 1;
  const isFramed =
    pem.length <= PEM_BYTES_MAX &&
    last > begin.length + end.length &&
    startsWith(pem, begin, 0) &&
    startsWith(pem, end, last - end.length);
  const der = isFramed ? readBody(pem.subarray(begin.length, last - end.length)) : undefined;
  if (der === undefined) {
    throw new ConclaveError('CV_ARGUMENT_INVALID', `not one PEM block of the kind ${label}`);
  }
  return der;
}

function writeBody(target: Uint8Array, der: Uint8Array): void {
  let next = 0;
  let lineLetters = 0;
  for (let offset = 0; offset < der.length; offset += 3) {
    const left = der.length - offset;
    const group =
      ((der[offset] ?? 0) << 16) | ((der[offset + 1] ?? 0) << 8) | (der[offset + 2] ?? 0);
    target[next] = letter(group >>> 18);
    target[next + 1] = letter(group >>> 12);
    target[next + 2] = left > 1 ? letter(group >>> 6) : PAD;
    target[next + 3] = left > 2 ? letter(group) : PAD;
    next += 4;
    lineLetters += 4;
    if (lineLetters < LINE_LETTERS && left > 3) continue;
    target[next] = NEWLINE;
    next += 1;
    lineLetters = 0;
  }
}

function readBody(body: Uint8Array): Uint8Array | undefined {
  const letters = new Uint8Array(new ArrayBuffer(body.length));
  let count = 0;
  for (const byte of body) {
    if (isLineEnd(byte)) continue;
    letters[count] = byte;
    count += 1;
  }
  const der = readLetters(letters.subarray(0, count));
  letters.fill(0);
  return der;
}

function readLetters(letters: Uint8Array): Uint8Array | undefined {
  let count = letters.length;
  if (count === 0 || count % 4 !== 0) return undefined;
  while (letters[count - 1] === PAD && letters.length - count < 2) count -= 1;
  const der = new Uint8Array(new ArrayBuffer(Math.floor((count * 3) / 4)));
  let buffer = 0;
  let bitCount = 0;
  let next = 0;
  for (const letterByte of letters.subarray(0, count)) {
    const value = ALPHABET.indexOf(letterByte);
    if (value === -1) return undefined;
    buffer = (buffer << 6) | value;
    bitCount += 6;
    if (bitCount < 8) continue;
    bitCount -= 8;
    der[next] = (buffer >>> bitCount) & 255;
    next += 1;
    buffer &= (1 << bitCount) - 1;
  }
  return buffer === 0 ? der : undefined;
}

function letter(bits: number): number {
  return ALPHABET[bits & 63] ?? 0;
}

function isLineEnd(byte: number | undefined): boolean {
  return byte === NEWLINE || byte === CARRIAGE_RETURN;
}

function startsWith(bytes: Uint8Array, start: Uint8Array, offset: number): boolean {
  return start.every((byte, at) => bytes[offset + at] === byte);
}
