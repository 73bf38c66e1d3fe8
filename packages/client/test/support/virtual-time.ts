import { setImmediate } from 'node:timers/promises';
import type { Clock, TimerHandle, Timers } from '@conclave/kernel';

interface Due {
  readonly atMs: number;
  readonly callback: () => void;
}

/** A clock that stands still until `finish` moves it from timer to timer. */
export class VirtualTime implements Clock, Timers {
  nowMs = 0;
  readonly #due = new Set<Due>();

  now(): number {
    return 1_000_000 + this.nowMs;
  }

  monotonic(): number {
    return this.nowMs;
  }

  after(delayMs: number, callback: () => void): TimerHandle {
    const due = { atMs: this.nowMs + delayMs, callback };
    this.#due.add(due);
    return { cancel: () => this.#due.delete(due) };
  }

  every(): TimerHandle {
    throw new Error('the client uses no periodic timer');
  }

  get timerCount(): number {
    return this.#due.size;
  }

  /** Lets everything run that is ready now. */
  async settle(): Promise<void> {
    for (let round = 0; round < 5; round += 1) await setImmediate();
  }

  /** Runs the earliest timer; false when there is none. */
  step(): boolean {
    const next = [...this.#due].toSorted((left, right) => left.atMs - right.atMs)[0];
    if (next === undefined) return false;
    this.#due.delete(next);
    this.nowMs = Math.max(this.nowMs, next.atMs);
    next.callback();
    return true;
  }

  /** Moves time on until `work` is settled. */
  async finish<T>(work: Promise<T>): Promise<T> {
    let isSettled = false;
    const mark = (): void => {
      isSettled = true;
    };
    work.then(mark, mark);
    for (;;) {
      await this.settle();
      if (isSettled) return await work;
      if (!this.step()) throw new Error('nothing is left to wait for');
    }
  }
}
