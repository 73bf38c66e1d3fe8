import { ConclaveError, delay } from '@conclave/kernel';
import type { State, TaskRow } from '@conclave/state';
import type { ReceiptReport, TaskReport } from '@conclave/wire';
import type { DispatchContext } from './dispatch-context.js';
import { REPORTS_PER_BATCH_MAX, RETRY_MS } from './limits.js';
import { ReportPace } from './report-pace.js';
import { toReceipts, toTaskReports } from './report-messages.js';
import type { Receipt } from './report-messages.js';

/** A batch that was taken. */
export interface TakenReports {
  /** Resolves when it is committed; rejects when it cannot be. */
  readonly committed: Promise<void>;
  /** True when nothing more should be read before that. */
  readonly isFull: boolean;
}

type About<T> = (task: TaskRow, report: T, state: State) => boolean;

/**
 * The reports of one session on their way to the log. Only what the tables assign to this node gets
 * there: ids and names that an agent makes up would fill the memory and the log of all managers.
 */
export class SessionReports {
  readonly #nodeId: string;
  readonly #context: DispatchContext;
  readonly #signal: AbortSignal;
  readonly #pace: ReportPace;

  constructor(nodeId: string, context: DispatchContext, signal: AbortSignal) {
    this.#nodeId = nodeId;
    this.#context = context;
    this.#signal = signal;
    this.#pace = new ReportPace(context);
  }

  /** @throws CV_LIMIT_EXCEEDED, CV_ARGUMENT_INVALID, CV_ROLE_FORBIDDEN: the session has to end */
  async takeTasks(reports: readonly TaskReport[]): Promise<TakenReports> {
    const { taskReports } = this.#context;
    const known = await this.#known(toTaskReports(this.#nodeId, reports), () => true);
    const committed = taskReports.add(known, this.#signal);
    return { committed, isFull: taskReports.isFull };
  }

  /** @throws CV_LIMIT_EXCEEDED, CV_ARGUMENT_INVALID, CV_ROLE_FORBIDDEN: the session has to end */
  async takeReceipts(reports: readonly ReceiptReport[]): Promise<TakenReports> {
    const { receipts } = this.#context;
    const known = await this.#known(toReceipts(this.#nodeId, reports), isAboutFile);
    const committed = receipts.add(known, this.#signal);
    return { committed, isFull: receipts.isFull };
  }

  /** Those that are about something that this node has; the others are acknowledged, no more. */
  async #known<T extends { readonly taskId: string }>(
    reports: readonly T[],
    isAbout: About<T>,
  ): Promise<readonly T[]> {
    checkBatch(reports.length);
    await this.#pace.take(reports.length, this.#signal);
    for (const { taskId } of reports) this.#checkOwner(taskId);
    const known = (): T[] => reports.filter((one) => this.#isAbout(one, isAbout));
    const first = known();
    if (first.length === reports.length) return first;
    // Another manager may have assigned what these tables do not show yet.
    await this.#confirm();
    return known();
  }

  #isAbout<T extends { readonly taskId: string }>(report: T, isAbout: About<T>): boolean {
    const state = this.#context.state();
    const task = state.taskById(report.taskId);
    return task?.nodeId === this.#nodeId && isAbout(task, report, state);
  }

  /** Until then nothing more is read: an agent that nobody listens to goes to another manager. */
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
