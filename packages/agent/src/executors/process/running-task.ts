import { watch } from 'node:fs';
import type { FSWatcher } from 'node:fs';

import { delay } from '@conclave/kernel';
import type { Logger, TimerHandle, Timers } from '@conclave/kernel';

import { KILL_ROUND_MS, KILL_ROUNDS_MAX, OUTPUT_CUT_MS, PROCESS_POLL_MS } from '../../limits.js';
import type { TaskExit } from '../executor.js';
import type { OutputLog } from './output-log.js';
import { isAlive, processesOf } from './process-table.js';
import type { ProcessIdentity, TaskMarks } from './process-table.js';
import { signalOfStatus } from './signals.js';
import type { TaskNotes } from './task-notes.js';

/** What a {@link RunningTask} looks after. */
export interface RunningTaskParts {
  readonly taskId: string;
  readonly timers: Timers;
  readonly logger: Logger;
  readonly notes: TaskNotes;
  readonly supervisor: ProcessIdentity;
  readonly main: ProcessIdentity;
  readonly marks: Omit<TaskMarks, 'exceptPid'>;
  readonly outputs: readonly OutputLog[];
  readonly outputFolder: string;
}

/**
 * A task whose command was started, by this run of the agent or an earlier one. Notices its end by
 * the note of the supervisor, or by looking for its processes when the supervisor is gone too; then
 * kills what the main process left behind, and the supervisor, which would wipe the files otherwise.
 * Cuts the output while it grows. Nothing that its callbacks meet ends the agent: they come again.
 */
export class RunningTask {
  readonly main: ProcessIdentity;
  readonly supervisor: ProcessIdentity;
  /** Resolves when nothing of the task runs any more. */
  readonly ended: Promise<TaskExit>;
  readonly #parts: RunningTaskParts;
  readonly #watchers: FSWatcher[] = [];
  readonly #poll: TimerHandle;
  #settle: (exit: TaskExit) => void = () => undefined;
  #isEnding = false;
  #hasLeftovers = false;
  /** Set while the output was cut just now: until then further events count as one. */
  #cutPause: TimerHandle | undefined;
  #isCutDue = false;

  constructor(parts: RunningTaskParts) {
    this.#parts = parts;
    this.main = parts.main;
    this.supervisor = parts.supervisor;
    this.ended = new Promise((resolve) => {
      this.#settle = resolve;
    });
    this.#watch(parts.notes.folder, () => this.#look());
    this.#watch(parts.outputFolder, () => this.#noticeOutput());
    this.#poll = parts.timers.every(PROCESS_POLL_MS, () => {
      this.#noticeOutput();
      this.#look();
    });
    this.#look();
  }

  /** True when something of the ended task outlives SIGKILL: it hangs in the kernel. */
  get hasLeftovers(): boolean {
    return this.#hasLeftovers;
  }

  /** Stops looking; the task goes on and `ended` stays open. */
  close(): void {
    this.#poll.cancel();
    this.#cutPause?.cancel();
    for (const watcher of this.#watchers) watcher.close();
  }

  /** Signals the process group of the main process; false when that has ended. */
  signalGroup(signal: NodeJS.Signals): boolean {
    return this.#signal(-this.main.pid, signal);
  }

  /** Signals the main process alone; false when it has ended. */
  signalMain(signal: NodeJS.Signals): boolean {
    return this.#signal(this.main.pid, signal);
  }

  /** Cuts the output once more, as far as that is possible. */
  cutOutput(): void {
    for (const output of this.#parts.outputs) this.#guard(() => output.rotate());
  }

  /** Kills every process of the task but its supervisor, until none is left. */
  async killAll(): Promise<void> {
    await this.#killAllBut(this.supervisor.pid);
  }

  /** False when some are left after all rounds. */
  async #killAllBut(exceptPid: number | undefined): Promise<boolean> {
    for (let round = 0; round < KILL_ROUNDS_MAX; round += 1) {
      const pids = this.#guard(() => processesOf({ ...this.#parts.marks, exceptPid }));
      if (pids?.length === 0) return true;
      for (const pid of pids ?? []) kill(pid, 'SIGKILL');
      await delay(this.#parts.timers, KILL_ROUND_MS);
    }
    return false;
  }

  #signal(pid: number, signal: NodeJS.Signals): boolean {
    return isAlive(this.main) && kill(pid, signal);
  }

  #watch(folder: string, look: () => void): void {
    // The host may have no watch left, and the folder may vanish with its task: the poll goes on.
    const watcher = this.#guard(() => watch(folder, { persistent: false }, look));
    if (watcher === undefined) return;
    watcher.on('error', () => watcher.close());
    this.#watchers.push(watcher);
  }

  /** Cuts the output at once, and then again only after a pause: each write of a task is an event. */
  #noticeOutput(): void {
    this.#isCutDue = this.#cutPause !== undefined;
    if (this.#isCutDue) return;
    this.cutOutput();
    this.#cutPause = this.#parts.timers.after(OUTPUT_CUT_MS, () => {
      this.#cutPause = undefined;
      if (this.#isCutDue) this.#noticeOutput();
    });
  }

  /** What `work` answers; undefined when it failed, which is logged. It will be tried again. */
  #guard<T>(work: () => T): T | undefined {
    try {
      return work();
    } catch (error) {
      const { taskId, logger } = this.#parts;
      logger.warn('task.look-failed', { taskId, error });
      return undefined;
    }
  }

  #look(): void {
    if (this.#isEnding) return;
    const exit = this.#guard(() => this.#exit());
    if (exit === undefined) return;
    this.#isEnding = true;
    this.close();
    void this.#end(exit);
  }

  async #end(exit: TaskExit): Promise<void> {
    this.#hasLeftovers = !(await this.#killAllBut(undefined));
    this.#settle(exit);
  }

  #exit(): TaskExit | undefined {
    const status = this.#parts.notes.readExit();
    if (status !== undefined) {
      return { kind: 'exited', exitCode: status, signal: signalOfStatus(status) };
    }
    if (isAlive(this.main) || isAlive(this.supervisor)) return undefined;
    // The note may have come between the two looks.
    const last = this.#parts.notes.readExit();
    if (last !== undefined) {
      return { kind: 'exited', exitCode: last, signal: signalOfStatus(last) };
    }
    return { kind: 'lost', reason: 'it ended together with its supervisor; no status is known' };
  }
}

/** Sends a signal; false when there is no such process any more. */
export function kill(pid: number, signal: NodeJS.Signals): boolean {
  try {
    process.kill(pid, signal);
    return true;
  } catch {
    return false;
  }
}
