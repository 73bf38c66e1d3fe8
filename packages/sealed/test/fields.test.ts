import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';

import { encodeFields } from '../src/index.js';
import type { Field } from '../src/index.js';
import { fromHex } from './support.js';

const field = fc.oneof(fc.string({ unit: 'grapheme' }), fc.maxSafeNat(), fc.uint8Array());
const kindOf = (value: Field): string => (value instanceof Uint8Array ? 'bytes' : typeof value);

describe('encodeFields', () => {
  test('lengths, numbers and text', () => {
    const encoded = encodeFields(['é', 2 ** 53 - 1, Uint8Array.of(7), '']);
    const expected = '00000002c3a9' + '00000008001fffffffffffff' + '0000000107' + '00000000';
    expect(encoded).toEqual(fromHex(expected));
  });

  test('text with ASCII in front of other letters', () => {
    const text = 'abc✓def';
    const encoded = encodeFields([text]);
    expect(Buffer.from(encoded.subarray(4)).toString('utf8')).toBe(text);
  });

  test.each([-1, 0.5, 2 ** 53, Number.NaN])('refuses the number %p', (value) => {
    expect(() => encodeFields([value])).toThrow('whole number');
  });

  test('different tuples of the same kinds have different encodings', () => {
    const pairs = fc
      .array(field, { maxLength: 5 })
      .chain((left) =>
        fc.tuple(
          fc.constant(left),
          fc.tuple(
            ...left.map((value) => field.filter((other) => kindOf(other) === kindOf(value))),
          ),
        ),
      );
    fc.assert(
      fc.property(pairs, ([left, right]) => {
        const isSameInput = left.every((value, offset) =>
          Buffer.from(encodeFields([value])).equals(encodeFields([right[offset] ?? ''])),
        );
        const isSameOutput = Buffer.from(encodeFields(left)).equals(encodeFields(right));
        expect(isSameOutput).toBe(isSameInput);
      }),
      { numRuns: 300 },
    );
  });

  test('bytes cannot move from one field to the next', () => {
    fc.assert(
      fc.property(fc.uint8Array({ minLength: 1 }), fc.nat(), fc.nat(), (bytes, first, second) => {
        const [left, right] = [first % (bytes.length + 1), second % (bytes.length + 1)];
        const split = (at: number): Uint8Array =>
          encodeFields([bytes.subarray(0, at), bytes.subarray(at)]);
        expect(Buffer.from(split(left)).equals(split(right))).toBe(left === right);
      }),
    );
  });
});
