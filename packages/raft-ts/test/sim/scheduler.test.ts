import { describe, expect, test } from '@jest/globals';
import { Prng } from '../../src/sim/index.js';
import { Scheduler } from '../../src/sim/scheduler.js';

describe('Scheduler', () => {
  test('hands out events by time, and in the order of scheduling where times are equal', () => {
    const scheduler = new Scheduler();
    const prng = new Prng(11);
    const expected: { readonly time: number; readonly order: number }[] = [];
    for (let order = 0; order < 2000; order++) {
      const time = prng.below(50);
      scheduler.after(time, 0, order);
      expected.push({ time, order });
    }
    expected.sort((a, b) => a.time - b.time || a.order - b.order);
    const seen: { readonly time: number; readonly order: number }[] = [];
    for (let event = scheduler.next(); event !== undefined; event = scheduler.next()) {
      seen.push({ time: event.time, order: event.target });
      expect(scheduler.now).toBe(event.time);
      scheduler.release(event);
    }
    expect(seen).toEqual(expected);
    expect(scheduler.length).toBe(0);
  });

  test('event objects that are used again carry nothing of before', () => {
    const scheduler = new Scheduler();
    const first = scheduler.after(1, 4, 2);
    first.a = 7;
    first.b = 8;
    scheduler.release(scheduler.next()!);
    const second = scheduler.after(1, 5, 3);
    expect(second).toBe(first);
    expect(second).toMatchObject({ time: 2, kind: 5, target: 3, a: 0, b: 0, message: undefined });
  });

  test('a deferred event comes again later, as it was', () => {
    const scheduler = new Scheduler();
    const event = scheduler.after(1, 4, 2);
    event.a = 7;
    const taken = scheduler.next()!;
    scheduler.defer(taken, 10);
    scheduler.release(taken);
    expect(scheduler.next()).toMatchObject({ time: 10, kind: 4, target: 2, a: 7 });
  });
});
