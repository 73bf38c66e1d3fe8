export type {
  Executor,
  LogsOptions,
  OutputPiece,
  TaskExit,
  TaskPlan,
  TaskUser,
} from './executors/executor.js';
export { ProcessExecutor } from './executors/process/process-executor.js';
export type { ProcessExecutorOptions } from './executors/process/process-executor.js';
