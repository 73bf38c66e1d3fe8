import { expect, test } from '@jest/globals';
import fc from 'fast-check';

import { paddedSizeOf } from '../src/index.js';

test.each([
  [0, 64],
  [63, 64],
  [64, 256],
  [255, 256],
  [256, 1024],
  [1023, 1024],
  [1024, 1152],
  [1151, 1152],
  [1152, 1280],
  [2047, 2048],
  [2048, 2304],
  [1_048_575, 1_048_576],
  [1_048_576, 1_179_648],
])('%i bytes become %i', (size, padded) => {
  expect(paddedSizeOf(size)).toBe(padded);
});

// Attack row K15.
test('padding adds at least one byte and at most an eighth above 1 KiB, and never shrinks', () => {
  fc.assert(
    fc.property(fc.nat({ max: 9_000_000 }), (size) => {
      const padded = paddedSizeOf(size);
      expect(padded).toBeGreaterThan(size);
      if (size >= 1024) expect(padded).toBeLessThanOrEqual((size + 1) * 1.125);
      expect(paddedSizeOf(size + 1)).toBeGreaterThanOrEqual(padded);
      expect(paddedSizeOf(padded - 1)).toBe(padded);
    }),
    { numRuns: 1000 },
  );
});
