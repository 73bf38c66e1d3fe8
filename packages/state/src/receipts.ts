import type { CommandOf, Scope } from './scope.js';
import { done } from './scope.js';
import type { CommandResult, ReceiptRow } from './rows.js';
import { rowsOf } from './tables.js';

/**
 * Milliseconds by which a report may have been overtaken by a newer one that came another way. What
 * looks older than that was made after a clock was set back.
 */
const OVERTAKEN_MS_MAX = 60_000;

/**
 * Notes the newest report of each binding. Skipped and counted: unknown tasks, tasks of another
 * node (`foreign`), targets that the task does not bind to that secret, unknown versions, reports
 * that were overtaken (`stale`).
 */
export function reportReceipts(scope: Scope, command: CommandOf<'receipts.report'>): CommandResult {
  const { tables, journal, index } = scope;
  const counts = { applied: 0, unknown: 0, foreign: 0, stale: 0 };
  for (const { nodeId, ...receipt } of command.receipts) {
    const task = tables.tasks.get(receipt.taskId);
    const binding = task?.spec.bindings.find(
      ({ target, secretId }) => target === receipt.target && secretId === receipt.secretId,
    );
    const version = tables.secrets.versionInfo(receipt.secretId, receipt.version);
    if (task !== undefined && task.nodeId !== nodeId) counts.foreign += 1;
    else if (binding === undefined || version === undefined) counts.unknown += 1;
    else if (wasOvertaken(scope, receipt)) counts.stale += 1;
    else {
      journal.put(tables.receipts, { ...receipt, index });
      counts.applied += 1;
    }
  }
  return done(scope, counts);
}

/** One manager may be slow with a report while the agent has sent the next through another. */
function wasOvertaken({ tables }: Scope, receipt: Omit<ReceiptRow, 'index'>): boolean {
  const known = tables.receipts.get(tables.receipts.options.keyOf({ ...receipt, index: 0 }));
  if (known === undefined) return false;
  const behindMs = known.atMs - receipt.atMs;
  return behindMs > 0 && behindMs <= OVERTAKEN_MS_MAX;
}

/** Takes away the receipts of a task that goes. */
export function removeReceipts(scope: Scope, taskId: string): void {
  const { tables, journal } = scope;
  for (const row of rowsOf(tables.receipts, tables.indexes.receiptsByTask.keys(taskId))) {
    journal.remove(tables.receipts, tables.receipts.options.keyOf(row));
  }
}
