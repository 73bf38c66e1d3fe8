import { describe, expect, test } from '@jest/globals';
import { HandshakeQueue } from '../src/handshake-queue.js';
import * as limits from '../src/limits.js';
import { ManualTimers } from './fixture.js';

function queueOf(handshakeCountMax: number, waitingCountMax: number) {
  const timers = new ManualTimers();
  const started: number[] = [];
  const rules = { ...limits.ACCEPT_RULES.lanes.new, handshakeCountMax, waitingCountMax };
  const queue = new HandshakeQueue<number>(rules, timers, (item) => started.push(item));
  return { queue, started, timers };
}

describe('handshakes', () => {
  test('go on a few at a time, in order, and no more wait than may', () => {
    const { queue, started } = queueOf(2, 3);
    expect([1, 2, 3, 4, 5, 6].map((item) => queue.add(item))).toEqual([
      true,
      true,
      true,
      true,
      true,
      false,
    ]);
    expect(started).toEqual([1, 2]);
    queue.end(2);
    queue.end(4); // gave up while it waited
    expect(started).toEqual([1, 2, 3]);
    queue.end(1);
    queue.end(1);
    expect(started).toEqual([1, 2, 3, 5]);
  });

  test('that do not go on make way', () => {
    const { queue, started, timers } = queueOf(1, 9);
    for (const item of [1, 2, 3]) queue.add(item);
    timers.advance(limits.HANDSHAKE_TURN_MS);
    expect(started).toEqual([1, 2]);
    // Its late end takes nobody else's turn away.
    queue.end(1);
    expect(started).toEqual([1, 2]);
    queue.end(2);
    expect(started).toEqual([1, 2, 3]);
    queue.end(3);
    expect(timers.count).toBe(0);
  });
});
