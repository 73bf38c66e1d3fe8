import { describe, expect, test } from '@jest/globals';
import { eventually, holds } from '../src/index.js';

describe('eventually', () => {
  test('looks again after failures and answers the first value', async () => {
    let looks = 0;
    const value = await eventually('three looks', () => {
      looks += 1;
      if (looks === 1) throw new Error('not yet');
      return looks === 3 ? 'seen' : undefined;
    });
    expect({ value, looks }).toEqual({ value: 'seen', looks: 3 });
  });

  test('names what did not come and the last failure', async () => {
    const never = eventually('the impossible', () => Promise.reject(new Error('still not')), 0);
    await expect(never).rejects.toThrow('not within 0 ms: the impossible: still not');
  });
});

describe('holds', () => {
  test('lets the first failure through, at once', async () => {
    let looks = 0;
    const broken = holds(60_000, () => {
      looks += 1;
      if (looks === 2) throw new Error('it happened');
    });
    await expect(broken).rejects.toThrow('it happened');
    expect(looks).toBe(2);
  });

  test('looks at the beginning and when the time is over', async () => {
    const startedAt = performance.now();
    const looks: number[] = [];
    await holds(30, async () => void looks.push(performance.now() - startedAt));
    expect(looks.length).toBeGreaterThanOrEqual(2);
    expect(looks.at(-1)).toBeGreaterThanOrEqual(30);
  });
});
