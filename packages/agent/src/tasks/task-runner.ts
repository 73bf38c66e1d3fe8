import { ConclaveError, required, toConclaveError } from '@conclave/kernel';
import type { TimerHandle } from '@conclave/kernel';

import { versionKey } from '../assignment/assigned-task.js';
import type { AssignedTask, RunningAssignment } from '../assignment/assigned-task.js';
import type { Executor, TaskExit, TaskUser } from '../executors/executor.js';
import { FILES_RETRY_MS } from '../limits.js';
import { failedAction, runActions } from './change-actions.js';
import { exitText } from './exit-text.js';
import { compareFiles } from './file-changes.js';
import { fileSet, judgeFiles } from './file-set.js';
import type { TaskContext, TaskEvents } from './task-context.js';
import { TaskJournal } from './task-journal.js';
import { isEnd } from './task-record.js';
import type { TaskRecord } from './task-record.js';

/** What the owner of a runner wants of its task; `gone`: the cluster knows it no more. */
export type Wanted = AssignedTask | { readonly kind: 'gone' };

interface Running {
  readonly executor: Executor;
  readonly user: TaskUser;
}

/**
 * Brings one task from what it is to what is wanted, one step after the other; of several wishes
 * that come meanwhile only the newest counts. Files go before an end is reported.
 */
export class TaskRunner {
  readonly taskId: string;
  readonly #context: TaskContext;
  readonly #events: TaskEvents;
  readonly #journal: TaskJournal;
  #wanted: Wanted | undefined;
  #running: Running | undefined;
  #exit: TaskExit | undefined;
  /** Tells the end of this start from that of an earlier one. */
  #startNumber = 0;
  #hasFiles = false;
  /** Who keeps the output of the ended task. */
  #outputAt: Executor | undefined;
  #dropsOutput = false;
  #isDirty = false;
  #isBusy = false;
  #isClosed = false;
  #retry: TimerHandle | undefined;
  #idle: (() => void)[] = [];

  constructor(taskId: string, context: TaskContext, events: TaskEvents) {
    this.taskId = taskId;
    this.#context = context;
    this.#events = events;
    this.#journal = new TaskJournal(taskId, context);
  }

  get record(): TaskRecord {
    return this.#journal.record;
  }

  /** The executor that has the output of the task. */
  get executor(): Executor | undefined {
    return this.#running?.executor ?? this.#outputAt;
  }

  /** Gives up the output of an ended task. */
  dropOutput(): void {
    this.#dropsOutput = true;
    this.#wake();
  }

  /** Sets what is wanted; the work is done in the background. */
  want(wanted: Wanted): void {
    this.#wanted = wanted;
    this.#wake();
  }

