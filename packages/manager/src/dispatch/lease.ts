import { ConclaveError } from '@conclave/kernel';
import type { Clock } from '@conclave/kernel';
import { LEASE_MS } from './limits.js';

/** Questions to the leader for one lease. */
const ATTEMPTS_MAX = 2;

/**
 * Says that this manager's state is confirmed: a leader with a quorum answered a read within the
 * last lease, and had the same state. Without it nothing newly assigned is delivered; what agents
 * hold stays untouched.
 */
export class Lease {
  readonly #clock: Clock;
  readonly #confirm: () => Promise<unknown>;
  #confirmedAtMs = Number.NEGATIVE_INFINITY;
  #asking: Promise<void> | undefined;

  constructor(clock: Clock, confirm: () => Promise<unknown>) {
    this.#clock = clock;
    this.#confirm = confirm;
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
    for (let attempt = 1; attempt <= ATTEMPTS_MAX; attempt += 1) {
      if (this.isHeld) return;
      this.#asking ??= this.#ask();
      await this.#asking;
    }
    if (this.isHeld) return;
    // The answers took longer than a lease lasts: what they confirmed is not known to hold now.
    throw new ConclaveError('CV_NO_LEADER', 'the leader answers too slowly', { retryAfterMs: 300 });
  }

  async #ask(): Promise<void> {
    // Counted from before the question: the answer was true then at the earliest.
    const askedAtMs = this.#clock.monotonic();
    try {
      await this.#confirm();
      this.#confirmedAtMs = askedAtMs;
    } finally {
      this.#asking = undefined;
    }
  }
}
