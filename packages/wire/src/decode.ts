import { isUtf8 } from 'node:buffer';
import { ConclaveError } from '@conclave/kernel';
import type { FieldSchema, MessageSchema } from './schema.js';
import {
  INT32_MAX,
  ITEM_COUNT_MAX,
  MAP_KEY_ID,
  MAP_VALUE_ID,
  UINT32_MAX,
  WIRE_BYTES,
  WIRE_FIXED32,
  WIRE_FIXED64,
  WIRE_VARINT,
} from './wire-form.js';

type Values = Record<string, unknown>;

const VARINT_BYTES_MAX = 10;
/** Shared: there is nothing in it to change. */
const NO_BYTES = Buffer.alloc(0);
const TAG_MAX = UINT32_MAX;
/** The byte order mark in UTF-8. */
const MARK = Buffer.of(0xef, 0xbb, 0xbf);

function malformed(message: string): ConclaveError {
  return new ConclaveError('CV_PROTOCOL', message);
}

/** Reads the parts of one message; shared by its sub-messages, so that items are counted over all. */
class Input {
  readonly #bytes: Buffer;
  #position = 0;
  #itemCount = 0;

  constructor(bytes: Buffer) {
    this.#bytes = bytes;
  }

  get position(): number {
    return this.#position;
  }

