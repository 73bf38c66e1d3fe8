import type { Micros } from '../scheduler.js';

/** What is wrong with the disk of one member. */
export class DiskHealth {
  /** The next piece of work fails. */
  failsNext = false;
  /** Until then there is no room. */
  fullUntil: Micros = 0;
  /** Something durable was changed: the member must notice it at its next start. */
  isDamaged = false;

  /**
   * What the disk answers to a piece of work; undefined: it does it.
   *
   * @param isDying whether it fails for another reason
   */
  fault(now: Micros, isDying: boolean): string | undefined {
    if (this.failsNext || isDying) {
      this.failsNext = false;
      return 'EIO';
    }
    return this.fullUntil > now ? 'ENOSPC' : undefined;
  }
}
