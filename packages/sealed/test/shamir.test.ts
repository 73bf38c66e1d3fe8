import { beforeAll, describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { combineShares, openSealed, splitSecret } from '../src/index.js';
import type { Share } from '../src/index.js';
import { multiply } from '../src/shamir.js';
import { DeterministicRandom } from './deterministic-random.js';
import { bytesOf, secretFrom } from './support.js';

beforeAll(openSealed);

const SECRET = Uint8Array.from({ length: 32 }, (_, place) => 7 * place + 1);

function shares(threshold: number, count: number, seed = 'shares'): readonly Share[] {
  const random = new DeterministicRandom(seed);
  return splitSecret(secretFrom(SECRET), { threshold, count, random });
}

function subsets<T>(items: readonly T[], size: number): T[][] {
  if (size === 0) return [[]];
  return items.flatMap((item, place) =>
    subsets(items.slice(place + 1), size - 1).map((rest) => [item, ...rest]),
  );
}

const CASES = Array.from({ length: 5 }, (_, offset) => offset + 2).flatMap((count) =>
  Array.from({ length: count - 1 }, (_, offset) => [offset + 2, count] as const),
);

// Attack row K07.
describe('shares', () => {
  test.each(CASES)('every %d of %d make the secret, in any order', (threshold, count) => {
    for (const some of subsets(shares(threshold, count), threshold)) {
      expect(bytesOf(combineShares(some))).toEqual(SECRET);
      expect(bytesOf(combineShares(some.toReversed()))).toEqual(SECRET);
    }
  });

  test.each(CASES.filter(([threshold]) => threshold > 2))(
    'one fewer than %d of %d never do',
    (threshold, count) => {
      for (const some of subsets(shares(threshold, count), threshold - 1)) {
        expect(bytesOf(combineShares(some))).not.toEqual(SECRET);
      }
    },
  );

  test('one fewer say nothing: they fit every value of a byte equally well', () => {
    // A missing third share of every possible value gives every possible secret exactly once.
    const [first, second] = shares(3, 3) as [Share, Share, Share];
    const found = new Set<number | undefined>();
    for (let value = 0; value < 256; value += 1) {
      const guess = { index: 3, bytes: secretFrom(new Uint8Array(32).fill(value)) };
      found.add(bytesOf(combineShares([first, second, guess]))[0]);
    }
    expect(found.size).toBe(256);
  });

  test('of random secrets and sizes come together again', () => {
    const sizes = fc.record({
      secret: fc.uint8Array({ minLength: 1, maxLength: 64 }),
      count: fc.integer({ min: 2, max: 255 }),
      part: fc.double({ min: 0, max: 1, noNaN: true }),
      start: fc.nat(),
      seed: fc.string(),
    });
    fc.assert(
      fc.property(sizes, ({ secret, count, part, start, seed }) => {
        const threshold = 2 + Math.floor(part * (count - 2));
        const random = new DeterministicRandom(seed);
        const all = splitSecret(secretFrom(secret), { threshold, count, random });
        const some = all.map((_, place) => all[(place + start) % count] as Share);
        expect(bytesOf(combineShares(some.slice(0, threshold)))).toEqual(secret);
      }),
      { numRuns: 30 },
    );
  });

  test('that repeat, differ in size or are too few are refused', () => {
    const [first, second] = shares(2, 2) as [Share, Share];
    const short = { index: 2, bytes: secretFrom(new Uint8Array(31)) };
    for (const bad of [
      [],
      [first],
      [first, first],
      [first, short],
      [first, { ...second, index: 0 }],
    ]) {
      expect(() => combineShares(bad)).toThrow(
        expect.objectContaining({ code: 'CV_ARGUMENT_INVALID' }),
      );
    }
  });

  test.each([
    [1, 2],
    [3, 2],
    [2, 256],
  ])('%d of %d is no split', (threshold, count) => {
    expect(() => shares(threshold, count)).toThrow(/2 <= k <= n/);
  });
});

describe('the field', () => {
  /** By the definition: polynomials over GF(2), divided by x^8 + x^4 + x^3 + x + 1. */
  function naive(left: number, right: number): number {
    let product = 0;
    for (let bit = 0; bit < 8; bit += 1) if ((right & (1 << bit)) !== 0) product ^= left << bit;
    for (let bit = 14; bit >= 8; bit -= 1) {
      if ((product & (1 << bit)) !== 0) product ^= 0x11b << (bit - 8);
    }
    return product;
  }

  test('multiplies as its definition says, every pair', () => {
    let wrong = 0;
    for (let left = 0; left < 256; left += 1) {
      for (let right = 0; right < 256; right += 1) {
        if (multiply(left, right) !== naive(left, right)) wrong += 1;
      }
    }
    expect(wrong).toBe(0);
  });

  test('knows the product that FIPS 197 gives as its example', () => {
    expect(multiply(0x57, 0x83)).toBe(0xc1);
  });
});
