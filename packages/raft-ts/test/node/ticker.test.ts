import { describe, expect, test } from '@jest/globals';
import { resolveOptions } from '../../src/node/options.js';
import type { NodeOptions } from '../../src/node/options.js';
import { Ticker } from '../../src/node/ticker.js';

/** A clock whose timer fires only by hand, at any time. */
function setup() {
  const clock = {
    nowMs: 1_000,
    fire: (): void => undefined,
    isDisposed: false,
    now: () => clock.nowMs,
    setInterval: (f: () => void) => {
      clock.fire = f;
      return { [Symbol.dispose]: () => void (clock.isDisposed = true) };
    },
  };
  const ticks: number[] = [];
  const delays: number[] = [];
  const options = resolveOptions({
    clock,
    onTickDelay: (ms: number) => delays.push(ms),
  } as unknown as NodeOptions);
  const ticker = new Ticker(options, (count) => ticks.push(count));
  const fireAfter = (ms: number): void => {
    clock.nowMs += ms;
    clock.fire();
  };
  return { ticker, clock, ticks, delays, fireAfter };
}

describe('ticks', () => {
  test('one per interval', () => {
    const { ticks, fireAfter } = setup();
    for (let i = 0; i < 5; i++) fireAfter(100);
    expect(ticks).toEqual([1, 1, 1, 1, 1]);
  });

  test('the rate holds when the timer is inexact', () => {
    const { ticks, fireAfter } = setup();
    let elapsedMs = 0;
    for (let i = 0; i < 1_000; i++) {
      const ms = 60 + ((i * 37) % 90);
      elapsedMs += ms;
      fireAfter(ms);
    }
    const total = ticks.reduce((sum, count) => sum + count, 0);
    expect(Math.abs(total - elapsedMs / 100)).toBeLessThanOrEqual(1);
  });

  test('missed ticks are made up', () => {
    const { ticks, fireAfter } = setup();
    fireAfter(400);
    expect(ticks).toEqual([4]);
  });

  test('at most one election timeout of missed ticks is made up, once', () => {
    const { ticks, fireAfter } = setup();
    fireAfter(3_600_000);
    fireAfter(100);
    fireAfter(100);
    expect(ticks).toEqual([10, 1, 1]);
  });

  test('the delay of the event loop is reported', () => {
    const { delays, fireAfter } = setup();
    fireAfter(100);
    fireAfter(350);
    fireAfter(90);
    expect(delays).toEqual([0, 250, 0]);
  });

  test('disposing ends the timer', () => {
    const { ticker, clock } = setup();
    ticker[Symbol.dispose]();
    expect(clock.isDisposed).toBe(true);
  });
});

describe('options', () => {
  const base = {} as unknown as NodeOptions;

  test('limits must be positive integers', () => {
    expect(() => resolveOptions({ ...base, limits: { snapshotEntries: 0 } })).toThrow(
      expect.objectContaining({ code: 'OPTIONS' }),
    );
    expect(() => resolveOptions({ ...base, limits: { writeSizeMax: Number.NaN } })).toThrow(
      expect.objectContaining({ code: 'OPTIONS' }),
    );
    expect(resolveOptions({ ...base, limits: { keepEntries: 0 } }).limits.keepEntries).toBe(0);
  });

  test('a member that is not among the first ones must not bootstrap', () => {
    const options = { ...base, id: 4, bootstrap: [{ id: 1 }, { id: 2 }] };
    expect(() => resolveOptions(options)).toThrow(expect.objectContaining({ code: 'OPTIONS' }));
    expect(resolveOptions({ ...options, id: 2 }).bootstrap).toHaveLength(2);
  });

  test.each([0, -1, Number.NaN])('a tick of %p ms is refused', (tickMs) => {
    expect(() => resolveOptions({ ...base, tickMs })).toThrow(
      expect.objectContaining({ code: 'OPTIONS' }),
    );
  });

  test('a limit given as undefined keeps its default', () => {
    const limits = { readsPendingMax: undefined } as unknown as { readsPendingMax: number };
    expect(resolveOptions({ ...base, limits }).limits.readsPendingMax).toBe(8192);
  });
});
