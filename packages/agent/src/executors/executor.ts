/** Who a task runs as. */
export interface TaskUser {
  readonly uid: number;
  readonly gid: number;
  /** True when no other task and nobody on the host has this uid. */
  readonly isExclusive: boolean;
}

/** Everything an executor needs to know of a task; no values. */
export interface TaskPlan {
  readonly taskId: string;
  readonly serviceName: string;
  /** 0 for a task of a global service. */
  readonly slot: number;
  readonly runtime: string;
  readonly command: readonly string[];
  readonly env: Readonly<Record<string, string>>;
  /** Absolute; empty: the root folder. */
  readonly workingDirectory: string;
  /** "uid[:gid]"; empty: a user of its own where the agent may, else the agent's. */
  readonly user: string;
  /** Name with or without SIG; empty: TERM. */
  readonly stopSignal: string;
}

/** How the main process of a task ended. */
export type TaskExit =
  | {
      readonly kind: 'exited';
      /** 0..255; above 128 also for a signal, as shells count. */
      readonly exitCode: number;
      /** The signal that such a status stands for; a program may have chosen it by itself. */
      readonly signal: string | undefined;
    }
  /** Gone without a status: its supervisor was killed too, or the host started anew. */
  | { readonly kind: 'lost'; readonly reason: string };

/** A piece of output. */
export interface OutputPiece {
  readonly stream: 'stdout' | 'stderr';
  readonly bytes: Uint8Array;
}

/** What to read of the output of a task. */
export interface LogsOptions {
  /** Lines from the end of each stream; 0: all that is kept. */
  readonly tailLines: number;
  /** Goes on until the task ends or `signal` fires. */
  readonly follow: boolean;
  readonly signal: AbortSignal;
}

/**
 * Runs tasks of one runtime. Calls for one task come one after the other, except `wait`, `stop`
 * and `logs`. Every method but `adopt` and `remove` needs a started or adopted task.
 */
export interface Executor {
  readonly runtime: string;
  /**
   * Checks a plan before anything is made for it, and settles who it runs as.
   * @throws CV_UNSUPPORTED, CV_ARGUMENT_INVALID, CV_EXECUTOR_FAILED: the task is to be REJECTED
   */
  prepare(plan: TaskPlan): Promise<TaskUser>;
  /**
   * Starts the command; resolves when it runs. Its files must be there.
   * @throws CV_EXECUTOR_FAILED, CV_MOUNT_DENIED when the place for it could not be made
   */
  start(plan: TaskPlan): Promise<void>;
  /** Resolves when the main process has ended and nothing of the task runs any more. */
  wait(taskId: string): Promise<TaskExit>;
  /** Asks with the stop signal, waits `graceMs`, then kills everything of the task. */
  stop(taskId: string, options: { readonly graceMs: number }): Promise<TaskExit>;
  /**
   * Sends a signal to the main process.
   * @throws CV_EXECUTOR_FAILED when it has ended
   */
  signal(taskId: string, name: string): void;
  /**
   * Runs `command` by /bin/sh inside the task, as its user; resolves with the status.
   * @throws CV_EXECUTOR_FAILED when it cannot be run, CV_DEADLINE when it was killed
   */
  exec(taskId: string, command: string): Promise<number>;
  /** Takes over what an earlier run started; undefined: nothing of it is there. */
  adopt(plan: TaskPlan): Promise<TaskUser | undefined>;
  /** Kills what an earlier run may have left of a task that nobody knows any more. */
  clear(taskId: string): Promise<void>;
  logs(taskId: string, options: LogsOptions): AsyncIterable<OutputPiece>;
  /** Gives up what an ended task held, but keeps its output readable. */
  finish(taskId: string): void;
  /** Forgets an ended task. */
  remove(taskId: string): void;
  /** Leaves all tasks alone and stops looking at them. */
  close(): void;
}
