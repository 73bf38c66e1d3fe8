import { beforeAll, describe, expect, test } from '@jest/globals';
import { openSealed } from '@conclave/sealed';
import type { Entry } from 'raft-ts';
import { StateMarks } from '../../src/consensus/state-marks.js';

const entry = (index: number, text = `c${index}`, term = 1): Entry => ({
  type: 'EntryNormal',
  term,
  index,
  data: new TextEncoder().encode(text),
});

/** Marks of a manager that applied these commands; the digest of the tables is `digest`. */
function marksOf(entries: readonly Entry[], digest = 'same'): StateMarks {
  const marks = new StateMarks();
  for (const one of entries) marks.add(one, digest);
  return marks;
}

const upTo = (count: number): Entry[] =>
  Array.from({ length: count }, (_none, place) => entry(place + 1));

beforeAll(async () => {
  await openSealed();
});

describe('marks of two managers', () => {
  test('are equal at each index when they applied the same', () => {
    const [ahead, behind] = [marksOf(upTo(9)), marksOf(upTo(4))];
    expect(ahead.isOther(behind.newest)).toBe(false);
    expect(ahead.at(4)).toEqual(behind.newest);
    expect(behind.isOther(ahead.newest)).toBeUndefined();
    expect(behind.isOther(ahead.at(2) ?? ahead.newest)).toBe(false);
  });

  test.each([
    ['another command', [entry(1), entry(2, 'other'), entry(3)]],
    ['another term', [entry(1), entry(2, 'c2', 2), entry(3)]],
    ['a command too few', [entry(1), entry(3)]],
  ])('differ from then on after %s', (what, entries) => {
    const marks = marksOf(upTo(3));
    const other = marksOf([...entries, ...upTo(5).slice(3)]);
    const well = marksOf([...upTo(5)]);
    expect([what, well.isOther(other.newest)]).toEqual([what, true]);
    expect(other.isOther(marks.newest)).toBe(true);
  });

  test('differ when only the tables do', () => {
    expect(marksOf(upTo(3), 'a').isOther(marksOf(upTo(3), 'b').newest)).toBe(true);
  });

  test('say nothing before the first command, and of what was forgotten', () => {
    expect(marksOf(upTo(3)).isOther(new StateMarks().newest)).toBeUndefined();
    expect(marksOf([]).isOther(marksOf(upTo(3)).newest)).toBeUndefined();
    const long = marksOf(upTo(20_000));
    expect(long.at(3)).toBeUndefined();
    expect(long.isOther(marksOf(upTo(3)).newest)).toBeUndefined();
    expect(long.at(16_000)?.index).toBe(16_000);
  });

  test('go on from a snapshot as if all of it had been applied', () => {
    const whole = marksOf(upTo(6));
    const restored = new StateMarks();
    restored.restart(marksOf(upTo(4)).newest);
    restored.add(entry(5), 'same');
    restored.add(entry(6), 'same');
    expect(restored.newest).toEqual(whole.newest);
    expect(restored.isOther(whole.newest)).toBe(false);
    expect(restored.at(3)).toBeUndefined();
  });
});
