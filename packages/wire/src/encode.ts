import { assert, ConclaveError } from '@conclave/kernel';
import type { FieldSchema, MessageSchema } from './schema.js';
import {
  INT32_MAX,
  INT32_MIN,
  MAP_KEY_ID,
  MAP_VALUE_ID,
  UINT32_MAX,
  WIRE_BYTES,
} from './wire-form.js';

type Values = Readonly<Record<string, unknown>>;

const NEGATIVE_VARINT_BYTES = 10;
const MAP_KEY_TAG = MAP_KEY_ID * 8 + WIRE_BYTES;
const MAP_VALUE_TAG = MAP_VALUE_ID * 8 + WIRE_BYTES;
/** Characters up to which a text is handled one by one. */
const SHORT_TEXT_LENGTH = 48;

function invalid(field: FieldSchema, what: string): ConclaveError {
  return new ConclaveError('CV_ARGUMENT_INVALID', `${field.name} must be ${what}`);
}

function varintSize(value: number): number {
  if (value >= 0 && value < 128) return 1;
  if (value < 0) return NEGATIVE_VARINT_BYTES;
  let size = 1;
  for (let rest = value; rest >= 128; rest = Math.floor(rest / 128)) size += 1;
  return size;
}

function isWhole(value: unknown, min: number, max: number): value is number {
  return typeof value === 'number' && Number.isInteger(value) && value >= min && value <= max;
}

/** The number that stands for a varint field; throws when it does not fit. */
function numberOf(field: FieldSchema, value: unknown): number {
  switch (field.type) {
    case 'bool':
      if (typeof value === 'boolean') return value ? 1 : 0;
      throw invalid(field, 'true or false');
    case 'uint32':
      if (isWhole(value, 0, UINT32_MAX)) return value;
      throw invalid(field, `a whole number of 0..${UINT32_MAX}`);
    case 'int32':
      if (isWhole(value, INT32_MIN, INT32_MAX)) return value;
      throw invalid(field, `a whole number of ${INT32_MIN}..${INT32_MAX}`);
    default:
      if (isWhole(value, 0, Number.MAX_SAFE_INTEGER)) return value;
      throw invalid(field, 'a whole number of 0..2^53-1');
  }
}

function textOf(field: FieldSchema, value: unknown): string {
  if (typeof value === 'string') return value;
  throw invalid(field, 'text');
}

function bytesOf(field: FieldSchema, value: unknown): Uint8Array {
  if (ArrayBuffer.isView(value) && 'length' in value) return value as Uint8Array;
  throw invalid(field, 'bytes');
}

/** True for what needs no bytes: the receiver puts the same value there by itself. */
function isDefault(field: FieldSchema, value: unknown): boolean {
  if (value === undefined || value === null) return true;
  if (field.label !== 'one' || field.message !== undefined) return false;
  if (field.type === 'bytes') return bytesOf(field, value).length === 0;
  return value === '' || value === 0 || value === false;
}

function listOf(field: FieldSchema, value: unknown): readonly unknown[] {
  if (Array.isArray(value)) return value;
  throw invalid(field, 'a list');
}

function mapOf(field: FieldSchema, value: unknown): Readonly<Record<string, unknown>> {
  if (typeof value === 'object' && value !== null) return value as Record<string, unknown>;
  throw invalid(field, 'a map');
}

function sizeOfBytes(tag: number, length: number): number {
  return varintSize(tag) + varintSize(length) + length;
}

/** Bytes of a text in UTF-8. Most are short ids and words, where a look is cheaper than a call. */
function sizeOfText(text: string): number {
  if (text.length > SHORT_TEXT_LENGTH) return Buffer.byteLength(text);
  for (let at = 0; at < text.length; at += 1) {
    if (text.charCodeAt(at) > 127) return Buffer.byteLength(text);
  }
  return text.length;
}

/**
 * First pass: the size of every message, text and map entry, in the order in which the second pass
 * meets them, so that lengths are known before their contents are written and the result is
 * allocated once.
 */
class Measure {
  readonly sizes: number[] = [];

  message(schema: MessageSchema, values: Values): number {
    const slot = this.sizes.push(0) - 1;
    let groups = 0;
    let size = 0;
    for (const field of schema.fields) {
      const value = values[field.name];
      if (isDefault(field, value)) continue;
      if (field.group !== undefined) {
        if ((groups & field.bit) !== 0) throw invalid(field, `the only member of ${field.group}`);
        groups |= field.bit;
      }
      size += this.#field(field, value);
    }
    this.sizes[slot] = size;
    return size;
  }

