import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { compareNatural } from '../src/index.js';
import { SortedNames } from '../src/sorted-names.js';

const name = fc
  .array(fc.constantFrom('a', 'A', 'b', 'Z', '0', '1', '9', '/', '-', '.', '_'), {
    minLength: 1,
    maxLength: 8,
  })
  .map((letters) => letters.join(''));
const sorted = (names: readonly string[]): string[] => [...names].sort(compareNatural);

describe('natural order', () => {
  test('numbers count as numbers, case does not count', () => {
    const names = ['db-10', 'DB-9', 'app/2', 'app/10', 'db-9a', 'app', 'db-010'];
    expect(sorted(names)).toEqual(['app', 'app/2', 'app/10', 'DB-9', 'db-9a', 'db-10', 'db-010']);
  });

  test('runs of digits longer than any number keep their order', () => {
    const long = `v${'9'.repeat(40)}`;
    expect(compareNatural(long, `v1${'0'.repeat(40)}`)).toBeLessThan(0);
  });

  test('is a total order in which only names equal but for case are equal', () => {
    fc.assert(
      fc.property(name, name, name, (a, b, c) => {
        expect(Math.sign(compareNatural(a, b))).toBe(-Math.sign(compareNatural(b, a)) + 0);
        expect(compareNatural(a, b) === 0).toBe(a.toLowerCase() === b.toLowerCase());
        if (compareNatural(a, b) <= 0 && compareNatural(b, c) <= 0) {
          expect(compareNatural(a, c)).toBeLessThanOrEqual(0);
        }
      }),
      { numRuns: 2000 },
    );
  });
});

describe('sorted names', () => {
  const step = fc.record({ name, isAdded: fc.boolean() });

  test('do what a sorted list does', () => {
    fc.assert(
      fc.property(fc.array(step, { maxLength: 200 }), name, (steps, prefix) => {
        const names = new SortedNames<{ name: string }>();
        const model = new Map<string, string>();
        for (const { name: each, isAdded } of steps) {
          const key = each.toLowerCase();
          if (isAdded && !model.has(key)) {
            names.add({ name: each });
            model.set(key, each);
          } else if (!isAdded) {
            names.remove(each);
            model.delete(key);
          }
          expect(names.find(each)?.name).toBe(model.get(key));
        }
        const all = sorted([...model.values()]);
        expect([...names.from('')].map((item) => item.name)).toEqual(all);
        const some = all.filter((each) => each.toLowerCase().startsWith(prefix.toLowerCase()));
        expect([...names.from(prefix)].map((item) => item.name)).toEqual(some);
      }),
      { numRuns: 300 },
    );
  });

  test('many names over many leaves stay in order', () => {
    const names = new SortedNames<{ name: string }>();
    // 7919 is coprime to 5000: every name once, far from in order.
    for (let i = 0; i < 5000; i += 1) names.add({ name: `n${(i * 7919) % 5000}` });
    const numbers = [...names.from('n')].map((item) => Number(item.name.slice(1)));
    expect(numbers).toEqual(Array.from({ length: 5000 }, (_, i) => i));
    for (let i = 0; i < 5000; i += 2) names.remove(`N${i}`);
    expect([...names.from('n')]).toHaveLength(2500);
    expect(names.find('N4999')).toEqual({ name: 'n4999' });
    expect(names.find('n4998')).toBeUndefined();
  });

  test('a reader meets every name that stays, once, while others come and go', () => {
    const names = new SortedNames<{ name: string }>();
    for (let i = 0; i < 2000; i += 1) names.add({ name: `n${i}` });
    const seen: string[] = [];
    for (const { name: each } of names.from('n')) {
      seen.push(each);
      const number = Number(each.slice(1));
      if (number % 3 === 0 && number < 2000) {
        names.remove(each);
        names.remove(`n${number + 1}`);
        names.add({ name: `n${number}x` });
      }
    }
    expect(new Set(seen).size).toBe(seen.length);
    for (let i = 2; i < 2000; i += 3) expect(seen).toContain(`n${i}`);
  });
});
