import { assert } from '@conclave/kernel';

import type { BoundFile, RunningAssignment } from '../assignment/assigned-task.js';
import { REPORT_TEXT_LENGTH_MAX } from '../limits.js';
import type { ActionResult } from './change-actions.js';
import type { TaskContext } from './task-context.js';
import { isEnd } from './task-record.js';
import type { AgentTaskState, TaskRecord } from './task-record.js';

/** How a task ended. */
export interface Ending {
  readonly message: string;
  readonly error?: string;
  readonly exitCode?: number | undefined;
}

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
    };
  }

  get record(): TaskRecord {
    return this.#record;
  }

  /** Goes on from what an earlier run noted. */
  restore(record: TaskRecord): void {
    this.#record = record;
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

  /** Notes the generation that was just written, and what it was written for. */
  noteFiles(assignment: RunningAssignment): void {
    this.#save({ assignment, files: assignment.files });
  }

  /** Says what came of a file. */
  receipt({ target, secretId, version }: BoundFile, result: ActionResult): void {
    const { clock, outbox } = this.#context;
    outbox.addReceipt({
      taskId: this.#record.taskId,
      target,
      secretId,
      version,
      outcome: result.outcome,
      detail: result.detail.slice(0, REPORT_TEXT_LENGTH_MAX),
      atMs: clock.now(),
    });
  }

  /** Says of several files that they could not be brought up to date. */
  fail(files: readonly BoundFile[], detail: string): void {
    for (const file of files) this.receipt(file, { outcome: 'failed', detail });
  }

  #tell(): void {
    const { taskId, state, message, error, exitCode, atMs } = this.#record;
    this.#isEndTold = isEnd(state);
    this.#context.outbox.addTask({ taskId, state, message, error, exitCode, atMs });
  }

  #save(fields: Partial<TaskRecord>): void {
    this.#record = { ...this.#record, ...fields };
    this.#context.records.save(this.#record);
  }
}
