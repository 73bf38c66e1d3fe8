import type { Clock, Logger, Random, TimerHandle, Timers } from '@conclave/kernel';
import type { CertificateLife } from './certificate-life.js';
import { isUsable, lifeOf, RENEWAL_SHARE_MIN } from './certificate-life.js';

/** The latest moment at which it is renewed, as a share of the life. */
const SHARE_MAX = 0.75;
/** The wait until the next attempt after a failure, as a share of the life. */
const RETRY_SHARE = 1 / 50;
/** The shortest and the longest such wait in milliseconds. */
const RETRY_MS_MIN = 1_000;
const RETRY_MS_MAX = 60_000;
/** Timers run at most this long; longer waits look again, since clocks are set. */
const WAIT_MS_MAX = 60_000;

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
  /** Milliseconds since 1970 at which the next renewal is due. */
  #dueMs = 0;
  /** Milliseconds that the cluster gives to certificates now; 0: unknown. */
  #grantedMs = 0;
  #underWay: Promise<void> | undefined;

  constructor(options: RenewalOptions) {
    this.#options = options;
  }

  /**
   * Begins. A certificate that is to be renewed anyway is so at once: an earlier process may have got
   * the next one and ended before it was stored, and then the old one is not accepted for long.
   */
  start(): void {
    this.#wait(this.#drawDueMs());
    if (this.#life().isYoung) return;
    const { clock, random } = this.#options;
    this.#hasten(clock.now() + (this.#retryMs() * random.below(1_000)) / 1_000);
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
    const isWaiting = this.#timer !== undefined && this.#underWay === undefined;
    if (isWaiting && this.#isShortened()) this.#hasten(this.#drawDueMs());
  }

  /** Renews at once; resolves when the new certificate is in force. One attempt serves all who ask. */
  async now(): Promise<void> {
    const { logger, renew } = this.#options;
    this.#underWay ??= renew(this.#stop.signal).finally(() => {
      this.#underWay = undefined;
    });
    await this.#underWay;
    logger.info('certificate.renewed', {});
    if (!this.#stop.signal.aborted) this.#wait(this.#drawDueMs());
  }

  #life(): CertificateLife {
    return lifeOf(this.#options.certificate(), this.#options.clock.now());
  }

  /** True for a certificate that lives longer than one that is issued now would. */
  #isShortened(): boolean {
    return this.#grantedMs > 0 && this.#life().lengthMs > this.#grantedMs;
  }

  /** A moment between half and three quarters of the life. */
  #drawDueMs(): number {
    const { clock, random } = this.#options;
    const { beginMs, lengthMs } = this.#life();
    const share =
      RENEWAL_SHARE_MIN + ((SHARE_MAX - RENEWAL_SHARE_MIN) * random.below(1_000)) / 1_000;
    const ownDueMs = beginMs + lengthMs * share;
    const grantedDueMs = Math.max(
      beginMs + this.#grantedMs * share,
      clock.now() + this.#grantedMs * (share - RENEWAL_SHARE_MIN),
    );
    return this.#isShortened() ? Math.min(ownDueMs, grantedDueMs) : ownDueMs;
  }

  #hasten(dueMs: number): void {
    if (dueMs < this.#dueMs) this.#wait(dueMs);
  }

  #wait(dueMs: number, notBeforeMs: number = 0): void {
    const { clock, timers } = this.#options;
    this.#dueMs = dueMs;
    this.#timer?.cancel();
    const leftMs = Math.max(dueMs, notBeforeMs) - clock.now();
    const waitMs = Math.max(0, Math.min(leftMs, WAIT_MS_MAX));
    this.#timer = timers.after(waitMs, () => {
      const nowMs = clock.now();
      // One that begins in the future was made by a clock that was ahead.
      const isDue = nowMs >= dueMs || !isUsable(this.#options.certificate(), nowMs);
      if (isDue) void this.#renew(dueMs);
      else this.#wait(dueMs);
    });
  }

  async #renew(dueMs: number): Promise<void> {
    try {
      await this.now();
    } catch (error) {
      if (this.#stop.signal.aborted) return;
      this.#options.logger.warn('certificate.renewal-failed', { error });
      this.#wait(dueMs, this.#options.clock.now() + this.#retryMs());
    }
  }

  #retryMs(): number {
    const lifeMs = this.#isShortened() ? this.#grantedMs : this.#life().lengthMs;
    return Math.max(RETRY_MS_MIN, Math.min(lifeMs * RETRY_SHARE, RETRY_MS_MAX));
  }
}
