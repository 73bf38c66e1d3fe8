import { describe, expect, test } from '@jest/globals';
import { checkSecretPattern, isCovered } from '../src/index.js';

describe('patterns of secret names', () => {
  test.each(['*', 'db', 'shop/db', 'shop/*', 'a/b.c/*'])('%p is one', (pattern) => {
    expect(() => checkSecretPattern(pattern)).not.toThrow();
  });

  test.each(['', '**', '*/db', 'sh*p', 'shop*', '/*', 'shop//*', 'shop/*/db', '-x'])(
    '%p is none',
    (pattern) => {
      expect(() => checkSecretPattern(pattern)).toThrow(
        expect.objectContaining({
          code: expect.stringMatching(/^CV_(?:ARGUMENT|NAME)_INVALID$/) as unknown,
        }),
      );
    },
  );

  test.each<[string, string, boolean]>([
    ['shop/db', '*', true],
    ['shop/db', 'shop/db', true],
    ['Shop/DB', 'shop/db', true],
    ['shop/db', 'shop/*', true],
    ['shop/a/b', 'shop/*', true],
    ['shop', 'shop/*', false],
    ['shop/', 'shop/*', false],
    ['shopping/db', 'shop/*', false],
    ['shop/db2', 'shop/db', false],
    ['other/shop/db', 'shop/*', false],
  ])('%p under %p: %p', (name, pattern, isIt) => {
    expect(isCovered(name, pattern)).toBe(isIt);
  });
});
