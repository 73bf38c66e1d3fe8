import type { Scenario } from '../shrink.js';
import { searchSmaller } from '../shrink.js';
import type { FullParameters } from './parameters.js';
import type { FullRunOptions, FullRunResult } from './run.js';
import { runFullSimulation } from './run.js';

/** A run in full mode that fails, as it can be stored and repeated. */
export interface FullScenario extends Scenario {
  readonly parameters: FullParameters;
}

/**
 * Makes a failing run in full mode smaller, see `shrink`.
 *
 * @param failed a run with a failure
 * @param options runs to spend (`runsMax`, default 600), and what the run was made from beside
 */
export async function shrinkFull(
  failed: FullRunResult,
  options: Pick<FullRunOptions, 'createMachine' | 'createStorage'> & { runsMax?: number } = {},
): Promise<FullScenario> {
  const { runsMax, ...made } = options;
  const withLimits = (scenario: Scenario): FullScenario => ({
    ...scenario,
    parameters: { ...failed.parameters, ...scenario.parameters },
  });
  const search = searchSmaller(failed, runsMax === undefined ? {} : { runsMax });
  let step = search.next();
  while (!step.done) {
    step = search.next(await runFullSimulation({ ...made, ...withLimits(step.value) }));
  }
  return withLimits(step.value);
}
