import { readFileSync } from 'node:fs';
import { expect, test } from '@jest/globals';
import type { PlanAction, SimParameters } from 'raft-ts/sim';
import { runSimulation } from 'raft-ts/sim';

interface Regression {
  /** The failure as it was seen. */
  readonly name: string;
  readonly seed: number;
  readonly parameters: SimParameters;
  readonly plan: readonly (readonly [number, PlanAction['kind'], number, number, number])[];
}

const FILE = new URL('regressions.json', import.meta.url);
const regressions = JSON.parse(readFileSync(FILE, 'utf8')) as readonly Regression[];

test.each(regressions)('$name (seed $seed)', ({ seed, parameters, plan }) => {
  const actions = plan.map(([at, kind, x, y, z]): PlanAction => ({ at, kind, x, y, z }));
  const { failure } = runSimulation({ seed, parameters, plan: actions });
  expect(failure).toBeUndefined();
});
