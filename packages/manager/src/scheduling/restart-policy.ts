import { limits } from '@conclave/kernel';
import type { RestartSpec, TaskRow } from '@conclave/state';
import { isFailure, isSelfEnded, stateSinceMs } from './task-kinds.js';

/** The most that `attemptsMax` of a restart policy may be: the tries are counted from history. */
export const RESTART_ATTEMPTS_MAX = 100;

/** What follows the end of the newest task of a place. */
export type RestartVerdict =
  | { readonly kind: 'restart'; readonly notBeforeMs: number; readonly message: string }
  | { readonly kind: 'stay'; readonly message: string };

/** Finished tasks kept per place: the usual history, or as many as the policy has to count. */
export function historyCount(policy: RestartSpec): number {
  return Math.max(limits.TASK_HISTORY_COUNT, policy.attemptsMax + 1);
}

/**
 * Decides from committed history alone, so that every leader decides alike. The window is counted
 * back from the newest end, not from now: a place that stays down does not come up by waiting.
 * @param ended finished tasks of the place, newest first; none: it may start at once
 */
export function restartVerdict(policy: RestartSpec, ended: readonly TaskRow[]): RestartVerdict {
  const last = ended[0];
  if (last === undefined) return { kind: 'restart', notBeforeMs: 0, message: '' };
  const isStopped = last.desiredState !== 'RUNNING' || last.state === 'ORPHANED';
  if (isStopped) return { kind: 'restart', notBeforeMs: 0, message: '' };
  if (isSelfEnded(last)) {
    const isWanted = policy.condition === 'any' || isFailure(last);
    if (policy.condition === 'none' || !isWanted) {
      const end = isFailure(last) ? 'failed' : 'completed';
      return stay(`${end}; the restart condition is "${policy.condition}"`);
    }
    const tries = countTries(policy, ended, last);
    if (policy.attemptsMax > 0 && tries > policy.attemptsMax) {
      const window = policy.windowMs === 0 ? '' : ` in ${policy.windowMs / 1000} s`;
      return stay(`restarted ${policy.attemptsMax} times${window}, the most its policy allows`);
    }
  }
  return {
    kind: 'restart',
    notBeforeMs: stateSinceMs(last) + policy.delayMs,
    message: `restarts after a delay of ${policy.delayMs / 1000} s`,
  };
}

function countTries(policy: RestartSpec, ended: readonly TaskRow[], last: TaskRow): number {
  const sinceMs = policy.windowMs === 0 ? 0 : stateSinceMs(last) - policy.windowMs;
  let count = 0;
  for (const task of ended) {
    // A new spec starts the count anew; so does a window's edge.
    if (task.specVersion !== last.specVersion || stateSinceMs(task) < sinceMs) break;
    if (isSelfEnded(task)) count += 1;
  }
  return count;
}

function stay(message: string): RestartVerdict {
  return { kind: 'stay', message: `not restarted: ${message}` };
}
