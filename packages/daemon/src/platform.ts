import { randomFillSync, randomInt } from 'node:crypto';
import type { Clock, Random, TimerHandle, Timers } from '@conclave/kernel';

/** The clock of this host. */
export const SYSTEM_CLOCK: Clock = {
  now: () => Date.now(),
  monotonic: () => performance.now(),
};

/** The timers of the event loop. They keep the process alive until cancelled. */
export const SYSTEM_TIMERS: Timers = {
  after(delayMs, callback): TimerHandle {
    const timer = setTimeout(callback, delayMs);
    return { cancel: () => clearTimeout(timer) };
  },
  every(periodMs, callback): TimerHandle {
    const timer = setInterval(callback, periodMs);
    return { cancel: () => clearInterval(timer) };
  },
};

/** The randomness of the operating system; a failure throws and ends the process. */
export const SYSTEM_RANDOM: Random = {
  // Over an ArrayBuffer of its own: small typed arrays would lie inside the JavaScript heap.
  bytes: (count) => randomFillSync(new Uint8Array(new ArrayBuffer(count))),
  below: (limit) => (limit <= 2 ** 48 - 1 ? randomInt(limit) : belowWide(limit)),
};

function belowWide(limit: number): number {
  const reach = Math.floor(2 ** 52 / limit) * limit;
  for (;;) {
    const draw = randomInt(2 ** 26) * 2 ** 26 + randomInt(2 ** 26);
    if (draw < reach) return draw % limit;
  }
}
