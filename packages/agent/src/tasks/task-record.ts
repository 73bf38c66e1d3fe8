import type { Position } from '../assignment/assembler.js';
import type { BoundFile, RunningAssignment } from '../assignment/assigned-task.js';

/** States of a task that an agent reports, in their order. */
export type AgentTaskState =
  | 'ACCEPTED'
  | 'PREPARING'
  | 'STARTING'
  | 'RUNNING'
  | 'COMPLETE'
  | 'SHUTDOWN'
  | 'FAILED'
  | 'REJECTED';

const ENDS: ReadonlySet<string> = new Set(['COMPLETE', 'SHUTDOWN', 'FAILED', 'REJECTED']);

/** True for the last state of a task. */
export function isEnd(state: AgentTaskState): boolean {
  return ENDS.has(state);
}

/** What came of a file of the current generation: as it was reported, or is to be. */
export interface FileReceipt {
  readonly target: string;
  readonly secretId: string;
  readonly version: number;
  readonly outcome: 'delivered' | 'reloaded' | 'failed';
  readonly detail: string;
  readonly atMs: number;
}

/** What outlives the agent about a task, in memory of the host. Never a value. */
export interface TaskRecord {
  readonly taskId: string;
  readonly state: AgentTaskState;
  readonly message: string;
  readonly error: string;
  readonly exitCode: number | undefined;
  readonly atMs: number;
  /** What it runs by; absent for a task that never started. */
  readonly assignment: RunningAssignment | undefined;
  /** The files of its current generation. */
  readonly files: readonly BoundFile[];
  /** Targets of files that changed under the running task and whose action is still owed. */
  readonly pending: readonly string[];
  /** What came of the others. */
  readonly receipts: readonly FileReceipt[];
}

/** Where records are kept; `FileRecords` is the real one. */
export interface TaskRecords {
  load(): TaskRecord[];
  save(record: TaskRecord): void;
  remove(taskId: string): void;
  /** The newest position that was applied since the host started. */
  loadPosition(): Position | undefined;
  savePosition(position: Position): void;
}
