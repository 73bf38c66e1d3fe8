import type { Rate } from './gate-rates.js';

/** Tokens that come back with time; full at first. Times are monotonic milliseconds. */
export class Bucket {
  readonly #rate: Rate;
  #tokens: number;
  #refilledAt: number;

  constructor(rate: Rate, now: number) {
    this.#rate = rate;
    this.#tokens = rate.burst;
    this.#refilledAt = now;
  }

  /** True when there was one to take. */
  take(now: number): boolean {
    const gained = ((now - this.#refilledAt) / 1_000) * this.#rate.perSecond;
    this.#tokens = Math.min(this.#rate.burst, this.#tokens + gained);
    this.#refilledAt = now;
    if (this.#tokens < 1) return false;
    this.#tokens -= 1;
    return true;
  }
}
