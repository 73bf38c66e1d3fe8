import type { Coverage } from 'raft-ts/sim';

/** Runs that ended in a dead end which the simulator knows by name and lets pass. */
export function stuckRuns(coverage: Coverage): number {
  return [...coverage.counts()]
    .filter(([name]) => name.startsWith('stuck: '))
    .reduce((sum, [, count]) => sum + count, 0);
}
