/** Pieces put together in a new buffer. For public bytes only: secrets go through `sealed`. */
export function concatBytes(...parts: readonly Uint8Array[]): Uint8Array {
  let size = 0;
  for (const part of parts) size += part.length;
  const whole = new Uint8Array(size);
  let offset = 0;
  for (const part of parts) {
    whole.set(part, offset);
    offset += part.length;
  }
  return whole;
}

/** True when both have the same bytes. Not constant in time: for public bytes only. */
export function equalBytes(left: Uint8Array, right: Uint8Array): boolean {
  return left.length === right.length && left.every((byte, offset) => byte === right[offset]);
}

const HEX = [...Array(256).keys()].map((byte) => byte.toString(16).padStart(2, '0'));

/** Lower-case hexadecimal text. */
export function toHex(bytes: Uint8Array): string {
  let text = '';
  for (const byte of bytes) text += HEX[byte];
  return text;
}

/** The bytes of lower-case hexadecimal text, which the caller has checked. */
export function fromHex(text: string): Uint8Array {
  const bytes = new Uint8Array(text.length >>> 1);
  for (let offset = 0; offset < bytes.length; offset += 1) {
    bytes[offset] = Number.parseInt(text.slice(2 * offset, 2 * offset + 2), 16);
  }
  return bytes;
}
