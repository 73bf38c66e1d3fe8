import { delay, toConclaveError } from '@conclave/kernel';

import type { Assignment } from '../assignment/assembler.js';
import { versionKey } from '../assignment/assigned-task.js';
import type { AssignedTask } from '../assignment/assigned-task.js';
import type { Executor } from '../executors/executor.js';
import { CLOSE_MS_MAX, ENDED_OUTPUTS_MAX } from '../limits.js';
import type { TaskContext } from './task-context.js';
import type { TaskRecord } from './task-record.js';
import { TaskRunner } from './task-runner.js';

/** Brings all tasks of this host to what the cluster wants; one runner per task. */
export class Reconciler {
  readonly #context: TaskContext;
  readonly #runners = new Map<string, TaskRunner>();
  /** Ended tasks whose output is kept, the oldest first. */
  readonly #endedIds: string[] = [];

  constructor(context: TaskContext) {
    this.#context = context;
  }

  /** What is known of every task. */
  records(): TaskRecord[] {
    return [...this.#runners.values()].map(({ record }) => record);
  }

  /** The executor that has the output of a task; undefined: there is none. */
  executorOf(taskId: string): Executor | undefined {
    return this.#runners.get(taskId)?.executor;
  }

  /**
   * Takes over the tasks of an earlier run and wipes everything else that it left: to be done
   * before any manager is asked.
   */
  async adoptAll(): Promise<void> {
    const { records, files, executors, logger } = this.#context;
    for (const record of records.load()) {
      const runner = this.#runner(record.taskId);
      try {
        await runner.adopt(record);
      } catch (error) {
        const { code, message } = toConclaveError(error);
        logger.error('task.adopt-failed', { taskId: record.taskId, code, error, message });
      }
    }
    for (const taskId of files.list()) {
      if (this.#runners.has(taskId)) continue;
      logger.warn('task.unknown-wiped', { taskId });
      try {
        for (const executor of executors.values()) await executor.clear(taskId);
        await files.remove(taskId);
      } catch (error) {
        // What cannot be wiped now must not keep this host from its other tasks.
        const { code, message } = toConclaveError(error);
        logger.error('task.wipe-failed', { taskId, code, error, message });
      }
    }
  }

  /** Takes an assignment and its values over; the work is done in the background. */
  apply({ tasks, values }: Pick<Assignment, 'tasks' | 'values'>): void {
    const { held } = this.#context;
    held.retain(new Set([...tasks.values()].flatMap(keysOf)));
    held.add(values);
    for (const [taskId, task] of tasks) this.#runner(taskId).want(task);
    for (const [taskId, runner] of this.#runners) {
      if (!tasks.has(taskId)) runner.want({ kind: 'gone' });
    }
  }

  /** Stops every task and wipes its files. */
  async stopAll(): Promise<void> {
    for (const runner of this.#runners.values()) {
      runner.dropOutput();
      runner.want({ kind: 'end' });
    }
    await this.whenIdle();
  }

  /** Resolves when no task has anything left to do for now. */
  async whenIdle(): Promise<void> {
    await Promise.all([...this.#runners.values()].map((runner) => runner.whenIdle()));
  }

  /** Leaves all tasks alone; values in memory are wiped. Nothing can be applied any more. */
  async close(): Promise<void> {
    for (const runner of this.#runners.values()) runner.close();
    // A step that takes long, such as a grace period, is left to itself.
    const cancel = new AbortController();
    const deadline = delay(this.#context.timers, CLOSE_MS_MAX, cancel.signal);
    await Promise.race([this.whenIdle(), deadline]);
    cancel.abort();
    this.#context.held.close();
    for (const executor of this.#context.executors.values()) executor.close();
  }

  #keepOutput(taskId: string): void {
    this.#endedIds.push(taskId);
    if (this.#endedIds.length <= ENDED_OUTPUTS_MAX) return;
    const oldest = this.#endedIds.shift();
    if (oldest !== undefined) this.#runners.get(oldest)?.dropOutput();
  }

  #runner(taskId: string): TaskRunner {
    const known = this.#runners.get(taskId);
    if (known !== undefined) return known;
    const runner = new TaskRunner(taskId, this.#context, {
      onForgotten: () => this.#runners.delete(taskId),
      onOutputKept: () => this.#keepOutput(taskId),
    });
    this.#runners.set(taskId, runner);
    return runner;
  }
}

function keysOf(task: AssignedTask): string[] {
  return task.kind === 'run' ? task.files.map(versionKey) : [];
}
