import { describe, expect, test } from '@jest/globals';
import { Prng } from '../../src/sim/index.js';

const draw = (prng: Prng, count: number): number[] =>
  Array.from({ length: count }, () => prng.uint32());

describe('Prng', () => {
  test('the same seed gives the same numbers, another seed others', () => {
    expect(draw(new Prng(7), 20)).toEqual(draw(new Prng(7), 20));
    expect(draw(new Prng(7), 20)).not.toEqual(draw(new Prng(8), 20));
  });

  test('seeds above 2^32 differ from their lower half', () => {
    expect(draw(new Prng(5 + 2 ** 32), 4)).not.toEqual(draw(new Prng(5), 4));
  });

  test('a stream does not depend on what was drawn before, only on seed and label', () => {
    const used = new Prng(3);
    draw(used, 100);
    expect(draw(used.split('disk'), 10)).toEqual(draw(new Prng(3).split('disk'), 10));
    expect(draw(used.split('disk'), 10)).not.toEqual(draw(used.split('network'), 10));
    expect(draw(used.split('disk'), 10)).not.toEqual(draw(new Prng(4).split('disk'), 10));
  });

  test('numbers are spread evenly over a range', () => {
    const prng = new Prng(1);
    const counts = Array.from({ length: 10 }, () => 0);
    for (let i = 0; i < 100_000; i++) counts[prng.below(10)]! += 1;
    for (const count of counts) expect(Math.abs(count - 10_000)).toBeLessThan(500);
  });

  test('streams of neighbouring seeds and labels do not resemble each other', () => {
    const firsts = new Set<number>();
    for (let seed = 0; seed < 200; seed++) {
      for (const label of ['a', 'b', 'path 1', 'path 2']) {
        firsts.add(new Prng(seed).split(label).uint32());
      }
    }
    expect(firsts.size).toBe(800);
  });

  test('between includes both ends, chance knows never and always', () => {
    const prng = new Prng(2);
    const seen = new Set(Array.from({ length: 200 }, () => prng.between(3, 5)));
    expect(seen).toEqual(new Set([3, 4, 5]));
    expect(Array.from({ length: 100 }, () => prng.chance(0)).some(Boolean)).toBe(false);
    expect(Array.from({ length: 100 }, () => prng.chance(1)).every(Boolean)).toBe(true);
  });
});