  countItem(): void {
    this.#itemCount += 1;
    if (this.#itemCount <= ITEM_COUNT_MAX) return;
    throw new ConclaveError('CV_LIMIT_EXCEEDED', `a message has more than ${ITEM_COUNT_MAX} items`);
  }

  /** The two halves of a varint, low one first. */
  halves(): { readonly low: number; readonly high: number } {
    let low = 0;
    let high = 0;
    for (let count = 0; count < VARINT_BYTES_MAX; count += 1) {
      const byte = this.#byte();
      const part = byte & 127;
      const shift = count * 7;
      if (shift < 32) low = (low | (part << shift)) >>> 0;
      // The fifth byte has bits of both halves.
      if (shift === 28) high = part >>> 4;
      else if (shift > 28) high = (high | (part << (shift - 32))) >>> 0;
      if (count === VARINT_BYTES_MAX - 1 && part > 1) break;
      if (byte < 128) return { low, high };
    }
    throw malformed('a number is longer than 64 bits');
  }

  /** A varint that fits a number. */
  whole(max: number): number {
    let value = 0;
    let scale = 1;
    for (let count = 0; count < VARINT_BYTES_MAX; count += 1) {
      const byte = this.#byte();
      value += (byte & 127) * scale;
      if (byte < 128) {
        // Sums above 2^53 are rounded, but never to below it: they are out of any range.
        if (value > max) throw malformed('a number is out of range');
        return value;
      }
      scale *= 128;
    }
    throw malformed('a number is longer than 64 bits');
  }

  /** The end of a part with a length in front. */
  end(limit: number): number {
    const length = this.whole(UINT32_MAX);
    const end = this.#position + length;
    if (end > limit) throw malformed('a part is longer than its message');
    return end;
  }

  /** A copy: a view would keep the whole frame in memory, and change with it. */
  copy(end: number): Buffer {
    const copy = Buffer.from(this.#bytes.subarray(this.#position, end));
    this.#position = end;
    return copy;
  }

  /** Most texts are ids and words: ASCII, which needs no check beyond the look at its bytes. */
  text(end: number): string {
    const start = this.#position;
    this.#position = end;
    let at = start;
    while (at < end && (this.#bytes[at] ?? 0) < 128) at += 1;
    if (at === end) return this.#bytes.toString('latin1', start, end);
    if (!isUtf8(this.#bytes.subarray(at, end))) throw malformed('a text is not UTF-8');
    // Decoders further on would drop it: two keys of a map could become one.
    if (this.#bytes.subarray(start, end).indexOf(MARK) === 0) {
      throw malformed('a text begins with a byte order mark');
    }
    return this.#bytes.toString('utf8', start, end);
  }

  skip(wireType: number, limit: number): void {
    if (wireType === WIRE_VARINT) this.halves();
    else if (wireType === WIRE_BYTES) this.#position = this.end(limit);
    else if (wireType === WIRE_FIXED64) this.#position += 8;
    else if (wireType === WIRE_FIXED32) this.#position += 4;
    else throw malformed('a field has an unknown form');
    if (this.#position > limit) throw malformed('a part is longer than its message');
  }

  #byte(): number {
    const byte = this.#bytes[this.#position];
    if (byte === undefined) throw malformed('a message ends too early');
    this.#position += 1;
    return byte;
  }
}

function int32Of({ low, high }: { readonly low: number; readonly high: number }): number {
  const isNegative = low > INT32_MAX;
  if (high !== (isNegative ? UINT32_MAX : 0)) throw malformed('a number is out of range');
  return low | 0;
}

function boolOf(value: number): boolean {
  return value === 1;
}

function defaultOf(field: FieldSchema): unknown {
  // Lists and maps are made for each message; this keeps their place.
  if (field.label === 'repeated' || field.label === 'map' || field.message !== undefined)
    return null;
  switch (field.type) {
    case 'string':
      return '';
    case 'bytes':
      return NO_BYTES;
    case 'bool':
      return false;
    default:
      return 0;
  }
}

const blanks = new WeakMap<MessageSchema, Values>();

/** A message with nothing in it; copied, because making one field by field is slow. */
function blankOf(schema: MessageSchema): Values {
  const known = blanks.get(schema);
  if (known !== undefined) return known;
  const blank: Values = {};
  for (const field of schema.fields) {
    if (field.label !== 'optional' && field.label !== 'oneof') blank[field.name] = defaultOf(field);
  }
  blanks.set(schema, blank);
  return blank;
}

function isDelimited(field: FieldSchema): boolean {
  return field.message !== undefined || field.type === 'string' || field.type === 'bytes';
}

function readEntry(input: Input, end: number): [string, string] {
  const texts: [string | undefined, string | undefined] = [undefined, undefined];
  while (input.position < end) {
    const tag = input.whole(TAG_MAX);
    const id = tag >>> 3;
    if (id !== MAP_KEY_ID && id !== MAP_VALUE_ID) {
      input.skip(tag & 7, end);
      continue;
    }
    if ((tag & 7) !== WIRE_BYTES || texts[id - 1] !== undefined) throw malformed('a bad map entry');
    texts[id - 1] = input.text(input.end(end));
  }
  if (input.position !== end) throw malformed('a part is longer than its message');
  return [texts[0] ?? '', texts[1] ?? ''];
}

function readDelimited(input: Input, field: FieldSchema, end: number): unknown {
  if (field.message !== undefined) return readMessage(input, field.message, end);
  if (field.type === 'string') return input.text(end);
  return input.copy(end);
}

function readVarint(input: Input, field: FieldSchema): unknown {
  switch (field.type) {
    case 'bool':
      return boolOf(input.whole(1));
    case 'int32':
      return int32Of(input.halves());
    case 'uint32':
      return input.whole(UINT32_MAX);
    default:
      return input.whole(Number.MAX_SAFE_INTEGER);
  }
}

/** Where the fields of one message go. */
interface ReadContext {
  readonly values: Values;
  /** Where the message ends. */
  readonly limit: number;
  /** The bits of the fields that occur once and were there. */
  seen: number;
}

function readMapEntry(input: Input, field: FieldSchema, { values, limit }: ReadContext): void {
  input.countItem();
  const [key, text] = readEntry(input, input.end(limit));
  const map = values[field.name] as Record<string, string>;
  if (Object.hasOwn(map, key)) throw malformed(`${field.name} has a key twice`);
  // Defined and not assigned: the key may be __proto__.
  const entry = { value: text, enumerable: true, writable: true, configurable: true };
  Object.defineProperty(map, key, entry);
}

/** One occurrence of a field; a second one of a field that occurs once is refused. */
function readField(input: Input, field: FieldSchema, context: ReadContext): void {
  const { values, limit } = context;
  const isOnce = field.label !== 'repeated';
  if (isOnce && (context.seen & field.bit) !== 0) {
    throw malformed(`${field.group ?? field.name} is there twice`);
  }
  context.seen |= field.bit;
  if (!isOnce || field.message !== undefined) input.countItem();
  const value = isDelimited(field)
    ? readDelimited(input, field, input.end(limit))
    : readVarint(input, field);
  if (isOnce) values[field.name] = value;
  else (values[field.name] as unknown[]).push(value);
  if (field.group !== undefined) values[field.group] = field.name;
}

// Recursion is bounded by the schema, where no message contains itself; a test checks that.
function readMessage(input: Input, schema: MessageSchema, end: number): Values {
  const values: Values = { ...blankOf(schema) };
  for (const field of schema.containers) values[field.name] = field.label === 'map' ? {} : [];
  const context: ReadContext = { values, limit: end, seen: 0 };
  while (input.position < end) {
    const tag = input.whole(TAG_MAX);
    const id = tag >>> 3;
    const wireType = tag & 7;
    if (id === 0) throw malformed('a field has no number');
    const field = schema.byId.get(id);
    // From a newer version: what it does not need to be understood, is skipped.
    if (field === undefined) {
      input.skip(wireType, end);
      continue;
    }
    if (tag !== field.tag) throw malformed(`${field.name} has another form`);
    if (field.label === 'map') readMapEntry(input, field, context);
    else readField(input, field, context);
  }
  if (input.position !== end) throw malformed('a part is longer than its message');
  return values;
}

/**
 * The message in `bytes`, with defaults for what is absent. Stricter than the format: a field that
 * occurs once must not come twice, numbers must fit, texts must be UTF-8, items are counted. Unknown
 * fields are skipped. Bytes are copied.
 * @throws CV_PROTOCOL for anything malformed.
 * @throws CV_LIMIT_EXCEEDED for more than `ITEM_COUNT_MAX` items.
 */
export function decodeMessage(schema: MessageSchema, bytes: Uint8Array): object {
  const buffer = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  return readMessage(new Input(buffer), schema, buffer.length);
}
