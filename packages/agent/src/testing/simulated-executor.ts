import { ConclaveError, required } from '@conclave/kernel';

import type {
  Executor,
  LogsOptions,
  OutputPiece,
  TaskExit,
  TaskPlan,
  TaskUser,
} from '../executors/executor.js';

interface SimulatedTask {
  plan: TaskPlan;
  readonly ended: Promise<TaskExit>;
  end: (exit: TaskExit) => void;
  hasEnded: boolean;
}

const USER: TaskUser = { uid: 700_000, gid: 700_000, isExclusive: true };

/** Tasks without processes, driven by a test; they outlive an agent that is only dropped. */
export class SimulatedExecutor implements Executor {
  readonly runtime = 'process';
  /** What was done, in order: `start ID`, `signal ID HUP`, ... */
  readonly events: string[] = [];
  /** Refuses to prepare with this text. */
  refusal: string | undefined;
  /** Fails to start with this text. */
  startFailure: string | undefined;
  /** Status of every command run inside. */
  execStatus = 0;
  readonly #tasks = new Map<string, SimulatedTask>();

  /** Ids of tasks that run. */
  get running(): string[] {
    return [...this.#tasks].filter(([, task]) => !task.hasEnded).map(([id]) => id);
  }

  /** The main process of a task ends. */
  end(taskId: string, exitCode: number): void {
    const task = required(this.#tasks.get(taskId), 'the task');
    task.end({ kind: 'exited', exitCode, signal: undefined });
  }

  /** The main process of a task is gone without a status. */
  lose(taskId: string): void {
    const reason = 'it ended together with its supervisor; no status is known';
    required(this.#tasks.get(taskId), 'the task').end({ kind: 'lost', reason });
  }

  prepare(plan: TaskPlan): Promise<TaskUser> {
    this.events.push(`prepare ${plan.taskId}`);
    if (this.refusal === undefined) return Promise.resolve(USER);
    return Promise.reject(new ConclaveError('CV_ARGUMENT_INVALID', this.refusal));
  }

  start(plan: TaskPlan): Promise<void> {
    this.events.push(`start ${plan.taskId}`);
    if (this.startFailure !== undefined) {
      return Promise.reject(new ConclaveError('CV_EXECUTOR_FAILED', this.startFailure));
    }
    let end: (exit: TaskExit) => void = () => undefined;
    const ended = new Promise<TaskExit>((resolve) => {
      end = resolve;
    });
    const task: SimulatedTask = { plan, ended, end: () => undefined, hasEnded: false };
    task.end = (exit) => {
      task.hasEnded = true;
      end(exit);
    };
    this.#tasks.set(plan.taskId, task);
    return Promise.resolve();
  }

  wait(taskId: string): Promise<TaskExit> {
    return required(this.#tasks.get(taskId), 'the task').ended;
  }

  stop(taskId: string): Promise<TaskExit> {
    this.events.push(`stop ${taskId}`);
    const task = required(this.#tasks.get(taskId), 'the task');
    if (!task.hasEnded) task.end({ kind: 'exited', exitCode: 143, signal: 'SIGTERM' });
    return task.ended;
  }

  signal(taskId: string, name: string): void {
    this.events.push(`signal ${taskId} ${name}`);
  }

  exec(taskId: string, command: string): Promise<number> {
    this.events.push(`exec ${taskId} ${command}`);
    return Promise.resolve(this.execStatus);
  }

  adopt(plan: TaskPlan): Promise<TaskUser | undefined> {
    this.events.push(`adopt ${plan.taskId}`);
    return Promise.resolve(this.#tasks.has(plan.taskId) ? USER : undefined);
  }

  clear(taskId: string): Promise<void> {
    this.events.push(`clear ${taskId}`);
    this.#tasks.get(taskId)?.end({ kind: 'lost', reason: 'cleared' });
    this.#tasks.delete(taskId);
    return Promise.resolve();
  }

  async *logs(taskId: string, options: LogsOptions): AsyncGenerator<OutputPiece, void> {
    yield { stream: 'stdout', bytes: new TextEncoder().encode(`output of ${taskId}\n`) };
    if (!options.follow) return;
    await new Promise<void>((resolve) => {
      options.signal.addEventListener('abort', () => resolve(), { once: true });
    });
  }

  finish(taskId: string): void {
    this.events.push(`finish ${taskId}`);
  }

  remove(taskId: string): void {
    this.#tasks.delete(taskId);
  }

  close(): void {
    this.events.push('close');
  }
}
