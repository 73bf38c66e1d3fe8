import type { Logger, TimerHandle, Timers } from '@conclave/kernel';
import { describeSwap } from './hygiene.js';
import { readProcessState, weaknessesOf } from './process-state.js';

/** Milliseconds between two looks at the swap of this host. */
const SWAP_LOOK_MS = 10_000;

/** Looks at the host and at this process, and warns in the log. */
export interface HostWatchOptions {
  readonly logger: Logger;
  readonly timers: Timers;
  /** True while memory of this process may be swapped to a disk; that of this host by default. */
  readonly isSwapActive?: () => boolean;
}

/**
 * Warns once of a process that was started without its launcher, and whenever swap that may take
 * memory of this process is turned on. `status` tells the same at any time.
 */
export class HostWatch {
  readonly #options: HostWatchOptions;
  readonly #timer: TimerHandle;
  #isSwapKnown = false;

  constructor(options: HostWatchOptions) {
    this.#options = options;
    const missing = weaknessesOf(readProcessState());
    if (missing.length > 0) options.logger.warn('process.weak', { warnings: missing });
    this.#look();
    this.#timer = options.timers.every(SWAP_LOOK_MS, () => this.#look());
  }

  /** Ends the looking. */
  close(): void {
    this.#timer.cancel();
  }

  #look(): void {
    const isActive = (this.#options.isSwapActive ?? hasSwap)();
    if (isActive && !this.#isSwapKnown) {
      this.#options.logger.warn('host.swap-on', { swap: describeSwap().text });
    } else if (!isActive && this.#isSwapKnown) {
      this.#options.logger.info('host.swap-off', {});
    }
    this.#isSwapKnown = isActive;
  }
}

const hasSwap = (): boolean => describeSwap().isActive;
