import type { DiskFault, FaultClass, SimParameters } from './parameters.js';
import { DISK_FAULTS, FAULT_CLASSES } from './parameters.js';
import { Prng } from './prng.js';
import type { Micros } from './scheduler.js';

/** What a client asks for; `burst`: several proposals that nobody waits for. */
export type OperationKind = 'write' | 'swap' | 'read' | 'burst';

/**
 * One decision of a run: a fault or an operation of a client. The numbers are raw; what they mean
 * is found out when the action is due, from the state at that time. So an action still means
 * something after others were taken out of the list.
 */
export interface PlanAction {
  /** When it is due. */
  readonly at: Micros;
  readonly kind: FaultClass | DiskFault | OperationKind;
  /** Whom, what, how: 0..2^32-1 each. */
  readonly x: number;
  readonly y: number;
  readonly z: number;
}

/** Actions in the order in which they are due. */
export interface ActionSource {
  /** The next action, or undefined if there is none any more. */
  next(): PlanAction | undefined;
}

const OPERATIONS: readonly OperationKind[] = ['write', 'write', 'swap', 'read', 'burst'];

/** Draws actions from a seed, one after the other, without end. */
export class DrawnActions implements ActionSource {
  readonly #parameters: SimParameters;
  readonly #operations: Prng;
  readonly #faults: Prng;
  readonly #kinds: readonly (FaultClass | DiskFault)[];
  #operationAt: Micros = 0;
  #faultAt: Micros = 0;

  /**
   * @param seed of the run
   * @param parameters of the run
   */
  constructor(seed: number, parameters: SimParameters) {
    const prng = new Prng(seed).split('plan');
    this.#parameters = parameters;
    this.#operations = prng.split('operations');
    this.#faults = prng.split('faults');
    this.#kinds = [...FAULT_CLASSES, ...DISK_FAULTS].flatMap((kind) =>
      Array.from<FaultClass | DiskFault>({ length: parameters.faults[kind] ?? 0 }).fill(kind),
    );
    this.#operationAt = interval(this.#operations, parameters.operationMicros);
    this.#faultAt = interval(this.#faults, parameters.faultMicros);
  }

  next(): PlanAction {
    const { operationMicros, faultMicros } = this.#parameters;
    if (this.#operationAt <= this.#faultAt || this.#kinds.length === 0) {
      const prng = this.#operations;
      const kind = prng.pick(OPERATIONS);
      const action = actionOf(prng, this.#operationAt, kind);
      this.#operationAt += interval(prng, operationMicros);
      return action;
    }
    const prng = this.#faults;
    const action = actionOf(prng, this.#faultAt, prng.pick(this.#kinds));
    this.#faultAt += interval(prng, faultMicros);
    return action;
  }
}

function interval(prng: Prng, mean: Micros): Micros {
  return 1 + prng.below(2 * mean);
}

function actionOf(prng: Prng, at: Micros, kind: PlanAction['kind']): PlanAction {
  return { at, kind, x: prng.uint32(), y: prng.uint32(), z: prng.uint32() };
}

/** Replays a list of actions. */
export class ListedActions implements ActionSource {
  readonly #actions: readonly PlanAction[];
  #position = 0;

  /** @param actions in the order in which they are due */
  constructor(actions: readonly PlanAction[]) {
    this.#actions = actions;
  }

  next(): PlanAction | undefined {
    return this.#actions[this.#position++];
  }
}

/** Whether an action comes from a client. */
export function isOperation(kind: PlanAction['kind']): kind is OperationKind {
  return (OPERATIONS as readonly string[]).includes(kind);
}
