import { required } from '@conclave/kernel';
import type { TaskFile } from '@conclave/memfs';
import type { SecretBytes } from '@conclave/sealed';

import { versionKey } from '../assignment/assigned-task.js';
import type { BoundFile } from '../assignment/assigned-task.js';
import type { TaskUser } from '../executors/executor.js';

/** The files to write for a task: those without an owner of their own belong to its user. */
export function fileSet(
  files: readonly BoundFile[],
  user: TaskUser,
  values: ReadonlyMap<string, SecretBytes>,
): TaskFile[] {
  return files.map((file) => ({
    target: file.target,
    uid: file.uid ?? user.uid,
    gid: file.gid ?? user.gid,
    mode: file.mode,
    value: required(values.get(versionKey(file)), 'a borrowed value'),
  }));
}

/**
 * What an earlier run left of the files that it noted: all of them, none (`wiped`: by the supervisor
 * of a task that ended while no agent was there), or something else.
 */
export function judgeFiles(
  found: readonly string[] | undefined,
  noted: readonly BoundFile[],
): 'whole' | 'wiped' | 'other' {
  if (found === undefined) return 'other';
  const wanted = noted.map(({ target }) => target).toSorted();
  if (found.toSorted().join('/') === wanted.join('/')) return 'whole';
  return found.length === 0 ? 'wiped' : 'other';
}
