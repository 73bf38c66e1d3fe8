import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import {
  PAGE_BYTES_MAX,
  PAGE_COUNT_MAX,
  pagesOf,
  weightOfPairs,
  weightOfTexts,
} from '../../src/control/pages.js';

describe('pages', () => {
  test('keep order and limits, and are never empty', () => {
    const weights = fc.array(fc.integer({ min: 0, max: 2 * PAGE_BYTES_MAX }), { maxLength: 600 });
    fc.assert(
      fc.property(fc.oneof(weights, fc.array(fc.constant(1), { maxLength: 900 })), (items) => {
        const pages = [...pagesOf(items, (item) => item)];
        expect(pages.flat()).toEqual(items);
        for (const page of pages) {
          expect(page.length).toBeGreaterThan(0);
          expect(page.length).toBeLessThanOrEqual(PAGE_COUNT_MAX);
          const sum = page.reduce((total, item) => total + item, 0);
          expect(page.length === 1 || sum <= PAGE_BYTES_MAX).toBe(true);
        }
      }),
    );
  });

  test('a text weighs at least its bytes', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'grapheme' }), (text) => {
        const bytes = new TextEncoder().encode(text).length;
        expect(weightOfTexts(text)).toBeGreaterThanOrEqual(bytes);
        expect(weightOfPairs({ [text]: text })).toBeGreaterThanOrEqual(2 * bytes);
      }),
    );
  });
});
