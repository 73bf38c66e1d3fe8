import type { NodeRow, ServiceSpec } from '@conclave/state';
import { parseConstraints, satisfies } from './constraints.js';
import type { Constraint } from './constraints.js';

/** Why a node does not take a task, in the words of an explanation; `undefined`: it takes one. */
export type Refusal = { readonly one: string; readonly many: string } | undefined;

const refusal = (rest: string): NonNullable<Refusal> => ({
  one: `is ${rest}`,
  many: `are ${rest}`,
});
const MANAGER: Refusal = { one: 'is a manager', many: 'are managers' };
const PROMOTED = refusal('to be a manager');
const DOWN = refusal('down');
const UNSEEN = refusal('not connected yet');
const DRAINED = refusal('drained');
const PAUSED = refusal('paused');

/** A node that runs tasks, and is to go on doing so: managers have none. */
export function isForTasks(node: NodeRow): boolean {
  return node.role === 'worker' && node.wantedRole === 'worker' && node.availability !== 'drain';
}

/** What a spec demands of a node, parsed once per round. */
export class NodeFitness {
  readonly #constraints: readonly Constraint[];
  readonly #runtime: string;

  constructor(spec: ServiceSpec) {
    this.#constraints = parseConstraints(spec.constraints);
    this.#runtime = spec.runtime;
  }

  /** Why the node may not take a new task. */
  refusalOfNew(node: NodeRow): Refusal {
    if (node.role === 'manager') return MANAGER;
    if (node.wantedRole === 'manager') return PROMOTED;
    if (node.state === 'DOWN') return DOWN;
    if (node.state !== 'READY') return UNSEEN;
    if (node.availability === 'drain') return DRAINED;
    if (node.availability === 'pause') return PAUSED;
    return this.refusalOfKind(node);
  }

  /** Why the node is not of the kind that the spec asks for, whatever its state is. */
  refusalOfKind(node: NodeRow): Refusal {
    for (const constraint of this.#constraints) {
      if (!satisfies(node, constraint)) return constraintRefusal(constraint);
    }
    if (node.executors.includes(this.#runtime)) return undefined;
    return {
      one: `cannot run a ${this.#runtime}`,
      many: `cannot run a ${this.#runtime}`,
    };
  }
}

function constraintRefusal(constraint: Constraint): NonNullable<Refusal> {
  if (constraint.attribute === 'label' && constraint.isEqual) {
    const label = `label ${constraint.labelKey}==${constraint.value}`;
    return { one: `lacks ${label}`, many: `lack ${label}` };
  }
  return {
    one: `does not satisfy ${constraint.text}`,
    many: `do not satisfy ${constraint.text}`,
  };
}

/** `no node fits: 2 are drained, 1 lacks label zone==a`. */
export function explain(
  refusals: ReadonlyMap<string, { count: number; refusal: Refusal }>,
): string {
  if (refusals.size === 0) return 'no node fits: the cluster has no nodes';
  const parts = [...refusals.values()]
    .sort((left, right) => right.count - left.count)
    .map(({ count, refusal: why }) => `${count} ${count === 1 ? why?.one : why?.many}`);
  return `no node fits: ${parts.join(', ')}`;
}
