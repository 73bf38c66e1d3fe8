import { cpus } from 'node:os';
import { parseArgs } from 'node:util';
import { openSealed } from '@conclave/sealed';
import { startCluster } from './cluster.js';
import { measureChange, measureFailover, measureFirstDelivery } from './delivery.js';
import { printFigures } from './figures.js';
import type { Figure } from './figures.js';
import { measureTiming } from './timing.js';
import { measureLists, measureWrites } from './writes.js';

const { values } = parseArgs({
  options: {
    rounds: { type: 'string', default: '5' },
    only: { type: 'string', multiple: true },
    json: { type: 'boolean', default: false },
    help: { type: 'boolean', default: false },
  },
});

if (values.help) {
  process.stdout.write(`Usage: npm run bench [-- --rounds N --only W1,R1,D1,C1,F1,T1 --json]

Three managers and two workers as processes on this machine; medians of N rounds.
With --raft instead: the Raft library by itself, in memory, with 1, 3 and 5 members.
`);
  process.exit(0);
}

const rounds = Number(values.rounds);
const wanted = new Set((values.only ?? ['W1,R1,D1,C1,F1,T1']).flatMap((one) => one.split(',')));

await openSealed();
const cluster = await startCluster(2);
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
  process.once(signal, () => {
    // Five daemons and their tasks would outlive this process.
    void cluster.farm.close().finally(() => process.exit(130));
  });
}
const figures: Figure[] = [];
if (!values.json) {
  process.stdout.write(
    `${cpus().length} cores, Node ${process.versions.node}; all processes share them\n`,
  );
}
const measure = async (id: string, act: () => Promise<Figure[]>): Promise<void> => {
  if (!wanted.has(id)) return;
  // Always: who waits for a run that does not end sees where it stands.
  process.stderr.write(`measuring ${id} …\n`);
  const measured = await act();
  figures.push(...measured);
  // At once: what was measured is not lost when something later does not end.
  if (!values.json) printFigures(measured, false);
};
try {
  await measure('D1', () => measureFirstDelivery(cluster, rounds));
  await measure('C1', () => measureChange(cluster, rounds));
  await measure('W1', () => measureWrites(cluster, rounds));
  await measure('R1', () => measureLists(cluster, 5_000, rounds));
  await measure('T1', () => measureTiming(cluster));
  await measure('F1', () => measureFailover(cluster, rounds));
} finally {
  await cluster.farm.close();
}
if (values.json) printFigures(figures, true);
process.exit(0);
