import type { Clock, Random, Timers } from '@conclave/kernel';

/** A clock that stands still until it is told to go on, and its timers. */
export class ManualTime implements Clock, Timers {
  #nowMs = 1_000_000;
  #next = 1;
  readonly #timers = new Map<number, { atMs: number; run: () => void }>();

  now(): number {
    return this.#nowMs;
  }

  monotonic(): number {
    return this.#nowMs;
  }

  after(delayMs: number, callback: () => void): { cancel: () => void } {
    const id = this.#next;
    this.#next += 1;
    this.#timers.set(id, {
      atMs: this.#nowMs + delayMs,
      run: () => {
        this.#timers.delete(id);
        callback();
      },
    });
    return { cancel: () => void this.#timers.delete(id) };
  }

  every(periodMs: number, callback: () => void): { cancel: () => void } {
    let isCancelled = false;
    let timer = { cancel: (): void => undefined };
    const arm = (): void => {
      timer = this.after(periodMs, () => {
        callback();
        if (!isCancelled) arm();
      });
    };
    arm();
    return {
      cancel: () => {
        isCancelled = true;
        timer.cancel();
      },
    };
  }

  /** Goes on by `ms`, running what is due on the way. */
  advance(ms: number): void {
    const untilMs = this.#nowMs + ms;
    for (;;) {
      const due = [...this.#timers.values()]
        .filter(({ atMs }) => atMs <= untilMs)
        .toSorted((left, right) => left.atMs - right.atMs)[0];
      if (due === undefined) break;
      this.#nowMs = Math.max(this.#nowMs, due.atMs);
      due.run();
    }
    this.#nowMs = untilMs;
  }

  /** Lets promises and, step by step, time go on until `probe` answers something. */
  async until<T>(what: string, probe: () => T | undefined | false): Promise<T> {
    for (let round = 0; round < 2_000; round += 1) {
      const found = probe();
      if (found !== undefined && found !== false) return found;
      await this.settle();
      this.advance(5);
    }
    throw new Error(`did not happen: ${what}`);
  }

  /** Lets promises go on; time stands still. */
  async settle(): Promise<void> {
    for (let round = 0; round < 5; round += 1) await new Promise(setImmediate);
  }
}

/** The same numbers each time. Not for anything secret. */
export function seededRandom(seed = 1): Random {
  let state = seed >>> 0;
  const next = (): number => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return state >>> 8;
  };
  return {
    bytes: (count) => Uint8Array.from({ length: count }, () => next() >>> 16),
    below: (limit) => next() % limit,
  };
}
