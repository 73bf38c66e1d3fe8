import type { BoundFile } from '../assignment/assigned-task.js';

/** What a new set of files means for a running task. */
export interface FileChanges {
  /** True when a new generation has to be written. */
  readonly isAny: boolean;
  /** Files that were there with other content: their action runs. */
  readonly changed: readonly BoundFile[];
  /** Files that are new, or have another owner or mode only. */
  readonly added: readonly BoundFile[];
  /** True when a secret is taken away altogether. */
  readonly isWithdrawing: boolean;
}

/** Compares the files that are written with those that should be. */
export function compareFiles(
  written: readonly BoundFile[],
  wanted: readonly BoundFile[],
): FileChanges {
  const before = new Map(written.map((file) => [file.target, file]));
  const changed: BoundFile[] = [];
  const added: BoundFile[] = [];
  for (const file of wanted) {
    const old = before.get(file.target);
    const isSameValue = old?.secretId === file.secretId && old.version === file.version;
    const isSameOwner = old?.uid === file.uid && old?.gid === file.gid && old?.mode === file.mode;
    if (old !== undefined && !isSameValue) changed.push(file);
    else if (old === undefined || !isSameOwner) added.push(file);
  }
  const isAny = changed.length + added.length > 0 || written.length !== wanted.length;
  const stays = new Set(wanted.map(({ secretId }) => secretId));
  const isWithdrawing = written.some(({ secretId }) => !stays.has(secretId));
  return { isAny, changed, added, isWithdrawing };
}
