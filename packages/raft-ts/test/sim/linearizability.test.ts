import { describe, expect, test } from '@jest/globals';
import type { HistoryOperation } from '../../src/sim/index.js';
import { checkLinearizable, Prng } from '../../src/sim/index.js';

const OPEN = Number.POSITIVE_INFINITY;

const write = (value: number, from: number, to: number): HistoryOperation => ({
  kind: 'write',
  value,
  expected: 0,
  result: true,
  invokedAt: from,
  returnedAt: to,
});
const read = (result: number, from: number, to: number): HistoryOperation => ({
  kind: 'read',
  value: 0,
  expected: 0,
  result,
  invokedAt: from,
  returnedAt: to,
});
const swap = (
  [expected, value]: readonly [number, number],
  result: boolean,
  ...[from, to]: [number, number]
): HistoryOperation => ({ kind: 'swap', value, expected, result, invokedAt: from, returnedAt: to });

describe('histories that have an explanation', () => {
  test.each<[string, readonly HistoryOperation[]]>([
    ['nothing', []],
    ['a read of the start', [read(0, 1, 2)]],
    ['one after the other', [write(1, 0, 1), read(1, 2, 3), write(2, 4, 5), read(2, 6, 7)]],
    ['a read during a write sees the old value', [write(1, 0, 10), read(0, 2, 3)]],
    ['a read during a write sees the new value', [write(1, 0, 10), read(1, 2, 3)]],
    [
      'writes at the same time in either order',
      [write(1, 0, 10), write(2, 0, 10), read(1, 11, 12)],
    ],
    ['an open write that took effect late', [write(1, 0, OPEN), read(0, 5, 6), read(1, 8, 9)]],
    ['an open write that never took effect', [write(1, 0, OPEN), read(0, 5, 6), read(0, 8, 9)]],
    ['swaps in a row', [swap([0, 1], true, 0, 1), swap([1, 2], true, 2, 3), read(2, 4, 5)]],
    ['a swap that fails', [write(1, 0, 1), swap([0, 2], false, 2, 3), read(1, 4, 5)]],
    ['an open swap that took effect', [swap([0, 1], true, 0, OPEN), read(1, 5, 6)]],
    ['an open swap that failed', [write(3, 0, 1), swap([0, 1], true, 0, OPEN), read(3, 5, 6)]],
  ])('%s', (_name, history) => {
    expect(checkLinearizable(history)).toBe('linearizable');
  });
});

describe('histories without an explanation', () => {
  test.each<[string, readonly HistoryOperation[]]>([
    ['a value nobody wrote', [read(7, 0, 1)]],
    ['a read after a write sees the old value', [write(1, 0, 1), read(0, 2, 3)]],
    ['a read goes back', [write(1, 0, 10), read(1, 2, 3), read(0, 4, 5)]],
    ['a lost write', [write(1, 0, 1), write(2, 2, 3), read(1, 4, 5)]],
    ['a value before it is written', [read(1, 0, 1), write(1, 2, 3)]],
    ['two swaps from the same value', [swap([0, 1], true, 0, 9), swap([0, 2], true, 0, 9)]],
    ['a swap that fails without a reason', [swap([0, 1], false, 0, 1)]],
    ['a swap that succeeds without a reason', [write(1, 0, 1), swap([0, 2], true, 2, 3)]],
    ['an open write seen and gone', [write(1, 0, OPEN), read(1, 2, 3), read(0, 4, 5)]],
    [
      'two readers see two orders',
      [write(1, 0, 1), write(2, 2, 20), read(2, 3, 4), read(1, 5, 6), read(2, 7, 8)],
    ],
  ])('%s', (_name, history) => {
    expect(checkLinearizable(history)).toBe('violated');
  });
});

describe('against brute force', () => {
  /** Tries all orders that respect time, with every choice for open operations. */
  const isExplained = (rest: readonly HistoryOperation[], value: number): boolean => {
    if (rest.every(({ returnedAt }) => returnedAt === OPEN)) return true;
    const firstReturn = Math.min(...rest.map(({ returnedAt }) => returnedAt));
    return rest.some((operation) => {
      if (operation.invokedAt > firstReturn) return false;
      const others = rest.filter((other) => other !== operation);
      const isOpen = operation.returnedAt === OPEN;
      if (operation.kind === 'write') return isExplained(others, operation.value);
      if (operation.kind === 'read') {
        return (isOpen || operation.result === value) && isExplained(others, value);
      }
      const hits = operation.expected === value;
      if (!isOpen && hits !== operation.result) return false;
      return isExplained(others, hits ? operation.value : value);
    });
  };

  const randomHistory = (prng: Prng): HistoryOperation[] =>
    Array.from({ length: prng.between(1, 6) }, () => {
      const from = prng.below(12);
      const to = prng.chance(0.2) ? OPEN : from + prng.below(8);
      const small = (): number => prng.below(3);
      switch (prng.below(3)) {
        case 0:
          return write(small(), from, to);
        case 1:
          return read(small(), from, to);
        default:
          return swap([small(), small()], prng.chance(0.5), from, to);
      }
    });

  test('3000 small random histories get the same verdict', () => {
    const prng = new Prng(42);
    const verdicts = { linearizable: 0, violated: 0, undecided: 0 };
    for (let i = 0; i < 3000; i++) {
      const history = randomHistory(prng);
      const verdict = checkLinearizable(history);
      verdicts[verdict]++;
      const expected = isExplained(history, 0) ? 'linearizable' : 'violated';
      if (verdict !== expected) throw new Error(`${verdict}: ${JSON.stringify(history)}`);
    }
    expect(verdicts.linearizable).toBeGreaterThan(300);
    expect(verdicts.violated).toBeGreaterThan(300);
    expect(verdicts.undecided).toBe(0);
  });
});

describe('bounds', () => {
  test('a long history of overlapping operations is decided', () => {
    const history: HistoryOperation[] = [];
    for (let i = 0; i < 150; i++)
      history.push(write(i + 1, i * 10, i * 10 + 25), read(i + 1, i * 10 + 26, i * 10 + 27));
    expect(checkLinearizable(history.slice(0, 2))).toBe('linearizable');
    expect(['linearizable', 'violated']).toContain(checkLinearizable(history));
  });

  test('a search that takes too long is given up', () => {
    const history = Array.from({ length: 30 }, (_, i) => write(i + 1, 0, 100));
    expect(checkLinearizable([...history, read(99, 101, 102)], { stepsMax: 1000 })).toBe(
      'undecided',
    );
  });
});