  #field(field: FieldSchema, value: unknown): number {
    if (field.label === 'map') return this.#map(field, mapOf(field, value));
    if (field.label !== 'repeated') return this.#item(field, value);
    let size = 0;
    for (const item of listOf(field, value)) size += this.#item(field, item);
    return size;
  }

  #map(field: FieldSchema, map: Readonly<Record<string, unknown>>): number {
    let size = 0;
    for (const key of Object.keys(map)) {
      const slot = this.sizes.push(0) - 1;
      const entry =
        this.#text(MAP_KEY_TAG, key) + this.#text(MAP_VALUE_TAG, textOf(field, map[key]));
      this.sizes[slot] = entry;
      size += sizeOfBytes(field.tag, entry);
    }
    return size;
  }

  #item(field: FieldSchema, value: unknown): number {
    if (field.message !== undefined) {
      if (typeof value !== 'object' || value === null) throw invalid(field, 'a message');
      return sizeOfBytes(field.tag, this.message(field.message, value as Values));
    }
    if (field.type === 'string') return this.#text(field.tag, textOf(field, value));
    if (field.type === 'bytes') return sizeOfBytes(field.tag, bytesOf(field, value).length);
    return varintSize(field.tag) + varintSize(numberOf(field, value));
  }

  #text(tag: number, text: string): number {
    const size = sizeOfText(text);
    this.sizes.push(size);
    return sizeOfBytes(tag, size);
  }
}

/** Second pass: writes what the first one measured. */
class Output {
  readonly bytes: Buffer;
  readonly #sizes: readonly number[];
  #nextSize = 0;
  #position = 0;

  constructor(sizes: readonly number[]) {
    this.#sizes = sizes;
    this.bytes = Buffer.allocUnsafe(sizes[0] ?? 0);
  }

  get isFull(): boolean {
    return this.#position === this.bytes.length && this.#nextSize === this.#sizes.length;
  }

  message(schema: MessageSchema, values: Values): void {
    this.#nextSize += 1;
    for (const field of schema.fields) {
      const value = values[field.name];
      if (isDefault(field, value)) continue;
      if (field.label === 'map') this.#map(field, mapOf(field, value));
      else if (field.label !== 'repeated') this.#item(field, value);
      else for (const item of listOf(field, value)) this.#item(field, item);
    }
  }

  #map(field: FieldSchema, map: Readonly<Record<string, unknown>>): void {
    for (const key of Object.keys(map)) {
      this.#varint(field.tag);
      this.#varint(this.#sizes[this.#nextSize] ?? 0);
      this.#nextSize += 1;
      this.#text(MAP_KEY_TAG, key);
      this.#text(MAP_VALUE_TAG, textOf(field, map[key]));
    }
  }

  #item(field: FieldSchema, value: unknown): void {
    if (field.message !== undefined) {
      this.#varint(field.tag);
      this.#varint(this.#sizes[this.#nextSize] ?? 0);
      this.message(field.message, value as Values);
    } else if (field.type === 'string') {
      this.#text(field.tag, textOf(field, value));
    } else if (field.type === 'bytes') {
      const bytes = bytesOf(field, value);
      this.#varint(field.tag);
      this.#varint(bytes.length);
      this.bytes.set(bytes, this.#position);
      this.#position += bytes.length;
    } else {
      this.#varint(field.tag);
      this.#varint(numberOf(field, value));
    }
  }

  #text(tag: number, text: string): void {
    const size = this.#sizes[this.#nextSize] ?? 0;
    this.#nextSize += 1;
    this.#varint(tag);
    this.#varint(size);
    if (size === text.length && size <= SHORT_TEXT_LENGTH) {
      for (let at = 0; at < size; at += 1) this.#byte(text.charCodeAt(at));
    } else {
      this.#position += this.bytes.write(text, this.#position);
    }
  }

  #varint(value: number): void {
    if (value < 0) {
      this.#negativeVarint(value);
      return;
    }
    let rest = value;
    for (; rest > INT32_MAX; rest = Math.floor(rest / 128)) this.#byte((rest % 128) + 128);
    for (; rest >= 128; rest >>>= 7) this.#byte((rest & 127) | 128);
    this.#byte(rest);
  }

  /** Ten bytes of two's complement in 64 bits, as the format wants for a negative int32. */
  #negativeVarint(value: number): void {
    let rest = BigInt.asUintN(64, BigInt(value));
    for (; rest >= 128n; rest >>= 7n) this.#byte(Number(rest & 127n) + 128);
    this.#byte(Number(rest));
  }

  #byte(byte: number): void {
    this.bytes[this.#position] = byte;
    this.#position += 1;
  }
}

/**
 * The bytes of a message. Fields that are absent or have their default take none.
 * @throws CV_ARGUMENT_INVALID naming the field for a value of another type or out of range, and for
 *   two members of a oneof.
 */
export function encodeMessage(schema: MessageSchema, values: object): Buffer {
  const measure = new Measure();
  measure.message(schema, values as Values);
  const output = new Output(measure.sizes);
  output.message(schema, values as Values);
  assert(output.isFull, `${schema.name} changed while it was encoded`);
  return output.bytes;
}
