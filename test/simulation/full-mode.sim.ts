import { beforeAll, expect, test } from '@jest/globals';
import { openSealed, SecretBytes } from '@conclave/sealed';
import { singleEpoch } from '@conclave/store';
import type { FullRunOptions, FullRunResult } from 'raft-ts/sim';
import { Coverage, Prng, runFullSimulation } from 'raft-ts/sim';
import { LevelDisk } from './level-disk.js';
import { stuckRuns } from './stuck.js';

/** About half a minute on one core for both; a busy machine takes longer. */
const PATIENCE_MS = 600_000;
const OWN_SEEDS = 30;
const PRODUCT_SEEDS = 15;
/** One known dead end is let pass; were it common, liveness would no longer be shown. */
const STUCK_MAX = 1;

/** The product's log store, with keys and nonces that are the same in every run. */
const onLevel: NonNullable<FullRunOptions['createStorage']> = (prng, member) => {
  const nonces = new Prng(member);
  return new LevelDisk(prng, {
    clusterId: 'cluster',
    nodeId: `node ${member}`,
    keys: singleEpoch(SecretBytes.take(new Uint8Array(32).fill(member))),
    random: {
      bytes: (count) =>
        Uint8Array.from({ length: count }, () => nonces.below(256)) as Uint8Array<ArrayBuffer>,
      below: (limit) => nonces.below(limit),
    },
  });
};

function check(result: FullRunResult): void {
  if (result.failure === undefined) return;
  const lines = [`seed ${result.seed}`, JSON.stringify(result.parameters), ...result.lines];
  throw new Error(lines.join('\n'), { cause: result.failure });
}

beforeAll(openSealed);

test(
  `driver and reference log hold all invariants over ${OWN_SEEDS} seeds`,
  async () => {
    const coverage = new Coverage();
    let commit = 0;
    for (let seed = 1; seed <= OWN_SEEDS; seed++) {
      const result = await runFullSimulation({ seed, coverage });
      check(result);
      commit += result.commit;
    }
    expect(commit).toBeGreaterThan(50 * OWN_SEEDS);
    expect(stuckRuns(coverage)).toBeLessThanOrEqual(STUCK_MAX);
    const counts = coverage.counts();
    for (const met of [
      'the disk fails',
      'the disk fails at the start',
      'slowDisk',
      'crashAtWrite',
    ]) {
      expect([met, (counts.get(met) ?? 0) > 10]).toEqual([met, true]);
    }
  },
  PATIENCE_MS,
);

test(
  `driver and the product's log hold all invariants over ${PRODUCT_SEEDS} seeds`,
  async () => {
    const coverage = new Coverage();
    let commit = 0;
    for (let seed = 1; seed <= PRODUCT_SEEDS; seed++) {
      const parameters = { eventsMax: 4000 };
      const result = await runFullSimulation({
        seed,
        coverage,
        parameters,
        createStorage: onLevel,
      });
      check(result);
      commit += result.commit;
    }
    expect(commit).toBeGreaterThan(20 * PRODUCT_SEEDS);
    expect(stuckRuns(coverage)).toBeLessThanOrEqual(STUCK_MAX);
    expect(coverage.counts().get('the disk fails') ?? 0).toBeGreaterThan(0);
  },
  PATIENCE_MS,
);
