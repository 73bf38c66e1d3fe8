export { Agent } from './agent.js';
export type { AgentOptions, AgentStatus } from './agent.js';
export { AssignmentAssembler } from './assignment/assembler.js';
export type { Assignment, Position } from './assignment/assembler.js';
export type {
  AssignedTask,
  BoundFile,
  ChangeAction,
  EndedAssignment,
  RunningAssignment,
} from './assignment/assigned-task.js';
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
export type { AgentUser } from './executors/process/task-user.js';
export type { ManagerConnection, ManagerDialer } from './session/connection.js';
export type { ManagerPlace } from './session/manager-book.js';
export type { Standing } from './session/session-loop.js';
export type { NodeDescription } from './session/session.js';
export { transportDialer } from './session/transport-dialer.js';
export { FileRecords } from './tasks/file-records.js';
export type { AgentTaskState, TaskRecord, TaskRecords } from './tasks/task-record.js';
