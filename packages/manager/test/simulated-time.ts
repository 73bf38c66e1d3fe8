import type { Clock, TimerHandle, Timers } from '@conclave/kernel';

interface Timer {
  readonly id: number;
  atMs: number;
  readonly periodMs: number | undefined;
  readonly callback: () => void;
}

/** Time that stands still until a test moves it. */
export class SimulatedTime implements Clock, Timers {
  #nowMs: number;
  #timers: Timer[] = [];
  #nextId = 1;

  constructor(startMs = 1_700_000_000_000) {
    this.#nowMs = startMs;
  }

  now(): number {
    return this.#nowMs;
  }

  monotonic(): number {
    return this.#nowMs;
  }

  after(delayMs: number, callback: () => void): TimerHandle {
    return this.#set(delayMs, undefined, callback);
  }

  every(periodMs: number, callback: () => void): TimerHandle {
    return this.#set(periodMs, periodMs, callback);
  }

  /** Moves on by `byMs`, firing timers in order; `settle` runs after each. */
  async advance(byMs: number, settle: () => Promise<void>): Promise<void> {
    const endMs = this.#nowMs + byMs;
    await settle();
    for (let next = this.#due(endMs); next !== undefined; next = this.#due(endMs)) {
      this.#nowMs = Math.max(this.#nowMs, next.atMs);
      if (next.periodMs === undefined) this.#timers = this.#timers.filter((t) => t !== next);
      else next.atMs += next.periodMs;
      next.callback();
      await settle();
    }
    this.#nowMs = endMs;
    await settle();
  }

  /** Time that passes while the process stands still: timers are late. */
  jump(byMs: number): void {
    this.#nowMs += byMs;
  }

  #due(endMs: number): Timer | undefined {
    const due = this.#timers.filter((timer) => timer.atMs <= endMs);
    return due.toSorted((left, right) => left.atMs - right.atMs || left.id - right.id)[0];
  }

  #set(delayMs: number, periodMs: number | undefined, callback: () => void): TimerHandle {
    const timer = { id: this.#nextId, atMs: this.#nowMs + delayMs, periodMs, callback };
    this.#nextId += 1;
    this.#timers.push(timer);
    return {
      cancel: () => {
        this.#timers = this.#timers.filter((other) => other !== timer);
      },
    };
  }
}
