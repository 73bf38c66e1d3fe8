import type { SecretBytes } from '@conclave/sealed';

import type { Leftover } from './leftovers.js';
import type { Medium } from './medium.js';

/** One file of a task. */
export interface TaskFile {
  /** File name; checked by the rule of targets. */
  readonly target: string;
  readonly uid: number;
  readonly gid: number;
  /** Permission bits, 0..0o777. */
  readonly mode: number;
  /** Lent: the writer neither keeps nor wipes it. */
  readonly value: SecretBytes;
}

/** The files of tasks, in memory. `MountedTaskFiles` is the real one. */
export interface TaskFiles {
  /** Where values rest. */
  readonly medium: Medium;
  /**
   * Makes the place for the files of a task; nothing is in it yet.
   * @throws CV_MOUNT_DENIED
   */
  create(taskId: string): Promise<void>;
  /**
   * Replaces all files of a task at once, or changes nothing. Readers that hold a replaced file
   * open read it to its end, unless `emptiesReplaced`: then they find it empty at once.
   * @returns the number of the new generation, 1 for the first
   * @throws CV_ARGUMENT_INVALID for a bad set, CV_LIMIT_EXCEEDED when there is no room
   */
  write(
    taskId: string,
    files: readonly TaskFile[],
    options?: { readonly emptiesReplaced: boolean },
  ): Promise<number>;
  /**
   * Empties and unlinks every file of every generation, and unmounts. Unknown tasks: nothing to do.
   * `keepsOutput`: what the task printed stays until it is removed without that.
   * @returns copies of the mount that other programs still hold; their files are empty
   * @throws CV_MOUNT_DENIED when the mount stays busy; the files are gone all the same
   */
  remove(taskId: string, options?: { readonly keepsOutput: boolean }): Promise<readonly Leftover[]>;
  /** Takes over the files that an earlier run left; their targets, or undefined: none. */
  adopt(taskId: string): Promise<readonly string[] | undefined>;
  /** Content of a current file; the caller wipes it. */
  read(taskId: string, target: string): SecretBytes;
  /** The folder that a task sees as its secrets. */
  viewPath(taskId: string): string;
  /** Identifies mounts of the view in any mount table. */
  isViewMount(taskId: string, line: { readonly root: string; readonly source: string }): boolean;
  /** Makes another area of a task in memory, for its output; removed with {@link remove}. */
  createOutput(taskId: string, sizeBytes: number): Promise<string>;
  /** The folder of a task: notes about it, never values. */
  taskDir(taskId: string): string;
  /** True while values cannot reach a swap area; to be asked again from time to time. */
  isSwapSafe(): boolean;
  /** Ids of all tasks that have a folder. */
  list(): string[];
}
