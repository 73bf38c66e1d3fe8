import { SecretBytes } from '@conclave/sealed';
import type { ConclaveClient } from '@conclave/client';
import type { Host } from '@conclave/testing';
import { SYSTEM_RANDOM } from '../../packages/daemon/src/platform.js';
import type { BenchCluster } from './cluster.js';
import { startEcho } from './echo.js';
import { median, quantile } from './figures.js';
import type { Figure } from './figures.js';

const ROUND_MS = 4_000;
const CLIENT_COUNT = 64;
const VALUE_BYTES = 1_024;
/** Writes before the first round: code that has run a few hundred times is several times slower. */
const WARM_WRITES = 6_000;
const WARM_MS_MAX = 90_000;

interface Round {
  readonly perSecond: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
  readonly generatorShare: number;
}

/** Sets secrets of 1 KiB from `count` loops until the time is over or there are enough. */
async function round(
  clients: readonly ConclaveClient[],
  count: number,
  { prefix, ms = ROUND_MS, max = Infinity }: { prefix: string; ms?: number; max?: number },
): Promise<Round> {
  const latencies: number[] = [];
  const end = performance.now() + ms;
  const cpu = process.cpuUsage();
  const started = performance.now();
  const loop = async (number: number): Promise<void> => {
    const client = clients[number % clients.length] as ConclaveClient;
    for (let turn = 0; performance.now() < end && latencies.length < max; turn += 1) {
      using value = SecretBytes.random(SYSTEM_RANDOM, VALUE_BYTES);
      const asked = performance.now();
      await client.secrets.set(`${prefix}/${number}-${turn % 8}`, value);
      latencies.push(performance.now() - asked);
    }
  };
  await Promise.all(Array.from({ length: count }, (_, number) => loop(number)));
  const seconds = (performance.now() - started) / 1000;
  const { user, system } = process.cpuUsage(cpu);
  return {
    perSecond: latencies.length / seconds,
    p50Ms: quantile(latencies, 0.5),
    p99Ms: quantile(latencies, 0.99),
    generatorShare: (user + system) / 1e6 / seconds,
  };
}

/** W1 and W2: committed writes through the public API of all three managers. */
export async function measureWrites(cluster: BenchCluster, rounds: number): Promise<Figure[]> {
  const clients = Array.from({ length: CLIENT_COUNT }, (_, number) =>
    cluster.connectRemote(cluster.managers[number % cluster.managers.length] as Host),
  );
  await round(clients, CLIENT_COUNT, { prefix: 'warm', ms: WARM_MS_MAX, max: WARM_WRITES });
  const echo = await startEcho(cluster);
  await echo.perSecond(64, ROUND_MS / 2);
  const many: Round[] = [];
  const one: Round[] = [];
  const echoes: number[] = [];
  for (let turn = 0; turn < rounds; turn += 1) {
    many.push(await round(clients, CLIENT_COUNT, { prefix: `w1-${turn}` }));
    echoes.push(await echo.perSecond(64, ROUND_MS / 2));
    one.push(await round(clients.slice(0, 1), 1, { prefix: `w2-${turn}` }));
  }
  await echo.close();
  await Promise.all(clients.map((client) => client.close()));
  const share = Math.round(
    100 *
      quantile(
        many.map((each) => each.generatorShare),
        0.5,
      ),
  );
  return [
    {
      id: 'W1',
      what: 'secret set, 1 KiB, 64 clients over three managers',
      unit: 'per s',
      rounds: many.map((each) => each.perSecond),
      note: `the load generator used ${share} % of a core; each client has a mutual TLS connection of its own`,
    },
    { id: 'W1', what: '  latency p50', unit: 'ms', rounds: many.map((each) => each.p50Ms) },
    { id: 'W1', what: '  latency p99', unit: 'ms', rounds: many.map((each) => each.p99Ms) },
    {
      id: 'W2',
      what: 'secret set, 1 KiB, one client, latency p50',
      unit: 'ms',
      rounds: one.map((each) => each.p50Ms),
    },
    {
      id: 'W4',
      what: 'share of the grpc-js unary limit that W1 reaches',
      unit: '',
      rounds: many.map((each, turn) => each.perSecond / (echoes[turn] ?? Number.NaN)),
      note: `three servers of nothing but grpc-js answered ${median(echoes).toFixed(0)} per s`,
    },
  ];
}

/** R1: lists of everything that is there, at least `count` secrets. */
export async function measureLists(
  cluster: BenchCluster,
  count: number,
  rounds: number,
): Promise<Figure[]> {
  const client = cluster.connectRemote(await cluster.leader());
  const existing = new Set<string>();
  for await (const secret of client.secrets.list()) existing.add(secret.name);
  const missing = Array.from({ length: count }, (_, number) => `list/${number}`).slice(
    0,
    Math.max(0, count - existing.size),
  );
  const fill = async (): Promise<void> => {
    for (let name = missing.pop(); name !== undefined; name = missing.pop()) {
      using value = SecretBytes.random(SYSTEM_RANDOM, 64);
      await client.secrets.set(name, value);
    }
  };
  await Promise.all(Array.from({ length: 64 }, fill));
  const perSecond: number[] = [];
  let size = 0;
  for (let turn = 0; turn < rounds; turn += 1) {
    const started = performance.now();
    for (let list = 0; list < 3; list += 1) {
      size = 0;
      for await (const secret of client.secrets.list()) size += secret.name === '' ? 0 : 1;
    }
    perSecond.push(3 / ((performance.now() - started) / 1000));
  }
  await client.close();
  return [{ id: 'R1', what: `full list of ${size} secrets`, unit: 'per s', rounds: perSecond }];
}
