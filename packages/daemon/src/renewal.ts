import type { Clock, Logger, Random, TimerHandle, Timers } from '@conclave/kernel';
import { identityOf } from '@conclave/pki';

/** The part of a certificate's life in which it is renewed: a moment between these shares. */
const SHARE_MIN = 0.5;
const SHARE_MAX = 0.75;
/** Milliseconds until the next attempt after a failure. */
const RETRY_MS = 60_000;
/** Timers run at most this long; longer waits look again. */
const WAIT_MS_MAX = 12 * 3_600_000;

/** What renewing takes. */
export interface RenewalOptions {
  readonly certificate: () => Uint8Array;
  /** Gets a new certificate, stores it and puts it in force; gives up with the signal. */
  readonly renew: (signal: AbortSignal) => Promise<void>;
  readonly clock: Clock;
  readonly timers: Timers;
  readonly random: Random;
  readonly logger: Logger;
}

/** Renews this host's certificate at a random moment between half and three quarters of its life. */
export class Renewal {
  readonly #options: RenewalOptions;
  readonly #stop = new AbortController();
  #timer: TimerHandle | undefined;
  #underWay: Promise<void> = Promise.resolve();

  constructor(options: RenewalOptions) {
    this.#options = options;
  }

  /** Begins. */
  start(): void {
    this.#plan();
  }

  /** Ends; resolves when no renewal is under way any more, so that none is stored later. */
  async stop(): Promise<void> {
    this.#stop.abort();
    this.#timer?.cancel();
    await this.#underWay;
  }

  #plan(): void {
    const { certificate, clock, random } = this.#options;
    const { notBeforeMs, notAfterMs } = identityOf(certificate());
    const share = SHARE_MIN + ((SHARE_MAX - SHARE_MIN) * random.below(1_000)) / 1_000;
    const dueMs = notBeforeMs + (notAfterMs - notBeforeMs) * share;
    this.#wait(dueMs - clock.now(), dueMs);
  }

  #wait(delayMs: number, dueMs: number): void {
    const wait = Math.max(0, Math.min(delayMs, WAIT_MS_MAX));
    this.#timer = this.#options.timers.after(wait, () => {
      const leftMs = dueMs - this.#options.clock.now();
      if (leftMs > 0) this.#wait(leftMs, dueMs);
      else this.#underWay = this.#renew(dueMs);
    });
  }

  async #renew(dueMs: number): Promise<void> {
    const { renew, logger } = this.#options;
    try {
      await renew(this.#stop.signal);
      logger.info('certificate.renewed', {});
      if (!this.#stop.signal.aborted) this.#plan();
    } catch (error) {
      if (this.#stop.signal.aborted) return;
      logger.warn('certificate.renewal-failed', { error });
      this.#wait(RETRY_MS, dueMs);
    }
  }
}
