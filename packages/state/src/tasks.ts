import type { TaskChange, TaskReport } from './commands.js';
import { exposeTask } from './exposure.js';
import { removeReceipts } from './receipts.js';
import type { CommandResult, TaskRow } from './rows.js';
import type { CommandOf, Scope } from './scope.js';
import { done } from './scope.js';
import { removeServiceWithoutTasks } from './services.js';
import { isEnded, stateRank } from './tables.js';

type ChangeOf<Kind extends TaskChange['kind']> = Extract<TaskChange, { kind: Kind }>;

const DESIRED_RANKS = { RUNNING: 0, SHUTDOWN: 1, REMOVE: 2 } as const;

/**
 * Carries out one round of the scheduler. A line whose task, service or node is not as the
 * scheduler saw it is skipped and counted; the next round sees what is true.
 */
export function scheduleTasks(scope: Scope, command: CommandOf<'tasks.schedule'>): CommandResult {
  let applied = 0;
  for (const change of command.changes) if (applyChange(scope, change)) applied += 1;
  return done(scope, { applied, skipped: command.changes.length - applied });
}

function applyChange(scope: Scope, change: TaskChange): boolean {
  switch (change.kind) {
    case 'create':
      return createTask(scope, change);
    case 'assign':
      return assignTask(scope, change);
    case 'explain':
      return explainTask(scope, change);
    case 'desire':
      return desireTask(scope, change);
    case 'end':
      return endTask(scope, change);
    case 'delete':
      return deleteTask(scope, change);
  }
}

function createTask(scope: Scope, change: ChangeOf<'create'>): boolean {
  const { tables, journal, index, command } = scope;
  const service = tables.services.get(change.serviceId);
  if (service === undefined || service.isRemoving || tables.tasks.has(change.id)) return false;
  if (service.specVersion !== change.specVersion) return false;
  const isGlobal = service.spec.mode === 'global';
  const isPlaced = isGlobal ? tables.nodes.has(change.nodeId) : change.nodeId === '';
  if (!isPlaced || isGlobal !== (change.slot === 0)) return false;
  journal.put(tables.tasks, {
    id: change.id,
    serviceId: service.id,
    serviceName: service.spec.name,
    slot: change.slot,
    nodeId: change.nodeId,
    specVersion: service.specVersion,
    spec: service.spec,
    desiredState: 'RUNNING',
    state: 'NEW',
    message: change.message,
    error: '',
    exitCode: undefined,
    notBeforeMs: change.notBeforeMs,
    createdAtMs: command.atMs,
    stateAtMs: command.atMs,
    objectVersion: index,
  });
  return true;
}

/** The entry that gives a node a right to what the task binds: exposure is recorded here. */
function assignTask(scope: Scope, change: ChangeOf<'assign'>): boolean {
  const { tables, command } = scope;
  const task = tables.tasks.get(change.id);
  const node = tables.nodes.get(change.nodeId);
  if (task === undefined || stateRank(task.state) >= stateRank('ASSIGNED')) return false;
  if (task.desiredState !== 'RUNNING' || task.notBeforeMs > command.atMs) return false;
  if (node?.state !== 'READY' || node.availability !== 'active') return false;
  if (task.nodeId !== '' && task.nodeId !== node.id) return false;
  const assigned = moveTask(scope, task, {
    nodeId: node.id,
    state: 'ASSIGNED',
    message: '',
    stateAtMs: command.atMs,
  });
  exposeTask(scope, assigned);
  return true;
}

function explainTask(scope: Scope, change: ChangeOf<'explain'>): boolean {
  const task = scope.tables.tasks.get(change.id);
  if (task === undefined || stateRank(task.state) > stateRank('PENDING')) return false;
  if (task.state === 'PENDING' && task.message === change.message) return false;
  const stateAtMs = task.state === 'PENDING' ? task.stateAtMs : scope.command.atMs;
  moveTask(scope, task, { state: 'PENDING', message: change.message, stateAtMs });
  return true;
}

function desireTask(scope: Scope, change: ChangeOf<'desire'>): boolean {
  const task = scope.tables.tasks.get(change.id);
  if (task === undefined) return false;
  if (DESIRED_RANKS[change.desiredState] <= DESIRED_RANKS[task.desiredState]) return false;
  moveTask(scope, task, { desiredState: change.desiredState });
  return true;
}

/** Only where no agent answers: not assigned, node not READY, or refused before it began. */
function endTask(scope: Scope, change: ChangeOf<'end'>): boolean {
  const task = scope.tables.tasks.get(change.id);
  if (task === undefined || isEnded(task.state)) return false;
  const isAssigned = stateRank(task.state) >= stateRank('ASSIGNED');
  const isAnswered = scope.tables.nodes.get(task.nodeId)?.state === 'READY';
  const isRefusal = change.state === 'REJECTED' && task.state === 'ASSIGNED';
  if (isAssigned && isAnswered && !isRefusal) return false;
  const { state, message } = change;
  moveTask(scope, task, { state, message, stateAtMs: scope.command.atMs });
  return true;
}

function deleteTask(scope: Scope, change: ChangeOf<'delete'>): boolean {
  const task = scope.tables.tasks.get(change.id);
  if (task === undefined || !isEnded(task.state)) return false;
  removeReceipts(scope, task.id);
  scope.journal.remove(scope.tables.tasks, task.id);
  removeServiceWithoutTasks(scope, task.serviceId);
  return true;
}

/** Writes a task with some fields replaced. */
export function moveTask(scope: Scope, task: TaskRow, fields: Partial<TaskRow>): TaskRow {
  const moved = { ...task, ...fields, objectVersion: scope.index };
  scope.journal.put(scope.tables.tasks, moved);
  return moved;
}

/**
 * Applies what agents report. Skipped and counted: tasks that are not there (`unknown`), of another
 * node (`foreign`), and reports that do not go forward (`stale`).
 */
export function reportTasks(scope: Scope, command: CommandOf<'tasks.report'>): CommandResult {
  const counts = { applied: 0, unknown: 0, foreign: 0, stale: 0 };
  for (const report of command.reports) counts[applyReport(scope, report)] += 1;
  return done(scope, counts);
}

function applyReport(
  scope: Scope,
  report: TaskReport,
): 'applied' | 'unknown' | 'foreign' | 'stale' {
  const task = scope.tables.tasks.get(report.taskId);
  if (task === undefined) return 'unknown';
  if (task.nodeId !== report.nodeId) return 'foreign';
  const isAssigned = stateRank(task.state) >= stateRank('ASSIGNED');
  const isForward = stateRank(report.state) > stateRank(task.state);
  // ORPHANED is what managers say of a node that is gone; an agent cannot say it of itself.
  const isAllowed = isAssigned && isForward && report.state !== 'ORPHANED';
  if (!isAllowed || isEnded(task.state)) return 'stale';
  const { state, message, error, exitCode } = report;
  const stateAtMs = Math.min(report.atMs, scope.command.atMs);
  moveTask(scope, task, { state, message, error, exitCode, stateAtMs });
  return 'applied';
}
