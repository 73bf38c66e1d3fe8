import type { TimerHandle, Timers } from '@conclave/kernel';

/** What a {@link StepLoop} repeats. */
export interface StepLoopOptions {
  readonly timers: Timers;
  /** Milliseconds between looks; a wake comes at once. */
  readonly periodMs: number;
  /** One step at most; true when something changed and there may be more to do. */
  readonly step: () => Promise<boolean>;
  /** A step that failed is tried again with the next look. */
  readonly onFailure: (error: unknown) => void;
}

/**
 * Carries what is towards what ought to be: looks from time to time and when woken, takes steps
 * until nothing changes, never two at once. Every step must be safe to repeat.
 */
export class StepLoop {
  readonly #options: StepLoopOptions;
  #timer: TimerHandle | undefined;
  #isBusy = false;
  #isDirty = false;

  constructor(options: StepLoopOptions) {
    this.#options = options;
  }

  /** Begins, with a look at once. */
  start(): void {
    const { timers, periodMs } = this.#options;
    this.#timer ??= timers.every(periodMs, () => this.wake());
    this.wake();
  }

  /** Ends. A step that is open ends by itself. */
  stop(): void {
    this.#timer?.cancel();
    this.#timer = undefined;
  }

  /** Looks now. */
  wake(): void {
    if (this.#timer === undefined) return;
    this.#isDirty = true;
    if (this.#isBusy) return;
    this.#isBusy = true;
    void this.#run();
  }

  async #run(): Promise<void> {
    const { step, onFailure } = this.#options;
    try {
      while (this.#isDirty && this.#timer !== undefined) {
        this.#isDirty = false;
        if (await step()) this.#isDirty = true;
      }
    } catch (error) {
      onFailure(error);
    } finally {
      this.#isBusy = false;
    }
  }
}
