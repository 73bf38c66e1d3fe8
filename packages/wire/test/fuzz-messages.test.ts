import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { isConclaveError } from '@conclave/kernel';
import {
  DAMAGE_KINDS,
  damaged,
  decodeHostile,
  FUZZ_RUNS,
  LOADED_NAMES,
  pollution,
} from '@conclave/testing';
import { decodeMessage } from '../src/decode.js';
import { encodeMessage } from '../src/encode.js';
import { MESSAGES } from '../src/generated/descriptor.js';
import { createSchema } from '../src/schema.js';
import type { FieldSchema, MessageSchema } from '../src/schema.js';

const schema = createSchema(MESSAGES);
const messages = [...schema.values()];

const damages = fc.array(
  fc.record({
    kind: fc.constantFrom(...DAMAGE_KINDS),
    at: fc.nat(),
    value: fc.integer({ min: 0, max: 255 }),
  }),
  { minLength: 1, maxLength: 4 },
);

const isRefusal = (error: unknown): boolean =>
  isConclaveError(error) && ['CV_PROTOCOL', 'CV_LIMIT_EXCEEDED'].includes(error.code);

/** A message with something in every field, two levels of everything that repeats. */
function full(message: MessageSchema): Record<string, unknown> {
  const values: Record<string, unknown> = {};
  for (const field of message.fields) {
    if (field.group !== undefined && Object.hasOwn(values, field.group)) continue;
    if (field.group !== undefined) values[field.group] = field.name;
    const one = oneOf(field);
    if (field.label === 'map') values[field.name] = { __proto__x: 'y', constructor: 'z' };
    else values[field.name] = field.label === 'repeated' ? [one, one] : one;
  }
  for (const { group } of message.fields) if (group !== undefined) delete values[group];
  return values;
}

function oneOf(field: FieldSchema): unknown {
  if (field.message !== undefined) return full(field.message);
  switch (field.type) {
    case 'string':
      return 'text';
    case 'bytes':
      return Uint8Array.of(1, 2, 3);
    case 'bool':
      return true;
    default:
      return 300;
  }
}

describe('hostile bytes instead of a message', () => {
  test('any bytes, as any message', () => {
    fc.assert(
      fc.property(fc.constantFrom(...messages), fc.uint8Array({ maxLength: 200 }), (of, bytes) => {
        decodeHostile(() => decodeMessage(of, bytes), isRefusal);
      }),
      { numRuns: FUZZ_RUNS },
    );
  });

  // Attack rows V13, V15.
  test('damaged messages are refused, or are messages that encode and decode again', () => {
    fc.assert(
      fc.property(fc.constantFrom(...messages), damages, (of, how) => {
        const bytes = damaged(encodeMessage(of, full(of)), how);
        const value = decodeHostile(() => decodeMessage(of, bytes), isRefusal);
        if (value === undefined) return;
        expect(Object.getPrototypeOf(value)).toBe(Object.prototype);
        // What was authorised is what is used: the meaning survives being written down.
        expect(decodeMessage(of, encodeMessage(of, value))).toEqual(value);
      }),
      { numRuns: FUZZ_RUNS },
    );
  });

  // Attack row M09.
  test('keys of maps that mean something to the engine are keys like any other', () => {
    const pairs = LOADED_NAMES.map((name) => [name, 'polluted'] as const);
    let count = 0;
    for (const of of messages) {
      for (const { label, message, name } of of.fields) {
        if (label !== 'map' || message !== undefined) continue;
        const bytes = encodeMessage(of, { [name]: Object.fromEntries(pairs) });
        const decoded = decodeMessage(of, bytes) as Record<string, object>;
        const map = decoded[name] ?? {};
        expect(Object.entries(map)).toEqual(pairs);
        expect(Object.getPrototypeOf(map)).toBe(Object.prototype);
        count += 1;
      }
    }
    expect(count).toBeGreaterThan(3);
    expect(pollution()).toEqual([]);
    expect(({} as Record<string, unknown>)['polluted']).toBeUndefined();
  });

  test('every message has a whole sample', () => {
    for (const of of messages) {
      expect(() => decodeMessage(of, encodeMessage(of, full(of)))).not.toThrow();
    }
  });
});
