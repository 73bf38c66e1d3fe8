import { delay } from '@conclave/kernel';
import type { CancelSignal, Clock, Timers } from '@conclave/kernel';
import { REPORT_PACE_MS, REPORTS_BURST_MAX } from './limits.js';

/**
 * How fast the reports of one session are taken: a burst at once, then one per
 * {@link REPORT_PACE_MS}. Each costs all managers a part of an entry, and one node may be hostile.
 */
export class ReportPace {
  readonly #clock: Clock;
  readonly #timers: Timers;
  /** When the reports taken so far are worked off, monotonic. */
  #paidUntilMs = Number.NEGATIVE_INFINITY;

  constructor({ clock, timers }: { readonly clock: Clock; readonly timers: Timers }) {
    this.#clock = clock;
    this.#timers = timers;
  }

  /** Resolves when a batch of so many may be taken, or with the signal. */
  async take(count: number, signal: CancelSignal): Promise<void> {
    const now = this.#clock.monotonic();
    // A batch without reports is work too.
    this.#paidUntilMs = Math.max(this.#paidUntilMs, now) + Math.max(count, 1) * REPORT_PACE_MS;
    const aheadMs = this.#paidUntilMs - now - REPORTS_BURST_MAX * REPORT_PACE_MS;
    if (aheadMs > 0) await delay(this.#timers, aheadMs, signal);
  }
}
