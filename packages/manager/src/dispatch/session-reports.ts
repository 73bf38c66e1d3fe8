import { ConclaveError, delay } from '@conclave/kernel';
import type { State, TaskRow } from '@conclave/state';
import type { ReceiptReport, TaskReport } from '@conclave/wire';
import type { DispatchContext } from './dispatch-context.js';
import { REPORTS_PER_BATCH_MAX, RETRY_MS, UNCONFIRMED_BATCHES_MAX } from './limits.js';
import { ReportPace } from './report-pace.js';
import { toReceipts, toTaskReports } from './report-messages.js';
import type { Receipt } from './report-messages.js';
import type { ReportQueue } from './report-queue.js';

/** A batch that was taken. */
export interface TakenReports {
  /** Resolves when it is committed; rejects when it cannot be. */
  readonly committed: Promise<void>;
  /** True when nothing more should be read before that. */
  readonly isFull: boolean;
}

/** Reports of one kind: where they go, and whether what one is about is there. */
interface Kind<T> {
  readonly queue: ReportQueue<T>;
  readonly isAbout: (task: TaskRow, report: T, state: State) => boolean;
}

/**
 * The reports of one session on their way to the log. Only what the tables assign to this node gets
 * there: ids and names that an agent makes up would fill the memory and the log of all managers.
 */
export class SessionReports {
  readonly #nodeId: string;
  readonly #context: DispatchContext;
  readonly #signal: AbortSignal;
  readonly #pace: ReportPace;
  /** Batches that are not in their queue yet, in the order of their arrival. */
  #unconfirmedCount = 0;
  #lastConfirmed: Promise<void> = Promise.resolve();

  constructor(nodeId: string, context: DispatchContext, signal: AbortSignal) {
    this.#nodeId = nodeId;
    this.#context = context;
    this.#signal = signal;
    this.#pace = new ReportPace(context);
  }

  /** @throws CV_LIMIT_EXCEEDED, CV_ARGUMENT_INVALID, CV_ROLE_FORBIDDEN: the session has to end */
  takeTasks(reports: readonly TaskReport[]): Promise<TakenReports> {
    const queue = this.#context.taskReports;
    return this.#take(toTaskReports(this.#nodeId, reports), { queue, isAbout: () => true });
  }

  /** @throws CV_LIMIT_EXCEEDED, CV_ARGUMENT_INVALID, CV_ROLE_FORBIDDEN: the session has to end */
  takeReceipts(reports: readonly ReceiptReport[]): Promise<TakenReports> {
    const queue = this.#context.receipts;
    return this.#take(toReceipts(this.#nodeId, reports), { queue, isAbout: isAboutFile });
  }

  /** Those about something that this node has go on; the others are acknowledged, no more. */
  async #take<T extends { readonly taskId: string }>(
    reports: readonly T[],
    { queue, isAbout }: Kind<T>,
  ): Promise<TakenReports> {
    checkBatch(reports.length);
    await this.#pace.take(reports.length, this.#signal);
    for (const { taskId } of reports) this.#checkOwner(taskId);
    const known = (): T[] => reports.filter((one) => this.#isAbout(one, isAbout));
    const isComplete = (): boolean => known().length === reports.length;
    if (this.#unconfirmedCount === 0 && isComplete()) {
      const committed = queue.add(reports, this.#signal);
      return { committed, isFull: queue.isFull };
    }
    // Another manager may have assigned what these tables do not show yet.
    const committed = this.#confirmed(isComplete).then(() => {
      this.#unconfirmedCount -= 1;
      return queue.add(known(), this.#signal);
    });
    return { committed, isFull: queue.isFull || this.#unconfirmedCount > UNCONFIRMED_BATCHES_MAX };
  }

  #isAbout<T extends { readonly taskId: string }>(report: T, isAbout: Kind<T>['isAbout']): boolean {
    const state = this.#context.state();
    const task = state.taskById(report.taskId);
    return task?.nodeId === this.#nodeId && isAbout(task, report, state);
  }

  /** Resolves when the tables show all that a batch can be about, and not before earlier ones. */
  #confirmed(isComplete: () => boolean): Promise<void> {
    this.#unconfirmedCount += 1;
    this.#lastConfirmed = this.#lastConfirmed.then(async () => {
      if (!isComplete()) await this.#confirm();
    });
    return this.#lastConfirmed;
  }

  /** Meanwhile the session is read: an agent that is heard is not taken for dead. */
  async #confirm(): Promise<void> {
    while (!this.#signal.aborted) {
      try {
        await this.#context.confirm();
        return;
      } catch {
        await delay(this.#context.timers, RETRY_MS, this.#signal);
      }
    }
  }

  #checkOwner(taskId: string): void {
    const task = this.#context.state().taskById(taskId);
    if (task !== undefined && task.nodeId !== this.#nodeId) {
      throw new ConclaveError('CV_ROLE_FORBIDDEN', 'a node may report its own tasks only');
    }
  }
}

function isAboutFile({ spec }: TaskRow, report: Receipt, state: State): boolean {
  const { secretId, target, version } = report;
  const isBound = spec.bindings.some((one) => one.target === target && one.secretId === secretId);
  return isBound && state.secretVersionInfo(secretId, version) !== undefined;
}

/** One agent must not fill an entry of the log on its own. */
function checkBatch(count: number): void {
  if (count <= REPORTS_PER_BATCH_MAX) return;
  throw new ConclaveError(
    'CV_LIMIT_EXCEEDED',
    `a batch has at most ${REPORTS_PER_BATCH_MAX} reports`,
  );
}
