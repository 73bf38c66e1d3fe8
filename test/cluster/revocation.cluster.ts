import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { FRAME } from '@conclave/testing';
import type { RawHttp2 } from '@conclave/testing';
import { greet, joinWorkers, optionsOf } from './hostile.js';
import { Cluster } from './support.js';

/** Removals that are measured. */
const COUNT = 50;
/** Milliseconds from the removal to the last manager that refuses. */
const REFUSED_MS_MAX = 1_000;
const SESSION = '/conclave.v1.Dispatcher/Session';

let cluster: Cluster;

beforeAll(async () => {
  cluster = await Cluster.start({ tag: 'crev', network: 'loopback', managers: 3, workers: 0 });
});
afterAll(() => cluster?.close());

/** Milliseconds at which the other side closed the connection. */
async function closedAt(raw: RawHttp2): Promise<number> {
  await raw.closed;
  return performance.now();
}

describe('a removed node', () => {
  test(`loses streams and idle connections on every manager within a second, ${COUNT} times`, async () => {
    const workers = await joinWorkers(cluster, COUNT);
    const client = await cluster.client();
    const delays: number[] = [];
    for (const worker of workers) {
      const opened: RawHttp2[] = [];
      for (const host of cluster.managers) {
        // One with a stream that says nothing yet, one whose only call is over.
        const streaming = await greet(optionsOf(host, worker));
        streaming.call(1, SESSION);
        const idle = await greet(optionsOf(host, worker));
        idle.call(1, SESSION, Buffer.of(0xff));
        await idle.until((frames) => frames.some(({ type }) => type === FRAME.headers));
        await streaming.until((frames) => frames.some(({ type }) => type === FRAME.settings));
        opened.push(streaming, idle);
      }
      expect(opened.filter(({ socket }) => socket.destroyed)).toEqual([]);
      const ends = opened.map(closedAt);
      await client.nodes.remove(worker.identity.nodeId, { isForced: true });
      const removedAt = performance.now();
      delays.push(Math.max(0, ...(await Promise.all(ends)).map((at) => at - removedAt)));
    }
    const sorted = delays.sort((left, right) => left - right);
    const p50 = sorted[Math.floor(sorted.length / 2)] ?? Number.NaN;
    const max = sorted.at(-1) ?? Number.NaN;
    process.stderr.write(
      `node rm to the last refusal, of ${COUNT}: p50 ${p50.toFixed(0)} ms, max ${max.toFixed(0)} ms\n`,
    );
    expect(max).toBeLessThan(REFUSED_MS_MAX);
    // And nothing that it had opens a call again.
    const [last] = workers;
    if (last === undefined) throw new Error('there were workers');
    const again = await greet(optionsOf(cluster.seed, last));
    again.call(1, SESSION);
    await again.until((frames) =>
      frames.some(({ type, streamId }) => type === FRAME.headers && streamId === 1),
    );
    const heads = again.frames.filter(({ type }) => type === FRAME.headers);
    expect(heads.length).toBeGreaterThan(0);
    again.destroy();
  }, 240_000);
});
