import type { Clock, Logger, Random, TimerHandle, Timers } from '@conclave/kernel';
import { CERTIFICATE_SKEW_MS, identityOf } from '@conclave/pki';

/** The part of a certificate's life in which it is renewed: a moment between these shares. */
const SHARE_MIN = 0.5;
const SHARE_MAX = 0.75;
/** The wait until the next attempt after a failure, as a share of the life. */
const RETRY_SHARE = 1 / 50;
/** The shortest and the longest such wait in milliseconds. */
const RETRY_MS_MIN = 1_000;
const RETRY_MS_MAX = 60_000;
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
  /** Milliseconds that the cluster gives to certificates now; 0: unknown. */
  #grantedMs = 0;
  #underWay: Promise<void> | undefined;

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
    await this.#underWay?.catch(() => undefined);
  }

  /**
   * Takes the life that the cluster gives to certificates now: one that was to live longer is renewed
   * as if it had that life, or within a quarter of it when that moment has passed. All hear of it at
   * once, so they spread.
   */
  grant(lifeMs: number): void {
    if (lifeMs === this.#grantedMs) return;
    this.#grantedMs = lifeMs;
    if (this.#timer !== undefined && this.#underWay === undefined) this.#plan();
  }

  /** Renews at once; resolves when the new certificate is in force. One attempt serves all who ask. */
  async now(): Promise<void> {
    const { logger, renew } = this.#options;
    this.#underWay ??= renew(this.#stop.signal).finally(() => {
      this.#underWay = undefined;
    });
    await this.#underWay;
    logger.info('certificate.renewed', {});
    if (!this.#stop.signal.aborted) this.#plan();
  }

  /** Milliseconds since 1970 at which its life began, and how long it is. */
  #life(): { readonly beginMs: number; readonly lengthMs: number } {
    const { notBeforeMs, notAfterMs } = identityOf(this.#options.certificate());
    // The time by which it is valid earlier is for clocks that lag, and no part of its life.
    const beginMs = notBeforeMs + CERTIFICATE_SKEW_MS;
    return { beginMs, lengthMs: notAfterMs - beginMs };
  }

  /** True for a certificate that lives longer than one that is issued now would. */
  #isShortened(): boolean {
    return this.#grantedMs > 0 && this.#life().lengthMs > this.#grantedMs;
  }

  #plan(): void {
    const { clock, random } = this.#options;
    const { beginMs, lengthMs } = this.#life();
    const share = SHARE_MIN + ((SHARE_MAX - SHARE_MIN) * random.below(1_000)) / 1_000;
    const ownDueMs = beginMs + lengthMs * share;
    const grantedDueMs = Math.max(
      beginMs + this.#grantedMs * share,
      clock.now() + this.#grantedMs * (share - SHARE_MIN),
    );
    const dueMs = this.#isShortened() ? Math.min(ownDueMs, grantedDueMs) : ownDueMs;
    this.#wait(dueMs - clock.now(), dueMs);
  }

  #wait(delayMs: number, dueMs: number): void {
    const wait = Math.max(0, Math.min(delayMs, WAIT_MS_MAX));
    this.#timer?.cancel();
    this.#timer = this.#options.timers.after(wait, () => {
      const leftMs = dueMs - this.#options.clock.now();
      if (leftMs > 0) this.#wait(leftMs, dueMs);
      else void this.#renew(dueMs);
    });
  }

  async #renew(dueMs: number): Promise<void> {
    try {
      await this.now();
    } catch (error) {
      if (this.#stop.signal.aborted) return;
      this.#options.logger.warn('certificate.renewal-failed', { error });
      const lifeMs = this.#isShortened() ? this.#grantedMs : this.#life().lengthMs;
      const retryMs = lifeMs * RETRY_SHARE;
      this.#wait(Math.max(RETRY_MS_MIN, Math.min(retryMs, RETRY_MS_MAX)), dueMs);
    }
  }
}
