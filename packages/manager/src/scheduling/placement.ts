import { isOnNode } from '@conclave/state';
import type { ServiceRow, State, TaskRow } from '@conclave/state';
import type { FailureMemory } from './failure-memory.js';
import { explain, NodeFitness } from './node-fitness.js';
import type { Refusal } from './node-fitness.js';

/** Live tasks per node, over all services. */
export interface NodeLoads {
  of(nodeId: string): number;
}

/** What placement reads. */
export interface PlacementInput {
  readonly service: ServiceRow;
  readonly view: Pick<State, 'nodes' | 'nodeByHostname'>;
  /** All tasks of the service. */
  readonly tasks: Iterable<TaskRow>;
  readonly loads: NodeLoads;
  readonly failures: FailureMemory;
  readonly nowMs: number;
}

interface Candidate {
  readonly nodeId: string;
  readonly isFailing: boolean;
  ofService: number;
  inAll: number;
}

/**
 * Chooses nodes for tasks of one service, one after the other: fewest tasks of the service first,
 * then fewest tasks, then the smaller node id; nodes where the service failed lately come last.
 */
export class Placement {
  /** A binary heap: the best candidate is first. */
  readonly #heap: Candidate[] = [];
  readonly #refusals = new Map<string, { count: number; refusal: Refusal }>();
  readonly #perNodeMax: number;

  constructor(input: PlacementInput) {
    const { service, loads, failures, nowMs } = input;
    const counts = new Map<string, number>();
    for (const task of input.tasks) {
      if (isOnNode(task.state)) counts.set(task.nodeId, (counts.get(task.nodeId) ?? 0) + 1);
    }
    this.#perNodeMax = service.spec.replicasPerNodeMax;
    const fitness = new NodeFitness(service.spec, input.view);
    for (const node of input.view.nodes()) {
      const refusal = fitness.refusalOfNew(node);
      if (refusal !== undefined) {
        this.#refuse(refusal);
        continue;
      }
      this.#offer({
        nodeId: node.id,
        isFailing: failures.isFailing(service.id, node.id, nowMs),
        ofService: counts.get(node.id) ?? 0,
        inAll: loads.of(node.id),
      });
    }
  }

  /** The node for the next task, counted as taken; `undefined` when none fits. */
  take(): string | undefined {
    const best = this.#heap[0];
    if (best === undefined) return undefined;
    best.ofService += 1;
    best.inAll += 1;
    if (this.#isFull(best)) {
      this.#refuseFull();
      const last = this.#heap.pop();
      if (last !== undefined && last !== best) this.#heap[0] = last;
    }
    this.#sink();
    return best.nodeId;
  }

  /** Why {@link take} has nothing to give, counted by reason. */
  explanation(): string {
    return explain(this.#refusals);
  }

  #offer(candidate: Candidate): void {
    if (this.#isFull(candidate)) {
      this.#refuseFull();
      return;
    }
    this.#heap.push(candidate);
    let at = this.#heap.length - 1;
    while (at > 0) {
      const parent = (at - 1) >> 1;
      if (!this.#swapIfBetter(at, parent)) return;
      at = parent;
    }
  }

  #sink(): void {
    let at = 0;
    for (;;) {
      const [left, right] = [2 * at + 1, 2 * at + 2];
      const child = this.#isBetter(right, left) ? right : left;
      if (!this.#swapIfBetter(child, at)) return;
      at = child;
    }
  }

  #swapIfBetter(from: number, to: number): boolean {
    const [mover, other] = [this.#heap[from], this.#heap[to]];
    if (mover === undefined || other === undefined || !this.#isBetter(from, to)) return false;
    this.#heap[from] = other;
    this.#heap[to] = mover;
    return true;
  }

  #isBetter(first: number, second: number): boolean {
    const [left, right] = [this.#heap[first], this.#heap[second]];
    if (left === undefined || right === undefined) return false;
    if (left.isFailing !== right.isFailing) return right.isFailing;
    if (left.ofService !== right.ofService) return left.ofService < right.ofService;
    if (left.inAll !== right.inAll) return left.inAll < right.inAll;
    return left.nodeId < right.nodeId;
  }

  #isFull(candidate: Candidate): boolean {
    return this.#perNodeMax > 0 && candidate.ofService >= this.#perNodeMax;
  }

  #refuseFull(): void {
    const rest = `the most that the service may have per node (${this.#perNodeMax})`;
    this.#refuse({ one: `has ${rest}`, many: `have ${rest}` });
  }

  #refuse(refusal: NonNullable<Refusal>): void {
    const entry = this.#refusals.get(refusal.one);
    if (entry === undefined) this.#refusals.set(refusal.one, { count: 1, refusal });
    else entry.count += 1;
  }
}
