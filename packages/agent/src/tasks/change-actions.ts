import { toConclaveError } from '@conclave/kernel';

import type { BoundFile } from '../assignment/assigned-task.js';
import type { Executor } from '../executors/executor.js';

/** What came of the action of a file. */
export interface ActionResult {
  readonly outcome: 'delivered' | 'reloaded' | 'failed';
  readonly detail: string;
}

/** What came of an action that could not be done. */
export function failedAction(error: unknown): ActionResult {
  return { outcome: 'failed', detail: toConclaveError(error).message };
}

/**
 * Runs the actions of changed files, each different one once. Restarts are the caller's: they do
 * for every file.
 */
export async function runActions(
  executor: Executor,
  taskId: string,
  files: readonly BoundFile[],
): Promise<ReadonlyMap<string, ActionResult>> {
  const done = new Map<string, ActionResult>();
  const results = new Map<string, ActionResult>();
  for (const { target, onChange } of files) {
    const name = JSON.stringify(onChange);
    const result = done.get(name) ?? (await runAction(executor, taskId, onChange));
    done.set(name, result);
    results.set(target, result);
  }
  return results;
}

async function runAction(
  executor: Executor,
  taskId: string,
  action: BoundFile['onChange'],
): Promise<ActionResult> {
  try {
    switch (action.kind) {
      case 'none':
      case 'restart':
        return { outcome: 'delivered', detail: '' };
      case 'signal':
        executor.signal(taskId, action.signal);
        return { outcome: 'reloaded', detail: '' };
      case 'exec': {
        const status = await executor.exec(taskId, action.command);
        return status === 0
          ? { outcome: 'reloaded', detail: '' }
          : { outcome: 'failed', detail: `the command gave exit code ${status}` };
      }
    }
  } catch (error) {
    return failedAction(error);
  }
}
