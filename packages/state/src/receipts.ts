import type { CommandOf, Scope } from './scope.js';
import { done } from './scope.js';
import type { CommandResult } from './rows.js';
import { rowsOf } from './tables.js';

/**
 * Notes the newest report of each binding. Skipped and counted: unknown tasks, tasks of another
 * node (`foreign`), targets that the task does not bind to that secret, unknown versions.
 */
export function reportReceipts(scope: Scope, command: CommandOf<'receipts.report'>): CommandResult {
  const { tables, journal, index } = scope;
  const counts = { applied: 0, unknown: 0, foreign: 0 };
  for (const { nodeId, ...receipt } of command.receipts) {
    const task = tables.tasks.get(receipt.taskId);
    const binding = task?.spec.bindings.find(
      ({ target, secretId }) => target === receipt.target && secretId === receipt.secretId,
    );
    const version = tables.secrets.versionInfo(receipt.secretId, receipt.version);
    if (task !== undefined && task.nodeId !== nodeId) counts.foreign += 1;
    else if (binding === undefined || version === undefined) counts.unknown += 1;
    else {
      journal.put(tables.receipts, { ...receipt, index });
      counts.applied += 1;
    }
  }
  return done(scope, counts);
}

/** Takes away the receipts of a task that goes. */
export function removeReceipts(scope: Scope, taskId: string): void {
  const { tables, journal } = scope;
  for (const row of rowsOf(tables.receipts, tables.indexes.receiptsByTask.keys(taskId))) {
    journal.remove(tables.receipts, tables.receipts.options.keyOf(row));
  }
}
