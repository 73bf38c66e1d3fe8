import { isConclaveError } from '@conclave/kernel';
import { isSafeField } from './log-fields.js';

/** Levels of objects and arrays below a field. */
const DEPTH_MAX = 3;
/** Causes below an error. */
const CAUSE_COUNT_MAX = 4;
/** Items of an array and names of an object. */
const ITEM_COUNT_MAX = 32;
/** Characters of one text. */
const TEXT_LENGTH_MAX = 1024;
/** Frames of the stack of an error that is a defect. */
const FRAME_COUNT_MAX = 8;

const SCRUBBED = '[scrubbed]';
/** Texts that look like something secret: our tokens and keys, PEM blocks, bearer headers. */
const SECRET_SHAPES: readonly RegExp[] = [
  /\bcv[a-z]{1,2}[0-9]+-[a-z0-9-]{8,}/gi,
  /-----BEGIN [A-Z ]+-----[\s\S]*?(?:-----END [A-Z ]+-----|$)/g,
  /\b(?:bearer|basic)\s+[a-z0-9+/=._~-]{8,}/gi,
  // 48 letters of base64 are 36 bytes: more than an id or a serial, as much as a key.
  /\b(?=[A-Za-z0-9+/_-]*[A-Z])(?=[A-Za-z0-9+/_-]*[a-z])(?=[A-Za-z0-9+/_-]*[0-9])[A-Za-z0-9+/_-]{48,}={0,2}/g,
];

/** A value that can be written as JSON and holds nothing secret. */
export type SafeValue =
  string | number | boolean | null | SafeValue[] | { [name: string]: SafeValue };

/** `text` without what looks secret, and not longer than a line should be. */
export function scrub(text: string): string {
  // Cut first: the time that a pattern takes must not be the sender's choice.
  let safe = text.slice(0, TEXT_LENGTH_MAX);
  for (const shape of SECRET_SHAPES) safe = safe.replace(shape, SCRUBBED);
  return text.length > TEXT_LENGTH_MAX ? `${safe}...` : safe;
}

function isPlain(value: object): boolean {
  const prototype: unknown = Object.getPrototypeOf(value);
  if (prototype === null) return true;
  // By shape and not by identity: objects of another realm are plain as well.
  return Object.getPrototypeOf(prototype) === null && !('toJSON' in value);
}

function isErrorLike(value: object): value is Error {
  return value instanceof Error || Object.prototype.toString.call(value) === '[object Error]';
}

function framesOf(error: Error): string[] {
  const lines = (error.stack ?? '').split('\n').map((line) => line.trim());
  // Only frames: the head of a stack repeats the message.
  return lines.filter((line) => line.startsWith('at ')).slice(0, FRAME_COUNT_MAX);
}

function isExpectedError(error: Error): boolean {
  return isConclaveError(error) && error.kind !== 'defect';
}

/**
 * An expected failure is told by its code and its causes; frames are for what should not happen.
 * `isExpected` comes from the outermost error: its causes are foreign, and expected all the same.
 */
function errorValue(error: Error, causeCount = 0, isExpected = isExpectedError(error)): SafeValue {
  const { code } = error as { readonly code?: unknown };
  const value: { [name: string]: SafeValue } = {
    code: typeof code === 'string' || typeof code === 'number' ? code : error.name,
    message: scrub(error.message),
  };
  if (!isExpected) value['frames'] = framesOf(error);
  const { cause } = error;
  if (cause !== undefined && causeCount < CAUSE_COUNT_MAX) {
    value['cause'] =
      typeof cause === 'object' && cause !== null && isErrorLike(cause)
        ? errorValue(cause, causeCount + 1, isExpected)
        : `[${typeof cause}]`; // may be anything, a request for example
  }
  return value;
}

function objectValue(value: object, depth: number): SafeValue {
  if (isErrorLike(value)) return errorValue(value);
  if (ArrayBuffer.isView(value) || value instanceof ArrayBuffer)
    return `[${value.byteLength} bytes]`;
  if (depth >= DEPTH_MAX) return '[deep]';
  if (Array.isArray(value)) {
    const items = value.slice(0, ITEM_COUNT_MAX).map((item) => safeValue(item, depth + 1));
    return value.length > ITEM_COUNT_MAX ? [...items, `[${value.length} items]`] : items;
  }
  // Instances know how to show themselves, and may show more than they should.
  if (!isPlain(value))
    return `[${(value as { constructor?: { name?: string } }).constructor?.name ?? 'object'}]`;
  return safeFields(value as Readonly<Record<string, unknown>>, depth + 1);
}

function safeValue(value: unknown, depth: number): SafeValue {
  switch (typeof value) {
    case 'string':
      return scrub(value);
    case 'number':
      return Number.isFinite(value) ? value : String(value);
    case 'boolean':
      return value;
    case 'bigint':
      return String(value);
    case 'object':
      return value === null ? null : objectValue(value, depth);
    default:
      return `[${typeof value}]`;
  }
}

/**
 * The fields that may be written, made harmless: bytes become their count, instances their name,
 * errors their code, message and causes. Names of dropped fields stand in `dropped`, so that a
 * missing one is noticed.
 */
export function safeFields(
  fields: Readonly<Record<string, unknown>>,
  depth = 0,
): { [name: string]: SafeValue } {
  const safe: { [name: string]: SafeValue } = {};
  const dropped: string[] = [];
  for (const [name, value] of Object.entries(fields).slice(0, ITEM_COUNT_MAX)) {
    if (value === undefined) continue;
    if (isSafeField(name)) safe[name] = safeValue(value, depth);
    else dropped.push(scrub(name).slice(0, 64));
  }
  if (dropped.length > 0) safe['dropped'] = dropped;
  return safe;
}
