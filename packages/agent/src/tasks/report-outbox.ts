import type { Logger, TimerHandle, Timers } from '@conclave/kernel';
import type { AgentMessageInput, ReceiptReportInput, TaskReportInput } from '@conclave/wire';

import {
  RECEIPTS_KEPT_MAX,
  REPORT_BATCH_MAX,
  REPORT_BATCHES_OPEN_MAX,
  REPORT_GATHER_MS,
} from '../limits.js';

type Item =
  | { readonly kind: 'task'; readonly report: TaskReportInput }
  | { readonly kind: 'receipt'; readonly report: ReceiptReportInput };

/**
 * Reports on their way to the managers. Of each task and of each file only the newest counts, which
 * bounds them; they are kept until a manager says that they are committed, and sent again by the
 * next session otherwise.
 */
export class ReportOutbox {
  readonly #timers: Timers;
  readonly #logger: Logger;
  readonly #waiting = new Map<string, Item>();
  readonly #open = new Map<number, ReadonlyMap<string, Item>>();
  #send: ((message: AgentMessageInput) => Promise<void>) | undefined;
  #gathering: TimerHandle | undefined;
  #batch = 0;
  #newestMs = 0;

  constructor(options: { readonly timers: Timers; readonly logger: Logger }) {
    this.#timers = options.timers;
    this.#logger = options.logger;
  }

  /** Reports that no manager has committed yet. */
  get count(): number {
    let count = this.#waiting.size;
    for (const items of this.#open.values()) count += items.size;
    return count;
  }

  addTask(report: TaskReportInput): void {
    this.#add(`task ${report.taskId}`, { kind: 'task', report });
  }

  addReceipt(newest: ReceiptReportInput): void {
    // Managers keep the newest by its time: a clock that was set back must not make it look older.
    this.#newestMs = Math.max(this.#newestMs, newest.atMs ?? 0);
    const report = { ...newest, atMs: this.#newestMs };
    this.#add(`receipt ${report.taskId} ${report.target}`, { kind: 'receipt', report });
    if (this.#waiting.size > RECEIPTS_KEPT_MAX) this.#dropOldestReceipt();
  }

  /** Sends through `send` from now on, until {@link detach}. Batches count from 1. */
  attach(send: (message: AgentMessageInput) => Promise<void>): void {
    this.detach();
    this.#send = send;
    this.#batch = 0;
    this.#schedule();
  }

  /** The session is over: what was not acknowledged waits for the next one. */
  detach(): void {
    this.#send = undefined;
    this.#gathering?.cancel();
    this.#gathering = undefined;
    const again = [...this.#open.values()].flatMap((items) => [...items]);
    this.#open.clear();
    for (const [key, item] of again) if (!this.#waiting.has(key)) this.#waiting.set(key, item);
  }

  /** A batch is committed. */
  acknowledge(batch: number): void {
    this.#open.delete(batch);
    this.#schedule();
  }

  #add(key: string, item: Item): void {
    // Behind all others, so that a task is told before its receipts after a change.
    this.#waiting.delete(key);
    this.#waiting.set(key, item);
    this.#schedule();
  }

  #schedule(): void {
    const hasWork = this.#waiting.size > 0 && this.#open.size < REPORT_BATCHES_OPEN_MAX;
    if (this.#send === undefined || this.#gathering !== undefined || !hasWork) return;
    this.#gathering = this.#timers.after(REPORT_GATHER_MS, () => {
      this.#gathering = undefined;
      this.#flush('task');
      this.#flush('receipt');
      this.#schedule();
    });
  }

  #flush(kind: Item['kind']): void {
    if (this.#open.size >= REPORT_BATCHES_OPEN_MAX) return;
    const items = new Map<string, Item>();
    for (const [key, item] of this.#waiting) {
      if (item.kind !== kind) continue;
      items.set(key, item);
      if (items.size >= REPORT_BATCH_MAX) break;
    }
    if (items.size === 0) return;
    for (const key of items.keys()) this.#waiting.delete(key);
    this.#batch += 1;
    this.#open.set(this.#batch, items);
    // A stream that is over is noticed by the session, which detaches.
    this.#send?.(toMessage(this.#batch, [...items.values()])).catch(() => undefined);
  }

  #dropOldestReceipt(): void {
    for (const [key, item] of this.#waiting) {
      if (item.kind !== 'receipt') continue;
      this.#waiting.delete(key);
      this.#logger.warn('report.dropped', { reason: 'too many receipts wait for a manager' });
      return;
    }
  }
}

function toMessage(batch: number, items: readonly Item[]): AgentMessageInput {
  const tasks: TaskReportInput[] = [];
  const receipts: ReceiptReportInput[] = [];
  for (const item of items) {
    if (item.kind === 'task') tasks.push(item.report);
    else receipts.push(item.report);
  }
  return tasks.length > 0
    ? { taskReports: { batch, reports: tasks } }
    : { receiptReports: { batch, reports: receipts } };
}
