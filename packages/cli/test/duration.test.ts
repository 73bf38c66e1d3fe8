import { expect, test } from '@jest/globals';
import fc from 'fast-check';
import { formatDuration, parseDuration } from '../src/spec/duration.js';

test.each([
  ['0s', 0],
  ['500ms', 500],
  ['5s', 5_000],
  ['1m', 60_000],
  ['2h', 7_200_000],
  ['1d', 86_400_000],
  ['1h30m', 5_400_000],
  ['1m5ms', 60_005],
])('%s', (text, ms) => {
  expect(parseDuration('--ttl', text)).toBe(ms);
});

test.each([
  '',
  '5',
  's',
  '-5s',
  '5 s',
  '1.5s',
  '5S',
  '5sec',
  '1h 30m',
  '9999999999999s',
  '999999999999d',
])('%j is refused, naming the option and not the text', (text) => {
  expect(() => parseDuration('--ttl', text)).toThrow(
    expect.objectContaining({
      code: 'CV_ARGUMENT_INVALID',
      message: '--ttl must be a duration such as 500ms, 5s, 1m, 2h or 1h30m',
    }),
  );
});

test('what is written is read back', () => {
  fc.assert(
    fc.property(fc.integer({ min: 0, max: 10 ** 15 }), (ms) => {
      expect(parseDuration('x', formatDuration(ms))).toBe(ms);
    }),
  );
});
