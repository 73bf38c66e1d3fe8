import { assert, ConclaveError } from '@conclave/kernel';
import type { FieldSchema, MessageSchema } from './schema.js';
import {
  INT32_MAX,
  INT32_MIN,
  MAP_KEY_ID,
  MAP_VALUE_ID,
  UINT32_MAX,
  WIRE_BYTES,
  WIRE_VARINT,
} from './wire-form.js';

type Values = Readonly<Record<string, unknown>>;

const NEGATIVE_VARINT_BYTES = 10;

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

function tagOf(id: number, wireType: number): number {
  return id * 8 + wireType;
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

function isLengthDelimited(field: FieldSchema): boolean {
  return field.message !== undefined || field.type === 'string' || field.type === 'bytes';
}

/** True for what needs no bytes: the receiver puts the same value there by itself. */
function isDefault(field: FieldSchema, value: unknown): boolean {
  if (value === undefined || value === null) return true;
  if (field.label !== 'one' || field.message !== undefined) return false;
  if (field.type === 'bytes') return bytesOf(field, value).length === 0;
  return value === '' || value === 0 || value === false;
}

function itemsOf(field: FieldSchema, value: unknown): readonly unknown[] {
  if (field.label !== 'repeated') return [value];
  if (Array.isArray(value)) return value;
  throw invalid(field, 'a list');
}

function entriesOf(field: FieldSchema, value: unknown): readonly (readonly [string, string])[] {
  if (typeof value !== 'object' || value === null) throw invalid(field, 'a map');
  return Object.entries(value).map(([key, item]) => [key, textOf(field, item)]);
}

function sizeOfBytes(id: number, length: number): number {
  return varintSize(tagOf(id, WIRE_BYTES)) + varintSize(length) + length;
}

function sizeOfEntry([key, value]: readonly [string, string]): number {
  return (
    sizeOfBytes(MAP_KEY_ID, Buffer.byteLength(key)) +
    sizeOfBytes(MAP_VALUE_ID, Buffer.byteLength(value))
  );
}

/** The members of oneofs that are set; throws when a group has two. */
function checkGroup(field: FieldSchema, groups: Set<string>): void {
  if (field.group === undefined) return;
  if (groups.has(field.group)) throw invalid(field, `the only member of ${field.group}`);
  groups.add(field.group);
}

/**
 * First pass: the size of every message, in the order in which the second pass meets them, so that
 * lengths are known before their contents are written and the result is allocated once.
 */
class Measure {
  readonly sizes: number[] = [];

  message(schema: MessageSchema, values: Values): number {
    const slot = this.sizes.push(0) - 1;
    const groups = new Set<string>();
    let size = 0;
    for (const field of schema.fields) {
      const value = values[field.name];
      if (isDefault(field, value)) continue;
      checkGroup(field, groups);
      size += this.#field(field, value);
    }
    this.sizes[slot] = size;
    return size;
  }

  #field(field: FieldSchema, value: unknown): number {
    let size = 0;
    if (field.label === 'map') {
      for (const entry of entriesOf(field, value))
        size += sizeOfBytes(field.id, sizeOfEntry(entry));
      return size;
    }
    for (const item of itemsOf(field, value)) size += this.#item(field, item);
    return size;
  }

  #item(field: FieldSchema, value: unknown): number {
    if (field.message !== undefined) {
      if (typeof value !== 'object' || value === null) throw invalid(field, 'a message');
      return sizeOfBytes(field.id, this.message(field.message, value as Values));
    }
    if (field.type === 'string') {
      return sizeOfBytes(field.id, Buffer.byteLength(textOf(field, value)));
    }
    if (field.type === 'bytes') return sizeOfBytes(field.id, bytesOf(field, value).length);
    return varintSize(tagOf(field.id, WIRE_VARINT)) + varintSize(numberOf(field, value));
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
      if (field.label === 'map') this.#map(field, value);
      else for (const item of itemsOf(field, value)) this.#item(field, item);
    }
  }

  #map(field: FieldSchema, value: unknown): void {
    for (const entry of entriesOf(field, value)) {
      this.#varint(tagOf(field.id, WIRE_BYTES));
      this.#varint(sizeOfEntry(entry));
      this.#text(MAP_KEY_ID, entry[0]);
      this.#text(MAP_VALUE_ID, entry[1]);
    }
  }

  #item(field: FieldSchema, value: unknown): void {
    if (!isLengthDelimited(field)) {
      this.#varint(tagOf(field.id, WIRE_VARINT));
      this.#varint(numberOf(field, value));
    } else if (field.message !== undefined) {
      this.#varint(tagOf(field.id, WIRE_BYTES));
      this.#varint(this.#sizes[this.#nextSize] ?? 0);
      this.message(field.message, value as Values);
    } else if (field.type === 'string') {
      this.#text(field.id, textOf(field, value));
    } else {
      const bytes = bytesOf(field, value);
      this.#varint(tagOf(field.id, WIRE_BYTES));
      this.#varint(bytes.length);
      this.bytes.set(bytes, this.#position);
      this.#position += bytes.length;
    }
  }

  #text(id: number, text: string): void {
    this.#varint(tagOf(id, WIRE_BYTES));
    this.#varint(Buffer.byteLength(text));
    this.#position += this.bytes.write(text, this.#position);
  }

  #varint(value: number): void {
    if (value < 0) {
      this.#negativeVarint(value);
      return;
    }
    let rest = value;
    for (; rest >= 128; rest = Math.floor(rest / 128)) this.#byte((rest % 128) + 128);
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
