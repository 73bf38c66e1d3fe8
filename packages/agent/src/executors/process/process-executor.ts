import { assert, ConclaveError, delay, required } from '@conclave/kernel';
import type { Logger, Random, Timers } from '@conclave/kernel';
import { findTool } from '@conclave/memfs';
import type { TaskFiles } from '@conclave/memfs';

import { KILL_MS_MAX, KILL_ROUND_MS, OUTPUT_BURST_BYTES_MAX } from '../../limits.js';
import type {
  Executor,
  LogsOptions,
  OutputPiece,
  TaskExit,
  TaskPlan,
  TaskUser,
} from '../executor.js';
import { TOOLS } from './command-line.js';
import { execInside } from './exec-inside.js';
import { followOutput } from './follow-output.js';
import { OutputLog } from './output-log.js';
import { checkPlan } from './plan-check.js';
import { isAlive, processesOf } from './process-table.js';
import { kill, RunningTask } from './running-task.js';
import { parseSignal } from './signals.js';
import { startSupervisor } from './start-supervisor.js';
import { TaskNotes } from './task-notes.js';
import { TaskUsers } from './task-user.js';
import type { AgentUser } from './task-user.js';

/** What {@link ProcessExecutor} needs. */
export interface ProcessExecutorOptions {
  readonly files: TaskFiles;
  /** The agent's run folder; hidden from every task. */
  readonly runDir: string;
  /** True when each task's files are a mount of their own. */
  readonly hasTaskMounts: boolean;
  readonly agent: AgentUser;
  readonly timers: Timers;
  readonly random: Random;
  readonly logger: Logger;
  /** Range of uids for tasks; nobody else on the host may use them. */
  readonly uidMin?: number;
  readonly uidMax?: number;
  /** Users of the host, or shared between services, that services may name all the same. */
  readonly allowedUsers?: readonly string[];
}

interface Entry {
  readonly user: TaskUser;
  plan: TaskPlan;
  running: RunningTask | undefined;
  outputs: Record<'stdout' | 'stderr', OutputLog> | undefined;
}

/**
 * Runs tasks as processes of this host: each in a mount namespace of its own with its secrets at
 * /run/secrets, as a user of its own where the agent is root, without capabilities, descriptors or
 * environment of the agent. Tasks outlive the agent and are adopted by its next run.
 */
export class ProcessExecutor implements Executor {
  readonly runtime = 'process';
  readonly #options: ProcessExecutorOptions;
  readonly #users: TaskUsers;
  readonly #entries = new Map<string, Entry>();

  constructor(options: ProcessExecutorOptions) {
    this.#options = options;
    this.#users = new TaskUsers(options);
  }

  // eslint-disable-next-line @typescript-eslint/require-await -- refusals are rejections
  async prepare(plan: TaskPlan): Promise<TaskUser> {
    assert(!this.#entries.has(plan.taskId), 'the task was prepared already');
    checkPlan(plan);
    for (const tool of TOOLS) findTool(tool);
    const user = this.#users.assign(plan);
    this.#entries.set(plan.taskId, { user, plan, running: undefined, outputs: undefined });
    return user;
  }

  async start(plan: TaskPlan): Promise<void> {
    const entry = this.#entry(plan.taskId);
    const { files } = this.#options;
    const outputFolder = await files.createOutput(plan.taskId, OUTPUT_BURST_BYTES_MAX);
    entry.outputs ??= outputsIn(outputFolder);
    entry.plan = plan;
    entry.running = undefined;
    const notes = new TaskNotes(files.taskDir(plan.taskId));
    try {
      const started = await startSupervisor({
        plan,
        user: entry.user,
        notes,
        outputs: entry.outputs,
        viewPath: files.viewPath(plan.taskId),
        runDir: this.#options.runDir,
        hasTaskMounts: this.#options.hasTaskMounts,
        isRoot: this.#isRoot,
        timers: this.#options.timers,
      });
      entry.running = this.#look(entry, { ...started, notes, outputFolder });
    } catch (error) {
      await this.#clearFailed(entry);
      throw error;
    }
  }

  /** Whatever a start that failed has left must not run on unknown, nor its user be given away. */
  async #clearFailed(entry: Entry): Promise<void> {
    const { taskId } = entry.plan;
    try {
      await this.clear(taskId);
    } catch (error) {
      this.#users.withhold(taskId);
      this.#options.logger.error('task.processes-stay', { taskId, error });
    }
  }

  wait(taskId: string): Promise<TaskExit> {
    return this.#running(taskId).ended;
  }

