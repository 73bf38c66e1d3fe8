import type { TaskRow } from '@conclave/state';
import { isFailure, stateSinceMs } from './task-kinds.js';

/** Failures of a service on a node, within the window, that make the node a last resort. */
export const NODE_FAILURES_MAX = 5;
/** Milliseconds that a failure counts. */
export const NODE_FAILURE_WINDOW_MS: number = 5 * 60_000;
/** Pairs of service and node that are remembered; the oldest pair is forgotten first. */
export const NODE_FAILURE_PAIRS_MAX = 10_000;

/**
 * Where services failed lately. A hint for ranking only: kept in the memory of the leader and
 * filled from the tasks' history when a leader starts.
 */
export class FailureMemory {
  readonly #times = new Map<string, number[]>();

  /** Notes the task if it ended badly by itself. */
  note(task: TaskRow): void {
    if (!isFailure(task) || task.nodeId === '') return;
    const pair = `${task.serviceId}/${task.nodeId}`;
    const times = [...(this.#times.get(pair) ?? []), stateSinceMs(task)].slice(-NODE_FAILURES_MAX);
    // Set anew, so that the pair is the youngest of the map's order.
    this.#times.delete(pair);
    this.#times.set(pair, times);
    const oldest =
      this.#times.size > NODE_FAILURE_PAIRS_MAX ? this.#times.keys().next() : undefined;
    if (oldest?.done === false) this.#times.delete(oldest.value);
  }

  /** True when the service failed on the node {@link NODE_FAILURES_MAX} times in the window. */
  isFailing(serviceId: string, nodeId: string, nowMs: number): boolean {
    const times = this.#times.get(`${serviceId}/${nodeId}`) ?? [];
    const recent = times.filter((atMs) => nowMs - atMs < NODE_FAILURE_WINDOW_MS);
    return recent.length >= NODE_FAILURES_MAX;
  }

  clear(): void {
    this.#times.clear();
  }
}
