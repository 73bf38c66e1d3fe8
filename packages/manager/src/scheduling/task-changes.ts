import { isEnded } from '@conclave/state';
import type { TaskChange, TaskRow } from '@conclave/state';
import { isUnplaced } from './task-kinds.js';

/** Tells a task to stop; one that no node knows of ends at once. */
export function stopChanges(task: TaskRow, message: string): readonly TaskChange[] {
  return withEnd(task, { kind: 'desire', id: task.id, desiredState: 'SHUTDOWN' }, message);
}

/** Takes a task away for good: at once when it has ended, else as soon as it has stopped. */
export function removeChanges(task: TaskRow): readonly TaskChange[] {
  if (isEnded(task.state)) return [{ kind: 'delete', id: task.id }];
  // Deleted in a later round, when it has ended.
  if (task.desiredState === 'REMOVE') return [];
  return withEnd(task, { kind: 'desire', id: task.id, desiredState: 'REMOVE' }, 'removed');
}

function withEnd(task: TaskRow, desire: TaskChange, message: string): readonly TaskChange[] {
  if (!isUnplaced(task)) return [desire];
  return [desire, { kind: 'end', id: task.id, state: 'SHUTDOWN', message }];
}
