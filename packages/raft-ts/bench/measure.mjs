// One measurement in a process of its own; prints one line of JSON.
import process from 'node:process';
import { setTimeout as pause } from 'node:timers/promises';

const [module, size, options] = process.argv.slice(2);
const { start } = await import(module);
const PAYLOAD = new Uint8Array(256).fill(7);
const CLIENTS = 256;
const ROUND_MS = 1_500;

const cluster = await start(Number(size), JSON.parse(options ?? '{}'));
if (cluster === undefined) {
  process.stdout.write('{ "problem": "not possible" }\n');
  process.exit(0);
}

/** Proposes with a number of clients for a while. @returns proposals per second */
async function throughput(clients) {
  const started = performance.now();
  const end = started + ROUND_MS;
  let count = 0;
  const client = async () => {
    for (; performance.now() < end; count++) await cluster.propose(PAYLOAD);
  };
  await Promise.all(Array.from({ length: clients }, client));
  return count / ((performance.now() - started) / 1000);
}

/** One client. @returns milliseconds, ascending */
async function latencies(count) {
  const times = [];
  for (let i = 0; i < count; i++) {
    const started = performance.now();
    await cluster.propose(PAYLOAD);
    times.push(performance.now() - started);
  }
  return times.toSorted((a, b) => a - b);
}

/** The heap is large enough that nothing is collected in between. @returns bytes per entry */
async function allocation(count) {
  globalThis.gc();
  const before = process.memoryUsage();
  for (let i = 0; i < count; i += CLIENTS) {
    const batch = Array.from({ length: CLIENTS }, () => cluster.propose(PAYLOAD));
    if (cluster.isConcurrent) await Promise.all(batch);
  }
  const after = process.memoryUsage();
  const bytes = (usage) => usage.heapUsed + usage.arrayBuffers;
  return (bytes(after) - bytes(before)) / count;
}

await throughput(cluster.isConcurrent ? CLIENTS : 1);
const rounds = [];
for (let i = 0; i < 5; i++) rounds.push(await throughput(cluster.isConcurrent ? CLIENTS : 1));
const times = await latencies(1_000);
await pause(100);
const perEntry = cluster.isConcurrent ? await allocation(CLIENTS * 16) : undefined;
await cluster.stop();
const perSecond = rounds.toSorted((a, b) => a - b)[2];
const quantile = (q) => times[Math.floor(times.length * q)];
const figures = { perSecond, p50: quantile(0.5), p99: quantile(0.99), perEntry };
process.stdout.write(`${JSON.stringify(figures)}\n`);
process.exit(0);
