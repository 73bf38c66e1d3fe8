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
