import { expect, test } from '@jest/globals';
import { Coverage, faultNames, markNames, MarkReader, runSimulation } from 'raft-ts/sim';
import { stuckRuns } from './stuck.js';

/** About half a minute on one core. */
const SEEDS = 60;
/** Reading log lines is slow: for a sample. */
const MARKED_EVERY = 12;
/**
 * One known dead end is let pass, in 7 of 1,500 seeds; were it common, liveness would no longer be
 * shown.
 */
const STUCK_MAX = 2;

test(`the first ${SEEDS} seeds hold all invariants and meet what they should`, () => {
  const coverage = new Coverage();
  let commit = 0;
  for (let seed = 1; seed <= SEEDS; seed++) {
    const isMarked = seed % MARKED_EVERY === 0;
    const result = runSimulation({
      seed,
      coverage,
      ...(isMarked ? { logger: new MarkReader(coverage) } : {}),
    });
    if (result.failure !== undefined) {
      const lines = [`seed ${seed}`, JSON.stringify(result.parameters), ...result.lines];
      throw new Error(lines.join('\n'), { cause: result.failure });
    }
    commit += result.commit;
  }
  const counts = coverage.counts();
  expect(commit).toBeGreaterThan(50 * SEEDS);
  const met = markNames().filter((mark) => counts.has(mark));
  expect(met.length).toBeGreaterThanOrEqual(55);
  expect(faultNames().filter((name) => !counts.has(name))).toEqual([]);
  expect(stuckRuns(coverage)).toBeLessThanOrEqual(STUCK_MAX);
  const { hit, impossible } = coverage.cells();
  expect(hit).toBeGreaterThanOrEqual(90);
  expect(impossible).toEqual([]);
  expect(counts.get('history linearizable') ?? 0).toBeGreaterThan(SEEDS);
});
