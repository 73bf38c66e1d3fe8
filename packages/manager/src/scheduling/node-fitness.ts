import type { NodeRow, ServiceSpec, State } from '@conclave/state';
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
const NAMESAKE: Refusal = {
  one: 'has the host name of a node that joined before it',
  many: 'have the host name of a node that joined before them',
};

/** A node that runs tasks, and is to go on doing so: managers have none. */
export function isForTasks(node: NodeRow): boolean {
  return node.role === 'worker' && node.wantedRole === 'worker' && node.availability !== 'drain';
}

/** What a spec demands of a node, parsed once per round. */
export class NodeFitness {
  readonly #constraints: readonly Constraint[];
  readonly #runtime: string;
  readonly #nodes: Pick<State, 'nodeByHostname'>;

  constructor(spec: ServiceSpec, nodes: Pick<State, 'nodeByHostname'>) {
    this.#nodes = nodes;
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
      if (isByHostname(constraint) && this.#isNamesake(node)) return NAMESAKE;
    }
    if (node.executors.includes(this.#runtime)) return undefined;
    return {
      one: `cannot run a ${this.#runtime}`,
      many: `cannot run a ${this.#runtime}`,
    };
  }

  /**
   * True for a node whose host name an older one has: a host says itself what it is called when it
   * joins, and must not get the tasks of another one by that.
   */
  #isNamesake(node: NodeRow): boolean {
    const { createdAtMs, hostname, id } = node;
    return this.#nodes
      .nodeByHostname(hostname)
      .some(
        (other) =>
          other.waiting === undefined &&
          (other.createdAtMs < createdAtMs || (other.createdAtMs === createdAtMs && other.id < id)),
      );
  }
}

function isByHostname({ attribute, isEqual }: Constraint): boolean {
  return attribute === 'node.hostname' && isEqual;
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
