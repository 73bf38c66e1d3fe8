import { isOnNode } from '@conclave/state';
import type { TaskRow } from '@conclave/state';
import type { NodeLoads } from './placement.js';

/** Counts live tasks per node, kept up by the changes of the state. */
export class LoadIndex implements NodeLoads {
  readonly #counts = new Map<string, number>();

  of(nodeId: string): number {
    return this.#counts.get(nodeId) ?? 0;
  }

  /** Follows a change of one task: `undefined` where the task did not or does not exist. */
  follow(before: TaskRow | undefined, after: TaskRow | undefined): void {
    if (before !== undefined && isOnNode(before.state)) this.#add(before.nodeId, -1);
    if (after !== undefined && isOnNode(after.state)) this.#add(after.nodeId, 1);
  }

  clear(): void {
    this.#counts.clear();
  }

  #add(nodeId: string, change: number): void {
    const count = this.of(nodeId) + change;
    if (count === 0) this.#counts.delete(nodeId);
    else this.#counts.set(nodeId, count);
  }
}
