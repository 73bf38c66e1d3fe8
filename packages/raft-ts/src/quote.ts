const ESCAPES: ReadonlyMap<number, string> = new Map([
  [0x07, '\\a'],
  [0x08, '\\b'],
  [0x09, '\\t'],
  [0x0a, '\\n'],
  [0x0b, '\\v'],
  [0x0c, '\\f'],
  [0x0d, '\\r'],
  [0x22, '\\"'],
  [0x5c, '\\\\'],
]);

const PRINTABLE = /^[\p{L}\p{M}\p{N}\p{P}\p{S} ]$/u;

/** Smallest code point for each length of a UTF-8 sequence; anything below is not UTF-8. */
const CODE_POINT_MIN: readonly number[] = [0, 0, 0x80, 0x800, 0x10000];

/**
 * Bytes as a quoted text: UTF-8 where it is printable, escapes for the rest.
 *
 * @param bytes any bytes
 */
export function quote(bytes: Uint8Array): string {
  let text = '"';
  for (let at = 0; at < bytes.length;) {
    const length = sequenceLength(bytes, at);
    if (length === 0) {
      text += `\\x${(bytes[at] as number).toString(16).padStart(2, '0')}`;
      at++;
    } else {
      text += escape(codePoint(bytes, at, length));
      at += length;
    }
  }
  return `${text}"`;
}

/** Length of the UTF-8 sequence at a place; 0 if there is none. */
function sequenceLength(bytes: Uint8Array, at: number): number {
  const first = bytes[at] as number;
  if (first < 0x80) return 1;
  const length = first >= 0xf0 ? 4 : first >= 0xe0 ? 3 : first >= 0xc0 ? 2 : 0;
  if (length === 0 || first >= 0xf8 || at + length > bytes.length) return 0;
  for (let i = 1; i < length; i++) {
    if (((bytes[at + i] as number) & 0xc0) !== 0x80) return 0;
  }
  const point = codePoint(bytes, at, length);
  const isSurrogate = point >= 0xd800 && point <= 0xdfff;
  const isValid = point >= (CODE_POINT_MIN[length] as number) && point <= 0x10ffff;
  return isValid && !isSurrogate ? length : 0;
}

function codePoint(bytes: Uint8Array, at: number, length: number): number {
  const first = bytes[at] as number;
  let point = length === 1 ? first : first & (0x7f >> length);
  for (let i = 1; i < length; i++) point = point * 64 + ((bytes[at + i] as number) & 0x3f);
  return point;
}

function escape(point: number): string {
  const short = ESCAPES.get(point);
  if (short !== undefined) return short;
  const text = String.fromCodePoint(point);
  if (PRINTABLE.test(text)) return text;
  const digits = point.toString(16);
  if (point < 0x80) return `\\x${digits.padStart(2, '0')}`;
  return point < 0x10000 ? `\\u${digits.padStart(4, '0')}` : `\\U${digits.padStart(8, '0')}`;
}
