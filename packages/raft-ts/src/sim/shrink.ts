import type { SimParameters } from './parameters.js';
import { DISK_FAULTS, FAULT_CLASSES } from './parameters.js';
import type { PlanAction } from './plan.js';
import type { RunResult } from './run.js';
import { runSimulation } from './run.js';
import type { SimStateMachine } from './machine.js';

/** A run that fails, as it can be stored and repeated. */
export interface Scenario {
  readonly seed: number;
  readonly parameters: SimParameters;
  readonly plan: readonly PlanAction[];
}

/** Options of shrinking. */
export interface ShrinkOptions {
  /** Runs to spend, default 600. */
  readonly runsMax?: number;
  readonly createMachine?: () => SimStateMachine;
}

/** Values that make a run simpler, tried one by one. */
const SIMPLER: readonly Partial<SimParameters>[] = [
  { encodesMessages: false },
  { readyMicrosMax: 0 },
  { loss: 0 },
  { duplication: 0 },
  { lateness: 0 },
  { snapshotAbsence: 0 },
  { learners: 0 },
  { clients: 1 },
  { keys: 1 },
  { voters: 1 },
  { voters: 2 },
  { voters: 3 },
  { lossReports: 0 },
  { applyMicrosSpread: 1 },
  // What the conformance format cannot express.
  { answerMicrosSpread: 0 },
  { checkQuorum: false, leaseReads: false, trustsLeases: false },
  { tearsWrites: false },
  { diskMicrosMin: 10, diskMicrosSpread: 1 },
];

/**
 * Makes a failing run smaller, as long as the same invariant breaks: without what came after, without
 * whole kinds of actions, with fewer single actions, with simpler parameters. All random numbers are
 * drawn from streams of their own, so that the rest of a run changes little.
 *
 * @param failed a run with a failure
 * @returns the smallest run found, which may be the same
 */
export function shrink(failed: RunResult, options: ShrinkOptions = {}): Scenario {
  const { createMachine } = options;
  const machine = createMachine === undefined ? {} : { createMachine };
  const search = searchSmaller(failed, options);
  let step = search.next();
  while (!step.done) step = search.next(runSimulation({ ...step.value, ...machine }));
  return step.value;
}

/**
 * The search of `shrink`, for every kind of run: yields what to run next, gets how it ended, and
 * returns the smallest that still fails.
 */
export function searchSmaller(
  failed: RunResult,
  { runsMax = 600 }: Pick<ShrinkOptions, 'runsMax'> = {},
): Generator<Scenario, Scenario, RunResult> {
  return new Shrinker(failed, runsMax).run();
}

class Shrinker {
  readonly #invariant: string | undefined;
  #best: Scenario;
  #runsLeft: number;

  constructor({ seed, parameters, plan, failure }: RunResult, runsMax: number) {
    this.#invariant = failure?.invariant;
    this.#best = { seed, parameters, plan };
    this.#runsLeft = runsMax;
  }

  *run(): Generator<Scenario, Scenario, RunResult> {
    yield* this.#dropKinds();
    yield* this.#dropActions();
    yield* this.#simplify();
    yield* this.#dropActions();
    return this.#best;
  }

  /** Takes over a candidate if it breaks the same invariant. */
  *#accept(candidate: Scenario): Generator<Scenario, boolean, RunResult> {
    if (this.#runsLeft <= 0) return false;
    this.#runsLeft--;
    const { failure, plan } = yield candidate;
    if (failure === undefined || failure.invariant !== this.#invariant) return false;
    // What was due after the failure is not part of it.
    this.#best = { ...candidate, plan };
    return true;
  }

  *#dropKinds(): Generator<Scenario, void, RunResult> {
    for (const kind of [...FAULT_CLASSES, ...DISK_FAULTS, 'read', 'swap', 'write']) {
      const plan = this.#best.plan.filter((action) => action.kind !== kind);
      if (plan.length < this.#best.plan.length) yield* this.#accept({ ...this.#best, plan });
    }
  }

  /** Delta debugging: leaves out pieces, large ones first. */
  *#dropActions(): Generator<Scenario, void, RunResult> {
    let size = Math.ceil(this.#best.plan.length / 2);
    while (size >= 1 && this.#runsLeft > 0) {
      let hasDropped = false;
      for (let start = 0; start < this.#best.plan.length && this.#runsLeft > 0;) {
        const { plan } = this.#best;
        const rest = [...plan.slice(0, start), ...plan.slice(start + size)];
        if (yield* this.#accept({ ...this.#best, plan: rest })) hasDropped = true;
        else start += size;
      }
      if (size === 1 && !hasDropped) return;
      size = hasDropped ? Math.min(size, this.#best.plan.length) : Math.floor(size / 2);
    }
  }

  *#simplify(): Generator<Scenario, void, RunResult> {
    for (const simpler of SIMPLER) {
      const isNew = Object.entries(simpler).some(
        ([name, value]) => this.#best.parameters[name as keyof SimParameters] !== value,
      );
      if (!isNew) continue;
      const parameters = { ...this.#best.parameters, ...simpler };
      yield* this.#accept({ ...this.#best, parameters });
    }
  }
}
