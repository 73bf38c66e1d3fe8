import type { Frame, Host, RawHttp2 } from '@conclave/testing';
import { FLAG, FRAME } from '@conclave/testing';
import { expect } from '@jest/globals';
import { joinWorkers, residentBytes } from './hostile.js';
import { Cluster } from './support.js';

/** What a flood may cost the manager that it hits. */
const GROWTH_BYTES_MAX = 32 * 1024 * 1024;
/** Thousands of short connections: the young generation of the heap may grow as far as it can. */
export const SHORT_GROWTH_BYTES_MAX: number = 64 * 1024 * 1024;
/** Milliseconds for one call of the good client meanwhile. */
export const GOOD_CALL_MS_MAX: number = 2_000;
/** A flood goes on for so long, or until it was cut off. */
export const FLOOD: { readonly bytesMax: number; readonly msMax: number } = {
  bytesMax: 64 * 1024 * 1024,
  msMax: 2_500,
};
/** Milliseconds between two of its writes: versions take memory as well. */
const PAUSE_MS = 250;
/** Writes before anything is measured. */
const WARM_COUNT = 100;
const MIB = 1024 * 1024;

type Worker = Awaited<ReturnType<typeof joinWorkers>>[number];

let addressCount = 0;

/** Loopback addresses that nobody used yet, so that each test meets fresh budgets. */
export function freshAddress(): string {
  addressCount += 1;
  return `127.9.${Math.floor(addressCount / 250)}.${1 + (addressCount % 250)}`;
}

/** A cluster whose leader is flooded, and the identity of a worker that floods it. */
export class FloodBench {
  readonly cluster: Cluster;
  readonly leader: Host;
  readonly worker: Worker;

  private constructor(cluster: Cluster, leader: Host, worker: Worker) {
    this.cluster = cluster;
    this.leader = leader;
    this.worker = worker;
  }

  static async open(tag: string): Promise<FloodBench> {
    const cluster = await Cluster.start({ tag, network: 'loopback', managers: 3, workers: 1 });
    const leader = await cluster.leader();
    const [worker] = await joinWorkers(cluster, 1);
    if (worker === undefined) throw new Error('no worker joined');
    // What is compiled and cached at the first contact is not the cost of a flood.
    for (let count = 0; count < WARM_COUNT; count += 1) await cluster.set('good', `warm ${count}`);
    return new FloodBench(cluster, leader, worker);
  }

  /**
   * Runs a flood against the leader and looks at everybody else meanwhile: no election, no slow
   * write, no memory. The figures go to the log of the run.
   */
  async endure(
    name: string,
    flood: () => Promise<unknown>,
    growthMax: number = GROWTH_BYTES_MAX,
  ): Promise<void> {
    const { cluster, leader } = this;
    const before = await cluster.status(leader);
    const base = await residentBytes(leader.pid);
    let peak = base;
    let slowestMs = 0;
    let isOver = false;
    const watching = (async () => {
      for (let count = 0; !isOver || count === 0; count += 1) {
        const startedAt = performance.now();
        await cluster.set('good', `value ${name} ${count}`, { from: leader });
        slowestMs = Math.max(slowestMs, performance.now() - startedAt);
        peak = Math.max(peak, await residentBytes(leader.pid));
        await new Promise((resolve) => setTimeout(resolve, PAUSE_MS));
      }
    })();
    try {
      await flood();
    } finally {
      isOver = true;
      await watching;
    }
    const cost = { growth: peak - base, slowestMs };
    process.stderr.write(
      `${name.padEnd(44)} ${(cost.growth / MIB).toFixed(1).padStart(6)} MiB, ` +
        `slowest good write ${slowestMs.toFixed(0)} ms\n`,
    );
    const after = await cluster.status(leader);
    expect({ term: after.term, leader: after.leaderId }).toEqual({
      term: before.term,
      leader: before.leaderId,
    });
    expect(cost.growth).toBeLessThan(growthMax);
    expect(slowestMs).toBeLessThan(GOOD_CALL_MS_MAX);
  }
}

/** True when a call with an empty message got an answer, false for a status alone. */
export async function answers(raw: RawHttp2, streamId: number, path: string): Promise<boolean> {
  raw.call(streamId, path);
  raw.frame({ type: FRAME.data, flags: FLAG.endStream, streamId, payload: Buffer.alloc(5) });
  const isEnd = ({ type, flags }: Frame): boolean =>
    type === FRAME.reset || (type === FRAME.headers && (flags & FLAG.endStream) !== 0);
  await raw.until((frames) => frames.some((frame) => frame.streamId === streamId && isEnd(frame)));
  return raw.frames.some((frame) => frame.streamId === streamId && frame.type === FRAME.data);
}
