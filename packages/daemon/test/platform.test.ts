import { describe, expect, test } from '@jest/globals';
import { SYSTEM_CLOCK, SYSTEM_RANDOM } from '../src/platform.js';

describe('the randomness of the daemon', () => {
  test('bytes have a buffer of their own and never repeat', () => {
    const seen = new Set<string>();
    for (let draw = 0; draw < 2_000; draw += 1) {
      const bytes = SYSTEM_RANDOM.bytes(16);
      expect(bytes.byteLength).toBe(bytes.buffer.byteLength);
      seen.add(Buffer.from(bytes).toString('hex'));
    }
    expect(seen.size).toBe(2_000);
    expect(SYSTEM_RANDOM.bytes(0)).toHaveLength(0);
    expect(SYSTEM_RANDOM.bytes(65_536)).toHaveLength(65_536);
  });

  test('integers stay below their limit, also beyond 48 bits', () => {
    for (const limit of [1, 2, 10, 2 ** 32, 2 ** 52]) {
      for (let draw = 0; draw < 50; draw += 1) {
        const value = SYSTEM_RANDOM.below(limit);
        expect(Number.isSafeInteger(value) && value >= 0 && value < limit).toBe(true);
      }
    }
  });

  test('the monotonic clock does not go back', () => {
    const first = SYSTEM_CLOCK.monotonic();
    expect(SYSTEM_CLOCK.monotonic()).toBeGreaterThanOrEqual(first);
  });
});
