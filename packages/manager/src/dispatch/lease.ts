import type { Clock } from '@conclave/kernel';
import { LEASE_MS } from './limits.js';

/**
 * Says that this manager's state is confirmed: a leader with a quorum answered a read within the
 * last lease. Without it nothing newly assigned is delivered; what agents hold stays untouched.
 */
export class Lease {
  readonly #clock: Clock;
  readonly #readIndex: () => Promise<unknown>;
  #confirmedAtMs = Number.NEGATIVE_INFINITY;
  #asking: Promise<void> | undefined;

  constructor(clock: Clock, readIndex: () => Promise<unknown>) {
    this.#clock = clock;
    this.#readIndex = readIndex;
  }

  /** True while the last confirmation counts. */
  get isHeld(): boolean {
    return this.#clock.monotonic() - this.#confirmedAtMs < LEASE_MS;
  }

  /**
   * Returns at once while the lease holds, else when a leader has confirmed the state.
   * @throws CV_NO_LEADER when none does in time
   */
  async hold(): Promise<void> {
    if (this.isHeld) return;
    this.#asking ??= this.#ask();
    await this.#asking;
  }

  async #ask(): Promise<void> {
    // Counted from before the question: the answer was true then at the earliest.
    const askedAtMs = this.#clock.monotonic();
    try {
      await this.#readIndex();
      this.#confirmedAtMs = askedAtMs;
    } finally {
      this.#asking = undefined;
    }
  }
}
