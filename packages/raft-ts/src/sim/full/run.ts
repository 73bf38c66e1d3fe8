import { Coverage } from '../coverage.js';
import type { SimFailure } from '../failure.js';
import { DrawnActions, ListedActions } from '../plan.js';
import { Prng } from '../prng.js';
import type { RunOptions, RunResult } from '../run.js';
import { resultOf } from '../run.js';
import { asSimFailure, Simulation } from '../simulation.js';
import { FullMember } from './full-member.js';
import type { FullParameters } from './parameters.js';
import { drawFullParameters } from './parameters.js';
import { Turn } from './turn.js';
import type { SimulatedStorage } from './wal-log-store.js';
import { WalStorage } from './wal-log-store.js';

/** What a run in full mode is made from. */
export interface FullRunOptions extends Omit<RunOptions, 'parameters'> {
  /** Values that are not drawn. */
  readonly parameters?: Partial<FullParameters>;
  /**
   * The disk of a member, with the log store that is to be tried on it. Default: the simulator's own.
   *
   * @param prng decides what survives a crash
   */
  readonly createStorage?: (prng: Prng, member: number) => SimulatedStorage;
}

/** What a run in full mode was. */
export interface FullRunResult extends RunResult {
  readonly parameters: FullParameters;
}

/**
 * Runs a simulation in full mode: the real driver, with a log store on simulated disks. The same
 * options, the same run. Several runs may not overlap.
 */
export async function runFullSimulation(options: FullRunOptions): Promise<FullRunResult> {
  const { seed, plan, logger, createMachine, script } = options;
  const parameters = drawFullParameters(seed, options.parameters);
  const disks = new Prng(seed).split('disks');
  const createStorage = options.createStorage ?? ((prng): SimulatedStorage => new WalStorage(prng));
  const turn = new Turn();
  const simulation = new Simulation({
    seed,
    parameters,
    actions: plan === undefined ? new DrawnActions(seed, parameters) : new ListedActions(plan),
    coverage: options.coverage ?? new Coverage(),
    logger,
    script,
    createMachine,
    createMember: (id, world, founders) => {
      const storage = createStorage(disks.split(`disk ${id}`), id);
      return new FullMember(id, world, { parameters, turn, storage, founders });
    },
  });
  let failure: SimFailure | undefined;
  try {
    await runToEnd(simulation, turn);
  } catch (error) {
    failure = asSimFailure(error);
  } finally {
    turn[Symbol.dispose]();
  }
  return { ...resultOf(simulation, failure), parameters };
}

async function runToEnd(simulation: Simulation, turn: Turn): Promise<void> {
  simulation.begin();
  await turn.end();
  while (simulation.step()) {
    const wait = turn.end();
    if (wait !== undefined) await wait;
  }
  await turn.end();
  simulation.finish();
}
