import type { TaskChange } from '@conclave/state';

/** Changes of one `tasks.schedule` entry: keeps entries small enough to go out between heartbeats. */
export const ROUND_CHANGES_MAX = 500;

/**
 * Collects what one round of the scheduler proposes. Full means: the rest waits for the next round,
 * which starts from committed state again; so a list cut at any place must be safe to apply.
 */
export class RoundPlan {
  readonly #changes: TaskChange[] = [];
  readonly #limit: number;
  #wasCut = false;

  constructor(limit: number = ROUND_CHANGES_MAX) {
    this.#limit = limit;
  }

  get changes(): readonly TaskChange[] {
    return this.#changes;
  }

  /** True when something did not fit. */
  get wasCut(): boolean {
    return this.#wasCut;
  }

  /** Takes the change; false when the plan is full. */
  add(change: TaskChange): boolean {
    if (this.#changes.length >= this.#limit) {
      this.#wasCut = true;
      return false;
    }
    this.#changes.push(change);
    return true;
  }
}
