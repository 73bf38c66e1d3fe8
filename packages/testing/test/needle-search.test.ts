import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { NeedleSearch } from '../src/needle-search.js';

describe('a search for many needles', () => {
  test('finds what a search for each of them finds', () => {
    // Few different bytes, so that needles overlap each other and themselves.
    const bytes = (sizes: fc.ArrayConstraints): fc.Arbitrary<Buffer> =>
      fc.array(fc.integer({ min: 0, max: 2 }), sizes).map((list) => Buffer.from(list));
    fc.assert(
      fc.property(
        fc.array(bytes({ minLength: 2, maxLength: 7 }), { minLength: 1, maxLength: 6 }),
        bytes({ maxLength: 80 }),
        (needles, content) => {
          const wanted = needles.map((needle) => content.indexOf(needle));
          const found = needles.map(() => -1);
          for (const { needle, offset } of new NeedleSearch(needles).find(content)) {
            found[needle] = offset;
          }
          expect(found).toEqual(wanted);
        },
      ),
    );
  });

  test('takes needles that are longer than a window can be', () => {
    const needle = Buffer.alloc(1_000, 'long needle ');
    const content = Buffer.concat([Buffer.alloc(5_000, 1), needle, Buffer.alloc(10)]);
    expect(new NeedleSearch([needle]).find(content)).toEqual([{ needle: 0, offset: 5_000 }]);
  });

  test('refuses a needle that would be everywhere', () => {
    expect(() => new NeedleSearch([Buffer.from('x')])).toThrow('two bytes');
  });
});
