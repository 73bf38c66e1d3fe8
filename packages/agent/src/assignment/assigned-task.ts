import type { TaskPlan } from '../executors/executor.js';

/** What happens when a bound secret changes under a running task. */
export type ChangeAction =
  | { readonly kind: 'none' }
  | { readonly kind: 'signal'; readonly signal: string }
  | { readonly kind: 'exec'; readonly command: string }
  | { readonly kind: 'restart' };

/** A file of a task: which version of which secret, where and how. */
export interface BoundFile {
  readonly target: string;
  readonly secretId: string;
  /** 1 or more. */
  readonly version: number;
  /** Absent: the user of the task. */
  readonly uid: number | undefined;
  readonly gid: number | undefined;
  readonly mode: number;
  readonly onChange: ChangeAction;
}

/** A task that should run. */
export interface RunningAssignment {
  readonly kind: 'run';
  readonly plan: TaskPlan;
  readonly stopGraceMs: number;
  readonly files: readonly BoundFile[];
  /** Why a required secret cannot be delivered; empty: all are there. */
  readonly undeliverable: string;
}

/** A task that should not run (any more). */
export interface EndedAssignment {
  readonly kind: 'end';
}

/** What a node has to do about a task; checked. */
export type AssignedTask = RunningAssignment | EndedAssignment;

/** `id@version`, the name of a version among those that an agent holds. */
export function versionKey(name: { readonly secretId: string; readonly version: number }): string {
  return `${name.secretId}@${name.version}`;
}
