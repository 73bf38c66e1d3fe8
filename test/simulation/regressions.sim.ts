import { readFileSync } from 'node:fs';
import { expect, test } from '@jest/globals';
import type { FullParameters, PlanAction, SimParameters } from 'raft-ts/sim';
import { runFullSimulation, runSimulation } from 'raft-ts/sim';

type Row = readonly [number, PlanAction['kind'], number, number, number];

/** `name` is the failure as it was seen. */
type Regression = {
  readonly name: string;
  readonly seed: number;
  readonly plan: readonly Row[];
} & (
  | { readonly mode?: 'bare'; readonly parameters: SimParameters }
  | { readonly mode: 'full'; readonly parameters: FullParameters }
);

const FILE = new URL('regressions.json', import.meta.url);
const regressions = JSON.parse(readFileSync(FILE, 'utf8')) as readonly Regression[];

test.each(regressions)('$name (seed $seed)', async (regression) => {
  const { seed } = regression;
  const plan = regression.plan.map(([at, kind, x, y, z]): PlanAction => ({ at, kind, x, y, z }));
  const { failure } =
    regression.mode === 'full'
      ? await runFullSimulation({ seed, parameters: regression.parameters, plan })
      : runSimulation({ seed, parameters: regression.parameters, plan });
  expect(failure).toBeUndefined();
});
