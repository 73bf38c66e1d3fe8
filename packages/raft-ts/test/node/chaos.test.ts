import { expect, test } from '@jest/globals';
import { Chaos } from './support/chaos.js';
import type { ChaosSummary } from './support/chaos.js';

/** More seeds: RAFT_CHAOS_SEEDS=1000-2000. */
function seeds(): number[] {
  const [from, to] = (process.env['RAFT_CHAOS_SEEDS'] ?? '1-12').split('-').map(Number);
  return Array.from({ length: to! - from! + 1 }, (_, i) => from! + i);
}

const summaries: ChaosSummary[] = [];

test.each(seeds())(
  'clients and faults at random, seed %i',
  async (seed) => {
    summaries.push(await new Chaos(seed).run(300));
  },
  60_000,
);

test('the runs were no idle ones', () => {
  const sum = (field: keyof ChaosSummary): number =>
    summaries.reduce((total, summary) => total + summary[field], 0);
  for (const field of ['applied', 'rejected', 'unknown', 'reads', 'kills', 'restores'] as const) {
    expect([field, sum(field) >= summaries.length]).toEqual([field, true]);
  }
  expect(sum('terms')).toBeGreaterThan(3 * summaries.length);
});
