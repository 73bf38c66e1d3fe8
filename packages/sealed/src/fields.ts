import { assert } from '@conclave/kernel';

/** One field of associated data: text, a whole number 0..2^53-1, or bytes. */
export type Field = string | number | Uint8Array;

const NUMBER_BYTES = 8;
const LENGTH_BYTES = 4;
const UTF8_BYTES_PER_UNIT_MAX = 3;
const encoder = new TextEncoder();

/**
 * The fields one after the other, each as a 32-bit big-endian length and its bytes: text as UTF-8,
 * numbers as 64-bit big-endian. The kinds are not marked, so both sides must agree on them.
 */
export function encodeFields(fields: readonly Field[]): Uint8Array {
  const target = new Uint8Array(capacityOf(fields));
  return target.subarray(0, writeFields(target, 0, fields));
}

/** Bytes that the encoding of `fields` takes at most. */
export function capacityOf(fields: readonly Field[]): number {
  let capacity = 0;
  for (const field of fields) capacity += LENGTH_BYTES + fieldCapacity(field);
  return capacity;
}

/** Writes the encoding of `fields` at `offset`; the offset behind it. */
export function writeFields(target: Uint8Array, offset: number, fields: readonly Field[]): number {
  let next = offset;
  for (const field of fields) {
    const size = writeField(target, next + LENGTH_BYTES, field);
    writeUint32(target, next, size);
    next += LENGTH_BYTES + size;
  }
  return next;
}

/** Writes a 32-bit big-endian number. */
export function writeUint32(target: Uint8Array, offset: number, value: number): void {
  target[offset] = value >>> 24;
  target[offset + 1] = value >>> 16;
  target[offset + 2] = value >>> 8;
  target[offset + 3] = value;
}

/** Reads a 32-bit big-endian number; the caller has checked the length. */
export function readUint32(source: Uint8Array, offset: number): number {
  const high = ((source[offset] ?? 0) << 8) | (source[offset + 1] ?? 0);
  const low = ((source[offset + 2] ?? 0) << 8) | (source[offset + 3] ?? 0);
  return high * 0x1_0000 + low;
}

function fieldCapacity(field: Field): number {
  if (typeof field === 'string') return field.length * UTF8_BYTES_PER_UNIT_MAX;
  return typeof field === 'number' ? NUMBER_BYTES : field.length;
}

function writeField(target: Uint8Array, offset: number, field: Field): number {
  if (typeof field === 'string') return writeText(target, offset, field);
  if (typeof field === 'number') {
    assert(Number.isSafeInteger(field) && field >= 0, 'a field must be a whole number');
    writeUint32(target, offset, Math.floor(field / 0x1_0000_0000));
    writeUint32(target, offset + 4, field % 0x1_0000_0000);
    return NUMBER_BYTES;
  }
  target.set(field, offset);
  return field.length;
}

function writeText(target: Uint8Array, offset: number, text: string): number {
  for (let unit = 0; unit < text.length; unit += 1) {
    const code = text.charCodeAt(unit);
    // Ids are ASCII and short: a plain loop is several times faster than the encoder.
    if (code > 0x7f) return encoder.encodeInto(text, target.subarray(offset)).written;
    target[offset + unit] = code;
  }
  return text.length;
}