  async stop(taskId: string, options: { readonly graceMs: number }): Promise<TaskExit> {
    const running = this.#running(taskId);
    const { timers, logger } = this.#options;
    const cancel = new AbortController();
    running.signalGroup(parseSignal(this.#entry(taskId).plan.stopSignal));
    const waited = Promise.race([running.ended, delay(timers, options.graceMs, cancel.signal)]);
    const first = await waited;
    cancel.abort();
    if (typeof first === 'object') return first;
    logger.info('task is killed after its grace period', { taskId });
    await running.killAll();
    const deadline = new AbortController();
    const last = await Promise.race([running.ended, delay(timers, KILL_MS_MAX, deadline.signal)]);
    deadline.abort();
    if (typeof last === 'object') return last;
    throw new ConclaveError('CV_EXECUTOR_FAILED', 'processes of the task outlive SIGKILL', {
      hint: 'They hang in the kernel; look at the host.',
    });
  }

  signal(taskId: string, name: string): void {
    if (!this.#running(taskId).signalMain(parseSignal(name))) {
      throw new ConclaveError('CV_EXECUTOR_FAILED', 'the main process has ended');
    }
  }

  async exec(taskId: string, command: string): Promise<number> {
    const entry = this.#entry(taskId);
    const running = this.#running(taskId);
    return await execInside({
      plan: { ...entry.plan, command: [findTool('sh'), '-c', command] },
      user: entry.user,
      isRoot: this.#isRoot,
      supervisorPid: running.supervisor.pid,
      outputs: required(entry.outputs, 'the output of the task'),
      timers: this.#options.timers,
      isTaskThere: () => isAlive(running.supervisor),
    });
  }

  async adopt(plan: TaskPlan): Promise<TaskUser | undefined> {
    const { files } = this.#options;
    const notes = new TaskNotes(files.taskDir(plan.taskId));
    const note = notes.readSupervisor();
    const main = notes.readStarted();
    if (note === undefined || main === undefined) return undefined;
    this.#users.adopt(plan, note.user);
    const outputFolder = await files.createOutput(plan.taskId, OUTPUT_BURST_BYTES_MAX);
    const entry: Entry = {
      user: note.user,
      plan,
      running: undefined,
      outputs: outputsIn(outputFolder),
    };
    const { supervisor } = note;
    entry.running = this.#look(entry, { supervisor, main, notes, outputFolder });
    this.#entries.set(plan.taskId, entry);
    return note.user;
  }

  async clear(taskId: string): Promise<void> {
    assert(this.#entries.get(taskId)?.running === undefined, 'the task is known');
    const until = Math.ceil(KILL_MS_MAX / KILL_ROUND_MS);
    let cause: unknown;
    for (let round = 0; round < until; round += 1) {
      try {
        if (this.#killLeft(taskId) === 0) return;
      } catch (error) {
        cause = error;
      }
      await delay(this.#options.timers, KILL_ROUND_MS);
    }
    const text = 'processes of an old task outlive SIGKILL';
    throw new ConclaveError('CV_EXECUTOR_FAILED', text, { cause });
  }

  /** One round of SIGKILL against what is left of a task; the number of processes. */
  #killLeft(taskId: string): number {
    const note = new TaskNotes(this.#options.files.taskDir(taskId)).readSupervisor();
    if (note !== undefined && isAlive(note.supervisor)) kill(note.supervisor.pid, 'SIGKILL');
    const pids = processesOf({
      user: note?.user ?? this.#entries.get(taskId)?.user,
      isViewMount: this.#isViewMount(taskId),
      exceptPid: undefined,
    });
    for (const pid of pids) kill(pid, 'SIGKILL');
    return pids.length;
  }

  logs(taskId: string, options: LogsOptions): AsyncIterable<OutputPiece> {
    const { outputs, running } = this.#entry(taskId);
    if (outputs === undefined) {
      throw new ConclaveError('CV_TASK_NOT_FOUND', 'the task has no output yet');
    }
    const ended = running?.ended ?? Promise.resolve();
    return followOutput({ outputs, ended, timers: this.#options.timers, options });
  }

  finish(taskId: string): void {
    const running = this.#entries.get(taskId)?.running;
    running?.close();
    running?.cutOutput();
    if (running?.hasLeftovers === true) this.#users.withhold(taskId);
    this.#users.release(taskId);
  }

  remove(taskId: string): void {
    this.finish(taskId);
    this.#entries.delete(taskId);
  }

  close(): void {
    for (const { running } of this.#entries.values()) running?.close();
  }

  get #isRoot(): boolean {
    return this.#options.agent.uid === 0;
  }

  #look(
    entry: Entry,
    parts: Pick<RunningTask, 'supervisor' | 'main'> & { notes: TaskNotes; outputFolder: string },
  ): RunningTask {
    const { stdout, stderr } = required(entry.outputs, 'the output of the task');
    const { timers, logger } = this.#options;
    return new RunningTask({
      ...parts,
      taskId: entry.plan.taskId,
      timers,
      logger,
      outputs: [stdout, stderr],
      marks: { user: entry.user, isViewMount: this.#isViewMount(entry.plan.taskId) },
    });
  }

  #isViewMount(taskId: string): (line: { root: string; source: string }) => boolean {
    return (line) => this.#options.files.isViewMount(taskId, line);
  }

  #entry(taskId: string): Entry {
    return required(this.#entries.get(taskId), 'the task');
  }

  #running(taskId: string): RunningTask {
    return required(this.#entry(taskId).running, 'the running task');
  }
}

function outputsIn(folder: string): Record<'stdout' | 'stderr', OutputLog> {
  return {
    stdout: new OutputLog(`${folder}/stdout`),
    stderr: new OutputLog(`${folder}/stderr`),
  };
}
