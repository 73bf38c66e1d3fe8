import type { Micros } from '../scheduler.js';

/** What a simulated log store does its work with. */
export interface DiskIo {
  /**
   * Resolves when the disk has done a piece of work; `effect` happens at that moment, or never if
   * the member dies before.
   *
   * @param effect what the work does; what it throws is what the disk answers
   * @param onFailure what happens instead when the disk fails; the promise is rejected then
   */
  work<T>(effect: () => T, onFailure?: () => void): Promise<T>;
}

/** How a disk asks the simulation to be called back. */
export interface DiskTimer {
  /** Schedules `finish(token)`. */
  schedule(token: number): void;
  /** Whether the disk is full, or about to fail: the text of the error. */
  fault(): string | undefined;
}

interface Job {
  readonly run: () => void;
  readonly fail: (error: Error) => void;
}

/** Work for the disk of one life of a member, in virtual time. */
export class DiskQueue implements DiskIo {
  readonly #timer: DiskTimer;
  readonly #jobs = new Map<number, Job>();
  #token = 0;
  #isImmediate = true;

  /** @param timer calls back */
  constructor(timer: DiskTimer) {
    this.#timer = timer;
  }

  /** An error was answered. */
  hasFailed = false;

  work<T>(effect: () => T, onFailure?: () => void): Promise<T> {
    return new Promise((resolve, reject) => {
      const job: Job = {
        run: () => {
          try {
            resolve(effect());
          } catch (error) {
            this.hasFailed = true;
            reject(error as Error);
          }
        },
        fail: (error) => {
          this.hasFailed = true;
          onFailure?.();
          reject(error);
        },
      };
      if (this.#isImmediate) {
        this.#finish(job);
        return;
      }
      this.#jobs.set(++this.#token, job);
      this.#timer.schedule(this.#token);
    });
  }

  /** Until now work was done at once, for the sake of the start. */
  begin(): void {
    this.#isImmediate = false;
  }

  /** The disk has got to a piece of work. */
  finish(token: number): void {
    const job = this.#jobs.get(token);
    this.#jobs.delete(token);
    if (job !== undefined) this.#finish(job);
  }

  #finish(job: Job): void {
    const fault = this.#timer.fault();
    if (fault === undefined) job.run();
    else job.fail(new Error(fault));
  }
}

/** Where a stall ends and the disk goes on. */
export function diskDelay(now: Micros, stalledUntil: Micros, latency: Micros): Micros {
  return Math.max(0, stalledUntil - now) + latency;
}
