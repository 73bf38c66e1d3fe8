import { toConclaveError } from '@conclave/kernel';
import type { Logger, TimerHandle, Timers } from '@conclave/kernel';

/** Milliseconds between two looks. */
const PERIOD_MS = 1_000;

/** What watching over one's own role takes. */
export interface RoleWatchOptions {
  /** Looks whether this host is to have another role, and takes it up. */
  readonly look: () => Promise<void>;
  readonly timers: Timers;
  readonly logger: Logger;
}

/** Looks from time to time whether the cluster gives this host another role; never twice at once. */
export class RoleWatch {
  readonly #options: RoleWatchOptions;
  #timer: TimerHandle | undefined;
  #isBusy = false;
  #problem = '';

  constructor(options: RoleWatchOptions) {
    this.#options = options;
  }

  /** Why the last attempt to take up another role failed; empty: it did not. */
  get problem(): string {
    return this.#problem;
  }

  start(): void {
    this.#timer ??= this.#options.timers.every(PERIOD_MS, () => void this.#look());
  }

  /** Ends; a look that is under way ends by itself. */
  stop(): void {
    this.#timer?.cancel();
    this.#timer = undefined;
  }

  async #look(): Promise<void> {
    if (this.#isBusy) return;
    this.#isBusy = true;
    const { look, logger } = this.#options;
    try {
      await look();
      this.#problem = '';
    } catch (error) {
      const { code, message } = toConclaveError(error);
      if (message !== this.#problem) logger.warn('role.not-changed', { code, reason: message });
      this.#problem = message;
    } finally {
      this.#isBusy = false;
    }
  }
}
