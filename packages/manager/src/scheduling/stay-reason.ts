import { isEnded } from '@conclave/state';
import type { ServiceRow, State, TaskRow } from '@conclave/state';
import { restartVerdict } from './restart-policy.js';
import { isSelfEnded, isWanted } from './task-kinds.js';

/**
 * Why nothing runs in the place of a task that ended by itself: what the restart policy says.
 * `undefined` when the task did not end so, or another one took or takes its place.
 */
export function stayReason(
  state: Pick<State, 'tasksOfService'>,
  service: ServiceRow,
  task: TaskRow,
): string | undefined {
  if (!isSelfEnded(task) || service.isRemoving) return undefined;
  // The usual policy never lets a place stay down; most lists are answered without looking further.
  const { condition, attemptsMax } = service.spec.restart;
  if (condition === 'any' && attemptsMax === 0) return undefined;
  const samePlace = state
    .tasksOfService(service.id)
    .filter((other) => other.slot === task.slot && (task.slot > 0 || other.nodeId === task.nodeId));
  if (samePlace.some(isWanted)) return undefined;
  const ended = samePlace
    .filter(({ state }) => isEnded(state))
    .toSorted((left, right) => right.objectVersion - left.objectVersion);
  if (ended[0]?.id !== task.id) return undefined;
  const verdict = restartVerdict(service.spec.restart, ended);
  return verdict.kind === 'stay' ? verdict.message : undefined;
}