  /** Resolves when nothing is left to do for now. */
  whenIdle(): Promise<void> {
    if (!this.#isBusy) return Promise.resolve();
    return new Promise((resolve) => this.#idle.push(resolve));
  }

  /** Leaves the task alone from now on. */
  close(): void {
    this.#isClosed = true;
    this.#retry?.cancel();
  }

  /** Takes over what an earlier run of the agent noted. What does not match is wiped. */
  async adopt(record: TaskRecord): Promise<void> {
    this.#journal.restore(record);
    const { assignment, files } = record;
    const executor = this.#context.executors.get(assignment?.plan.runtime ?? '');
    if (isEnd(record.state)) {
      await this.#wipeOld(executor);
      return;
    }
    const lost = (error: unknown): undefined => {
      this.#context.logger.warn('task.not-adopted', { taskId: this.taskId, error });
    };
    const targets = await this.#context.files.adopt(this.taskId).catch(lost);
    const found = judgeFiles(targets, files);
    const isThere = record.state === 'RUNNING' && assignment !== undefined && found !== 'other';
    // What cannot be taken over is ended below: it would go on without anybody who knows of it.
    const user = isThere ? await executor?.adopt(assignment.plan).catch(lost) : undefined;
    if (executor === undefined || user === undefined) {
      await this.#wipeOld(executor);
      this.#journal.end('FAILED', { message: 'it was lost while the agent was away' });
      return;
    }
    this.#hasFiles = true;
    this.#running = { executor, user };
    this.#listen(executor);
    this.#journal.tellReceipts();
    // Whatever empties its files, a task must not go on without them.
    if (found === 'wiped') await executor.stop(this.taskId, { graceMs: 0 });
  }

  async #wipeOld(executor: Executor | undefined): Promise<void> {
    await executor?.clear(this.taskId);
    await this.#context.files.remove(this.taskId);
  }

  #wake(): void {
    this.#isDirty = true;
    if (this.#isBusy || this.#isClosed) return;
    this.#isBusy = true;
    void this.#run();
  }

  async #run(): Promise<void> {
    while (this.#isDirty && !this.#isClosed) {
      this.#isDirty = false;
      try {
        await this.#step();
      } catch (error) {
        const { code, message } = toConclaveError(error);
        this.#context.logger.error('task.step-failed', {
          taskId: this.taskId,
          code,
          error,
          message,
        });
        this.#tryLater();
      }
    }
    this.#isBusy = false;
    for (const resolve of this.#idle.splice(0)) resolve();
  }

  async #step(): Promise<void> {
    const wanted = this.#wanted;
    if (this.#exit !== undefined) await this.#finish(this.#exit);
    if (this.#dropsOutput) await this.#wipeOutput();
    if (wanted === undefined) return;
    if (isEnd(this.record.state)) await this.#stayEnded(wanted);
    else if (wanted.kind !== 'run') await this.#shutDown();
    else if (this.#running === undefined) await this.#start();
    else await this.#update(wanted);
    if (this.#wanted?.kind === 'gone' && isEnd(this.record.state)) await this.#forget();
  }

  async #start(): Promise<void> {
    this.#journal.report('ACCEPTED');
    const { starts } = this.#context;
    await starts.use(async () => {
      let running: Running | undefined;
      try {
        this.#journal.report('PREPARING');
        running = await this.#prepare();
        this.#journal.report('STARTING');
        await running.executor.start(this.#assignment().plan);
      } catch (error) {
        await this.#giveUp(running?.executor, 'REJECTED', error);
        return;
      }
      this.#running = running;
      this.#listen(running.executor);
      this.#journal.report('RUNNING');
    });
  }

  /** It cannot be started, or is not wanted any more. */
  async #giveUp(
    executor: Executor | undefined,
    state: 'REJECTED' | 'FAILED',
    error: unknown,
  ): Promise<void> {
    await this.#cleanUp(executor);
    const isWanted = this.#wanted?.kind === 'run';
    this.#journal.end(isWanted ? state : 'SHUTDOWN', {
      message: 'not started',
      error: toConclaveError(error).message,
    });
  }

  async #prepare(): Promise<Running> {
    const { executors, files } = this.#context;
    const { plan } = this.#assignment();
    const executor = executors.get(plan.runtime);
    if (executor === undefined) {
      throw new ConclaveError('CV_UNSUPPORTED', 'this version runs processes only');
    }
    const user = await executor.prepare(plan);
    try {
      await files.create(this.taskId);
      this.#hasFiles = true;
      await this.#write(user);
      return { executor, user };
    } catch (error) {
      await this.#cleanUp(executor);
      throw error;
    }
  }

  /** Writes the files that are wanted now: the values of an older wish may be gone. */
  async #write(user: TaskUser): Promise<void> {
    const assignment = this.#assignment();
    const { held, files } = this.#context;
    await held.borrow(assignment.files.map(versionKey), async (values) => {
      const set = fileSet(assignment.files, user, values);
      const isWithdrawing = compareFiles(this.record.files, assignment.files).isWithdrawing;
      await files.write(this.taskId, set, { emptiesReplaced: isWithdrawing });
    });
    this.#journal.noteFiles(assignment);
  }

  /** What the task should run by now. */
  #assignment(): RunningAssignment {
    const wanted = this.#wanted;
    if (wanted?.kind !== 'run') {
      throw new ConclaveError('CV_CANCELLED', 'it was told to stop before it had started');
    }
    if (wanted.undeliverable !== '') {
      throw new ConclaveError('CV_VERSION_NOT_FOUND', wanted.undeliverable);
    }
    return wanted;
  }

  async #update(wanted: RunningAssignment): Promise<void> {
    const { user } = required(this.#running, 'the running task');
    if (wanted.undeliverable !== '') {
      await this.#stop(wanted.stopGraceMs);
      this.#journal.end('REJECTED', {
        message: 'a secret was withdrawn',
        error: wanted.undeliverable,
      });
      return;
    }
    const changes = compareFiles(this.record.files, wanted.files);
    if (changes.isAny) {
      try {
        await this.#write(user);
      } catch (error) {
        this.#journal.fail([...changes.changed, ...changes.added], toConclaveError(error).message);
        this.#tryLater();
        return;
      }
    }
    await this.#reload(wanted.stopGraceMs);
  }

  /** Runs what is owed for changed files, also by an earlier run of the agent. */
  async #reload(graceMs: number): Promise<void> {
    const { pending } = this.#journal;
    if (pending.length === 0) return;
    if (pending.some(({ onChange }) => onChange.kind === 'restart')) {
      await this.#restart(graceMs);
      return;
    }
    const { executor } = required(this.#running, 'the running task');
    const results = await runActions(executor, this.taskId, pending);
    this.#journal.settle(({ target }) => required(results.get(target), 'the result of an action'));
  }

  async #restart(graceMs: number): Promise<void> {
    const { executor, user } = required(this.#running, 'the running task');
    this.#startNumber += 1;
    try {
      await executor.stop(this.taskId, { graceMs });
    } catch (error) {
      this.#listen(executor);
      this.#journal.settle(() => failedAction(error));
      return;
    }
    this.#exit = undefined;
    try {
      // Again: an agent that slept finds that the supervisor has wiped the files of what had ended.
      // Newer versions that came meanwhile are written, and settled, with it.
      await this.#write(user);
      await executor.start(required(this.record.assignment, 'the assignment').plan);
    } catch (error) {
      this.#journal.settle(() => failedAction(error));
      await this.#giveUp(executor, 'FAILED', error);
      return;
    }
    this.#listen(executor);
    this.#journal.settle(() => ({ outcome: 'reloaded', detail: 'restarted' }));
  }

  async #shutDown(): Promise<void> {
    const graceMs = this.record.assignment?.stopGraceMs ?? 0;
    const exit = await this.#stop(graceMs);
    const exitCode = exit?.kind === 'exited' ? exit.exitCode : undefined;
    const message = exit === undefined ? 'it did not run' : exitText(exit);
    this.#journal.end('SHUTDOWN', { message, exitCode });
  }

  /** Stops what runs and wipes its files, which also happens when it cannot be stopped. */
  async #stop(graceMs: number): Promise<TaskExit | undefined> {
    const running = this.#running;
    this.#startNumber += 1;
    let exit: TaskExit | undefined;
    try {
      exit = await running?.executor.stop(this.taskId, { graceMs });
    } finally {
      await this.#wipe();
    }
    await this.#cleanUp(running?.executor);
    return exit;
  }

  /** The main process ended by itself. */
  async #finish(exit: TaskExit): Promise<void> {
    this.#exit = undefined;
    const executor = this.#running?.executor;
    this.#running = undefined;
    await this.#wipe({ keepsOutput: true });
    executor?.finish(this.taskId);
    this.#outputAt = executor;
    this.#events.onOutputKept();
    const isGood = exit.kind === 'exited' && exit.exitCode === 0;
    const exitCode = exit.kind === 'exited' ? exit.exitCode : undefined;
    const text = exitText(exit);
    this.#journal.end(isGood ? 'COMPLETE' : 'FAILED', {
      message: text,
      error: isGood ? '' : text,
      exitCode,
    });
  }

  /** An ended task stays as it is; the managers hear of it again, should they not know. */
  async #stayEnded(wanted: Wanted): Promise<void> {
    if (this.#hasFiles) await this.#wipe({ keepsOutput: this.#outputAt !== undefined });
    if (wanted.kind !== 'gone') this.#journal.tellEnd();
  }

  async #forget(): Promise<void> {
    await this.#wipeOutput();
    if (this.#hasFiles) return;
    this.#context.records.remove(this.taskId);
    this.close();
    this.#events.onForgotten();
  }

  #listen(executor: Executor): void {
    this.#startNumber += 1;
    const number = this.#startNumber;
    void executor.wait(this.taskId).then((exit) => {
      if (number !== this.#startNumber) return;
      this.#exit = exit;
      this.#wake();
    });
  }

  async #cleanUp(executor: Executor | undefined): Promise<void> {
    this.#running = undefined;
    await this.#wipe();
    executor?.remove(this.taskId);
  }

  async #wipeOutput(): Promise<void> {
    const executor = this.#outputAt;
    if (executor === undefined) return;
    await this.#context.files.remove(this.taskId);
    this.#hasFiles = false;
    this.#outputAt = undefined;
    executor.remove(this.taskId);
  }

  async #wipe(options = { keepsOutput: false }): Promise<void> {
    if (!this.#hasFiles) return;
    try {
      await this.#context.files.remove(this.taskId, options);
      this.#hasFiles = false;
    } catch (error) {
      // The files are empty and unlinked; the mount itself is tried again.
      const { code, message } = toConclaveError(error);
      this.#context.logger.warn('task.files-stay', { taskId: this.taskId, code, message });
      this.#tryLater();
    }
  }

  #tryLater(): void {
    this.#retry?.cancel();
    this.#retry = this.#context.timers.after(FILES_RETRY_MS, () => this.#wake());
  }
}
