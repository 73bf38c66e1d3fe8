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

/** Bytes drawn from the system at a time: one call costs as much as half a seal of 1 KiB. */
const POOL_BYTES = 8 * 1024;
const pool = Buffer.alloc(POOL_BYTES);
let poolOffset = POOL_BYTES;

/** The randomness of the operating system; a failure throws and ends the process. */
export const SYSTEM_RANDOM: Random = {
  bytes(count) {
    // Over an ArrayBuffer of its own: small typed arrays would lie inside the JavaScript heap.
    const bytes = new Uint8Array(new ArrayBuffer(count));
    if (count > POOL_BYTES / 8) return randomFillSync(bytes);
    if (poolOffset + count > POOL_BYTES) {
      randomFillSync(pool);
      poolOffset = 0;
    }
    const drawn = pool.subarray(poolOffset, poolOffset + count);
    bytes.set(drawn);
    // What was given out may be a key: it stays nowhere else.
    drawn.fill(0);
    poolOffset += count;
    return bytes;
  },
  below: (limit) => (limit <= 2 ** 48 - 1 ? randomInt(limit) : belowWide(limit)),
};

function belowWide(limit: number): number {
  const reach = Math.floor(2 ** 52 / limit) * limit;
  for (;;) {
    const draw = randomInt(2 ** 26) * 2 ** 26 + randomInt(2 ** 26);
    if (draw < reach) return draw % limit;
  }
}
