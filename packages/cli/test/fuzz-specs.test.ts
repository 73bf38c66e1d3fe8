import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { checkTarget, isConclaveError } from '@conclave/kernel';
import { decodeHostile, FUZZ_RUNS } from '@conclave/testing';
import { formatBinding, parseBinding, parseOwner, targetOf } from '../src/spec/binding.js';
import { formatDuration, parseDuration } from '../src/spec/duration.js';

const isRefusal = (error: unknown): boolean =>
  isConclaveError(error) && ['CV_ARGUMENT_INVALID', 'CV_NAME_INVALID'].includes(error.code);

const PIECES = [
  'shop/db',
  'secret=',
  'target=',
  'mode=0400',
  'uid=',
  'version=',
  'on-change=',
  'signal:HUP',
  'exec:a,b',
  ',',
  '=',
  '@',
  ':',
  '../x',
  '-1',
  '99999999999',
  '__proto__',
  '\0',
  '\u{1F600}',
];
const text = fc.oneof(
  fc.array(fc.constantFrom(...PIECES), { maxLength: 6 }).map((parts) => parts.join('')),
  fc.string({ unit: 'binary', maxLength: 60 }),
);

describe('hostile words of a command line', () => {
  test('as a binding are refused, or mean the same when they are written out', () => {
    fc.assert(
      fc.property(text, (typed) => {
        const read = decodeHostile(() => parseBinding('--secret', typed), isRefusal);
        if (read === undefined) return;
        decodeHostile(() => checkTarget(targetOf(read)), isRefusal);
        const again = decodeHostile(() => parseBinding('--secret', formatBinding(read)), isRefusal);
        if (again !== undefined) expect(formatBinding(again)).toBe(formatBinding(read));
      }),
      { numRuns: FUZZ_RUNS },
    );
  });

  test('as an owner are refused, or two numbers', () => {
    fc.assert(
      fc.property(text, (typed) => {
        const read = decodeHostile(() => parseOwner('--owner', typed), isRefusal);
        if (read === undefined) return;
        for (const id of [read.uid, read.gid ?? 0]) expect(Number.isSafeInteger(id)).toBe(true);
      }),
      { numRuns: FUZZ_RUNS },
    );
  });

  test('as a duration are refused, or mean the same when they are written out', () => {
    const words = fc.oneof(
      text,
      fc
        .tuple(fc.integer({ min: -5, max: 2 ** 31 }), fc.constantFrom('ms', 's', 'm', 'h', 'd', ''))
        .map(([count, unit]) => `${count}${unit}`),
    );
    fc.assert(
      fc.property(words, (typed) => {
        const read = decodeHostile(() => parseDuration('--ttl', typed), isRefusal);
        if (read === undefined) return;
        expect(Number.isSafeInteger(read) && read >= 0).toBe(true);
        expect(parseDuration('--ttl', formatDuration(read))).toBe(read);
      }),
      { numRuns: FUZZ_RUNS },
    );
  });
});
