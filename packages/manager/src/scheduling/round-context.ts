import type { State } from '@conclave/state';
import type { FailureMemory } from './failure-memory.js';
import type { NodeLoads } from './placement.js';
import type { RoundPlan } from './round-plan.js';

/** The queries of the state that scheduling uses. */
export type SchedulingView = Pick<
  State,
  | 'services'
  | 'serviceById'
  | 'tasks'
  | 'tasksOfService'
  | 'tasksOfNode'
  | 'nodes'
  | 'nodeById'
  | 'nodeByHostname'
>;

/** What planning one round reads and writes. */
export interface RoundContext {
  readonly view: SchedulingView;
  /** The leader's clock, milliseconds since 1970. */
  readonly nowMs: number;
  readonly createId: () => string;
  readonly plan: RoundPlan;
  readonly loads: RoundLoads;
  readonly failures: FailureMemory;
}

/** Loads of the nodes with what this round has placed on top: one entry is not applied half way. */
export class RoundLoads implements NodeLoads {
  readonly #base: NodeLoads;
  readonly #placed = new Map<string, number>();

  constructor(base: NodeLoads) {
    this.#base = base;
  }

  of(nodeId: string): number {
    return this.#base.of(nodeId) + (this.#placed.get(nodeId) ?? 0);
  }

  /** Counts one more task on the node. */
  place(nodeId: string): void {
    this.#placed.set(nodeId, (this.#placed.get(nodeId) ?? 0) + 1);
  }
}

/** The earlier of two times; `undefined` is never. */
export function earlier(left: number | undefined, right: number | undefined): number | undefined {
  if (left === undefined || right === undefined) return left ?? right;
  return Math.min(left, right);
}
