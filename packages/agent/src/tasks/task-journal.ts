import { assert, toConclaveError } from '@conclave/kernel';

import type { BoundFile, RunningAssignment } from '../assignment/assigned-task.js';
import { REPORT_TEXT_LENGTH_MAX } from '../limits.js';
import type { ActionResult } from './change-actions.js';
import { compareFiles } from './file-changes.js';
import type { TaskContext } from './task-context.js';
import { isEnd } from './task-record.js';
import type { AgentTaskState, FileReceipt, TaskRecord } from './task-record.js';

/** How a task ended. */
export interface Ending {
  readonly message: string;
  readonly error?: string;
  readonly exitCode?: number | undefined;
}

const DELIVERED: ActionResult = { outcome: 'delivered', detail: '' };

type JournalContext = Pick<TaskContext, 'clock' | 'records' | 'outbox' | 'logger'>;

/** What is noted and reported about one task; the record is saved before anybody is told. */
export class TaskJournal {
  readonly #context: JournalContext;
  #record: TaskRecord;
  #isEndTold = false;

  constructor(taskId: string, context: JournalContext) {
    this.#context = context;
    this.#record = {
      taskId,
      state: 'ACCEPTED',
      message: '',
      error: '',
      exitCode: undefined,
      atMs: context.clock.now(),
      assignment: undefined,
      files: [],
      pending: [],
      receipts: [],
    };
  }

  get record(): TaskRecord {
    return this.#record;
  }

  /** Goes on from what an earlier run noted. */
  restore(record: TaskRecord): void {
    this.#record = record;
  }

  /** Files of the current generation whose action is still owed. */
  get pending(): BoundFile[] {
    const { files, pending } = this.#record;
    return files.filter(({ target }) => pending.includes(target));
  }

  /** A step forward. */
  report(state: AgentTaskState): void {
    assert(!isEnd(state), 'ends are reported by end');
    this.#save({ state, atMs: this.#context.clock.now() });
    this.#tell();
  }

  /** The last step. */
  end(state: AgentTaskState, { message, error = '', exitCode }: Ending): void {
    this.#save({
      state,
      message: message.slice(0, REPORT_TEXT_LENGTH_MAX),
      error: error.slice(0, REPORT_TEXT_LENGTH_MAX),
      exitCode,
      atMs: this.#context.clock.now(),
      files: [],
      pending: [],
      receipts: [],
    });
    // A failure without a status was none of the task's own doing.
    const level = state === 'FAILED' && exitCode === undefined ? 'warn' : 'info';
    const { taskId } = this.#record;
    this.#context.logger[level]('task.ended', { taskId, state, exitCode, reason: message });
    this.#tell();
  }

  /** Reports the end of an earlier run, once: the managers may not have heard of it. */
  tellEnd(): void {
    if (!this.#isEndTold) this.#tell();
  }

  /**
   * Notes the generation that was just written, and what it was written for. New files are
   * delivered with that; changed ones are pending until {@link settle}.
   */
  noteFiles(assignment: RunningAssignment): void {
    const { files } = assignment;
    const { changed, added } = compareFiles(this.#record.files, files);
    const owed = new Set([...this.#record.pending, ...changed.map(({ target }) => target)]);
    const pending = files.map(({ target }) => target).filter((target) => owed.has(target));
    const delivered = added.filter(({ target }) => !owed.has(target));
    const receipts = delivered.map((file) => this.#receipt(file, DELIVERED));
    this.#noteReceipts(receipts, { assignment, files, pending });
  }

  /** Says what came of each pending file. */
  settle(resultOf: (file: BoundFile) => ActionResult): void {
    const receipts = this.pending.map((file) => this.#receipt(file, resultOf(file)));
    this.#noteReceipts(receipts, { pending: [] });
  }

  /** Says of files that could not be written that they are not up to date. */
  fail(files: readonly BoundFile[], detail: string): void {
    for (const file of files) this.#send(this.#receipt(file, { outcome: 'failed', detail }));
  }

  /** Reports the receipts of an earlier run, once more: it may have ended before they were read. */
  tellReceipts(): void {
    for (const receipt of this.#record.receipts) this.#send(receipt);
  }

  /** Takes receipts in, in place of older ones and of those for files that are gone. */
  #noteReceipts(fresh: readonly FileReceipt[], fields: Partial<TaskRecord>): void {
    const { files, pending } = { ...this.#record, ...fields };
    const isFresh = new Set(fresh.map(({ target }) => target));
    const isKept = ({ target }: FileReceipt): boolean =>
      !isFresh.has(target) &&
      !pending.includes(target) &&
      files.some((file) => file.target === target);
    this.#save({ ...fields, receipts: [...this.#record.receipts.filter(isKept), ...fresh] });
    for (const receipt of fresh) this.#send(receipt);
  }

  #receipt({ target, secretId, version }: BoundFile, result: ActionResult): FileReceipt {
    const detail = result.detail.slice(0, REPORT_TEXT_LENGTH_MAX);
    const { outcome } = result;
    return { target, secretId, version, outcome, detail, atMs: this.#context.clock.now() };
  }

  #send(receipt: FileReceipt): void {
    this.#context.outbox.addReceipt({ taskId: this.#record.taskId, ...receipt });
  }

  #tell(): void {
    const { taskId, state, message, error, exitCode, atMs } = this.#record;
    this.#isEndTold = isEnd(state);
    this.#context.outbox.addTask({ taskId, state, message, error, exitCode, atMs });
  }

  #save(fields: Partial<TaskRecord>): void {
    this.#record = { ...this.#record, ...fields };
    try {
      this.#context.records.save(this.#record);
    } catch (error) {
      // The task goes on; a later run that finds an older note than the task wipes it.
      const { taskId } = this.#record;
      const { code, message } = toConclaveError(error);
      this.#context.logger.error('task.record-not-saved', { taskId, code, message });
    }
  }
}
