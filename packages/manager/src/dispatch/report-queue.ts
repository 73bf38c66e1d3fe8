import { delay, isConclaveError } from '@conclave/kernel';
import type { ErrorKind, Logger, Timers } from '@conclave/kernel';
import type { CommandBody } from '@conclave/state';
import {
  REPORT_BYTES_PER_ENTRY_MAX,
  REPORT_BYTES_WAITING_MAX,
  REPORT_GATHER_MS,
  REPORTS_PER_ENTRY_MAX,
  REPORTS_WAITING_MAX,
  RETRY_MS,
} from './limits.js';

interface Waiting<T> {
  readonly reports: readonly T[];
  /** Bytes of all of them. */
  readonly size: number;
  /** Their session has ended. */
  readonly signal: AbortSignal | undefined;
  readonly done: () => void;
  readonly refuse: (error: unknown) => void;
}

/** Failures that come back however often the same entry is proposed. */
const FINAL: ReadonlySet<ErrorKind> = new Set<ErrorKind>(['usage', 'limit', 'defect']);

/** How a queue turns reports into entries. */
export interface ReportQueueOptions<T> {
  readonly toBody: (reports: readonly T[]) => CommandBody;
  /** Bytes that a report takes in an entry, at most. */
  readonly sizeOf: (report: T) => number;
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
  #size = 0;
  #isRunning = false;

  constructor(options: ReportQueueOptions<T>) {
    this.#options = options;
  }

  /** True while a session should not read more reports. */
  get isFull(): boolean {
    return this.#count >= REPORTS_WAITING_MAX || this.#size >= REPORT_BYTES_WAITING_MAX;
  }

  /**
   * Resolves when the reports are committed; never, when the queue is closed before, or when
   * `signal` says that their session has ended: the agent sends them again in its next one, and
   * newer ones with them. Rejects when they cannot be put into an entry at all: then their session
   * has to end, not everybody's reports to wait behind them.
   */
  add(reports: readonly T[], signal?: AbortSignal): Promise<void> {
    return new Promise((resolve, reject) => {
      const size = reports.reduce((sum, report) => sum + this.#options.sizeOf(report), 0);
      this.#waiting.push({ reports, size, signal, done: resolve, refuse: reject });
      this.#count += reports.length;
      this.#size += size;
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
    const { timers, logger } = this.#options;
    await delay(timers, REPORT_GATHER_MS, this.#stop.signal);
    while (this.#waiting.length > 0 && !this.#stop.signal.aborted) {
      const round = this.#take();
      try {
        await this.#commit(round);
      } catch (error) {
        if (isFinal(error)) {
          await this.#commitApart(round);
          continue;
        }
        logger.debug('report.retry', { error });
        this.#waiting = [...round, ...this.#waiting];
        await delay(timers, RETRY_MS, this.#stop.signal);
      }
    }
    this.#isRunning = false;
  }

  async #commit(round: readonly Waiting<T>[]): Promise<void> {
    const reports = round.flatMap((waiting) => waiting.reports);
    if (reports.length > 0) await this.#options.commit(this.#options.toBody(reports));
    for (const waiting of round) {
      this.#forget(waiting);
      waiting.done();
    }
  }

  /** One of them spoils the entry for all: each goes on its own, and that one is refused. */
  async #commitApart(round: readonly Waiting<T>[]): Promise<void> {
    for (const [place, waiting] of round.entries()) {
      try {
        await this.#commit([waiting]);
      } catch (error) {
        if (!isFinal(error)) {
          this.#waiting = [...round.slice(place), ...this.#waiting];
          await delay(this.#options.timers, RETRY_MS, this.#stop.signal);
          return;
        }
        this.#options.logger.warn('report.refused', { error });
        this.#forget(waiting);
        waiting.refuse(error);
      }
    }
  }

  /** Whole batches for one entry, at least one: a batch alone is never too large. */
  #take(): Waiting<T>[] {
    const isOver = ({ signal }: Waiting<T>): boolean => signal?.aborted === true;
    for (const waiting of this.#waiting.filter(isOver)) this.#forget(waiting);
    this.#waiting = this.#waiting.filter((waiting) => !isOver(waiting));
    let count = 0;
    let size = 0;
    let taken = 0;
    for (const waiting of this.#waiting) {
      size += waiting.size;
      if (taken > 0 && size > REPORT_BYTES_PER_ENTRY_MAX) break;
      count += waiting.reports.length;
      taken += 1;
      if (count >= REPORTS_PER_ENTRY_MAX) break;
    }
    return this.#waiting.splice(0, taken);
  }

  #forget({ reports, size }: Waiting<T>): void {
    this.#count -= reports.length;
    this.#size -= size;
  }
}

/** A full queue is a limit too, but one that passes. */
function isFinal(error: unknown): boolean {
  return !isConclaveError(error) || (FINAL.has(error.kind) && error.code !== 'CV_QUEUE_FULL');
}
