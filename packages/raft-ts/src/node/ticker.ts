import type { Ticks } from '../index.js';
import type { ResolvedOptions } from './options.js';

/**
 * Turns the clock into ticks.
 *
 * Ticks that were missed, because the event loop was blocked or the machine slept, are made up, but
 * at most one election timeout of them: more would only repeat elections against the same state.
 */
export class Ticker implements Disposable {
  readonly #options: ResolvedOptions;
  readonly #onTicks: (ticks: Ticks) => void;
  readonly #timer: Disposable;
  #lastMs: number;
  #lastCallMs: number;

  /**
   * @param options clock and lengths
   * @param onTicks called with the number of ticks that are due, 1..electionTick
   */
  constructor(options: ResolvedOptions, onTicks: (ticks: Ticks) => void) {
    this.#options = options;
    this.#onTicks = onTicks;
    this.#lastMs = options.clock.now();
    this.#lastCallMs = this.#lastMs;
    this.#timer = options.clock.setInterval(() => {
      this.#run();
    }, options.tickMs);
  }

  /** Ends the ticks. */
  [Symbol.dispose](): void {
    this.#timer[Symbol.dispose]();
  }

  #run(): void {
    const { clock, tickMs, electionTick, onTickDelay } = this.#options;
    const nowMs = clock.now();
    const delayMs = Math.max(0, nowMs - this.#lastCallMs - tickMs);
    this.#lastCallMs = nowMs;
    // A timer may fire a little early; half a tick of tolerance keeps the rate.
    const due = Math.floor((nowMs - this.#lastMs) / tickMs + 0.5);
    if (due > 0) {
      this.#lastMs = due > electionTick ? nowMs : this.#lastMs + due * tickMs;
      this.#onTicks(Math.min(due, electionTick));
    }
    // Last, so that an observer that throws does not stop the time.
    onTickDelay?.(delayMs);
  }
}
