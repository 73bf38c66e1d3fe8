import type { Logger } from '../config.js';
import { Coverage } from './coverage.js';
import { SimFailure } from './failure.js';
import type { SimStateMachine } from './machine.js';
import type { SimParameters } from './parameters.js';
import { drawParameters } from './parameters.js';
import type { PlanAction } from './plan.js';
import { DrawnActions, ListedActions } from './plan.js';
import type { Micros } from './scheduler.js';
import { Simulation } from './simulation.js';

/** What a run is made from. */
export interface RunOptions {
  /** 0..2^53-1; everything that is not given is drawn from it. */
  readonly seed: number;
  /** Values that are not drawn. */
  readonly parameters?: Partial<SimParameters>;
  /** Actions to carry out instead of those drawn. */
  readonly plan?: readonly PlanAction[];
  /** Where to count what happens; default: nowhere. */
  readonly coverage?: Coverage;
  /** Receiver of the log lines of all members. */
  readonly logger?: Logger;
  /** Gets a line for each fault and each operation of a client. */
  readonly script?: string[];
  /** State machine of each member; default: registers. */
  readonly createMachine?: () => SimStateMachine;
}

/** What a run was. */
export interface RunResult {
  readonly seed: number;
  readonly parameters: SimParameters;
  readonly events: number;
  readonly virtualMicros: Micros;
  /** Entries that were committed. */
  readonly commit: number;
  /** Undefined: all invariants held. */
  readonly failure: SimFailure | undefined;
  /** The actions that were carried out. */
  readonly plan: readonly PlanAction[];
  /** The last events in words. */
  readonly lines: readonly string[];
}

/** Runs a simulation to its end or to the first broken invariant. The same options, the same run. */
export function runSimulation(options: RunOptions): RunResult {
  const { seed, plan, logger, createMachine } = options;
  const parameters = drawParameters(seed, options.parameters);
  const simulation = new Simulation({
    seed,
    parameters,
    actions: plan === undefined ? new DrawnActions(seed, parameters) : new ListedActions(plan),
    coverage: options.coverage ?? new Coverage(),
    logger,
    script: options.script,
    createMachine,
  });
  let failure: SimFailure | undefined;
  try {
    simulation.run();
  } catch (error) {
    if (!(error instanceof SimFailure)) throw error;
    failure = error;
  }
  return resultOf(simulation, failure);
}

/** What a run that has ended was. */
export function resultOf(simulation: Simulation, failure: SimFailure | undefined): RunResult {
  const { seed, parameters, events, scheduler, checker, executed, recorder } = simulation;
  return {
    seed,
    parameters,
    events,
    virtualMicros: scheduler.now,
    commit: checker.logs.commit,
    failure,
    plan: executed,
    lines: failure === undefined ? [] : recorder.lines(),
  };
}
