import { delay } from '@conclave/kernel';
import type { Logger, Timers } from '@conclave/kernel';
import type { CommandBody } from '@conclave/state';
import {
  REPORT_GATHER_MS,
  REPORTS_PER_ENTRY_MAX,
  REPORTS_WAITING_MAX,
  RETRY_MS,
} from './limits.js';

interface Waiting<T> {
  readonly reports: readonly T[];
  readonly done: () => void;
}

/** How a queue turns reports into entries. */
export interface ReportQueueOptions<T> {
  readonly toBody: (reports: readonly T[]) => CommandBody;
  readonly commit: (body: CommandBody) => Promise<unknown>;
  readonly timers: Timers;
  readonly logger: Logger;
}

/**
 * Gathers reports of all sessions into few entries and repeats them until they are committed; all
 * of them may be repeated safely. Whoever adds waits for the commit, which bounds the queue.
 */
export class ReportQueue<T> {
  readonly #options: ReportQueueOptions<T>;
  readonly #stop = new AbortController();
  #waiting: Waiting<T>[] = [];
  #count = 0;
  #isRunning = false;

  constructor(options: ReportQueueOptions<T>) {
    this.#options = options;
  }

  /** True while a session should not read more reports. */
  get isFull(): boolean {
    return this.#count >= REPORTS_WAITING_MAX;
  }

  /** Resolves when the reports are committed; never, when the queue is closed before. */
  add(reports: readonly T[]): Promise<void> {
    return new Promise((resolve) => {
      this.#waiting.push({ reports, done: resolve });
      this.#count += reports.length;
      if (this.#isRunning) return;
      this.#isRunning = true;
      void this.#run();
    });
  }

  /** Ends; what waits is the agents' to send again to another manager. */
  close(): void {
    this.#stop.abort();
  }

  async #run(): Promise<void> {
    const { timers, commit, toBody, logger } = this.#options;
    await delay(timers, REPORT_GATHER_MS, this.#stop.signal);
    while (this.#waiting.length > 0 && !this.#stop.signal.aborted) {
      const round = this.#take();
      const reports = round.flatMap((waiting) => waiting.reports);
      try {
        if (reports.length > 0) await commit(toBody(reports));
        for (const waiting of round) waiting.done();
        this.#count -= reports.length;
      } catch (error) {
        logger.debug('report.retry', { error });
        this.#waiting = [...round, ...this.#waiting];
        await delay(timers, RETRY_MS, this.#stop.signal);
      }
    }
    this.#isRunning = false;
  }

  #take(): Waiting<T>[] {
    let count = 0;
    let taken = 0;
    for (const { reports } of this.#waiting) {
      count += reports.length;
      taken += 1;
      if (count >= REPORTS_PER_ENTRY_MAX) break;
    }
    return this.#waiting.splice(0, taken);
  }
}
