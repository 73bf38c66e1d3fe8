import type { Clock } from '../../../src/node/index.js';

/** Uniform integers in [0, n), repeatable by seed. */
export function seededRandom(seed: number): (n: number) => number {
  let state = (seed * 2_654_435_769 + 1) >>> 0;
  return (n) => {
    // xorshift32; the state is never 0.
    if (state === 0) state = 1;
    state ^= state << 13;
    state >>>= 0;
    state ^= state >>> 17;
    state ^= state << 5;
    state >>>= 0;
    return Math.floor((state / 2 ** 32) * n);
  };
}

interface SimEvent {
  readonly atMs: number;
  readonly order: number;
  readonly run: () => void;
}

/** Runs everything that can run without the passing of time. */
export function settle(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}

/** Simulated time with events; nothing happens unless `advance` is called. */
export class SimWorld {
  nowMs = 0;
  readonly random: (n: number) => number;
  readonly #events: SimEvent[] = [];
  #order = 0;

  constructor(seed: number) {
    this.random = seededRandom(seed);
  }

  /** Calls `run` in `delayMs`; events of the same moment keep their order. */
  after(delayMs: number, run: () => void): void {
    const event = { atMs: this.nowMs + delayMs, order: this.#order++, run };
    const at = this.#events.findIndex((other) => other.atMs > event.atMs);
    if (at < 0) this.#events.push(event);
    else this.#events.splice(at, 0, event);
  }

  /** Lets time pass, moment by moment. */
  async advance(ms: number): Promise<void> {
    const endMs = this.nowMs + ms;
    await settle();
    for (;;) {
      const next = this.#events[0];
      if (next === undefined || next.atMs > endMs) break;
      this.nowMs = next.atMs;
      while (this.#events[0] !== undefined && this.#events[0].atMs <= this.nowMs) {
        this.#events.shift()!.run();
      }
      await settle();
    }
    this.nowMs = endMs;
  }

  /** Lets time pass until the condition holds. */
  async until(what: string, condition: () => boolean, limitMs = 30_000): Promise<void> {
    const endMs = this.nowMs + limitMs;
    await settle();
    while (!condition()) {
      if (this.nowMs >= endMs) throw new Error(`not within ${limitMs} ms: ${what}`);
      await this.advance(5);
    }
  }

  /** Lets time pass until the promise is settled. */
  async result<T>(promise: Promise<T>, limitMs = 30_000): Promise<T> {
    let isSettled = false;
    const mark = (): void => {
      isSettled = true;
    };
    promise.then(mark, mark);
    await this.until('a promise is settled', () => isSettled, limitMs);
    return promise;
  }
}

/** The clock of one member; it can stand still, as for a process that is stopped. */
export class SimClock implements Clock {
  readonly #world: SimWorld;
  isPaused = false;
  timerCount = 0;

  constructor(world: SimWorld) {
    this.#world = world;
  }

  now(): number {
    return this.#world.nowMs;
  }

  setInterval(f: () => void, ms: number): Disposable {
    let isActive = true;
    this.timerCount += 1;
    const fire = (): void => {
      if (!isActive) return;
      if (!this.isPaused) f();
      this.#world.after(ms, fire);
    };
    this.#world.after(ms, fire);
    return {
      [Symbol.dispose]: () => {
        if (isActive) this.timerCount -= 1;
        isActive = false;
      },
    };
  }
}
