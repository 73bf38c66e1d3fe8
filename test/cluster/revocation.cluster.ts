import { connect as connectHttp2 } from 'node:http2';
import type { IncomingHttpHeaders } from 'node:http2';
import { connect as connectTls } from 'node:tls';
import type { ConnectionOptions } from 'node:tls';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { callHeaders, FRAME } from '@conclave/testing';
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

/**
 * The gRPC status of a session that begins with a message of nonsense: 3 for a member, which is
 * heard, 16 for a stranger, which is not. `closed` when the connection is.
 */
function statusOf(options: ConnectionOptions): Promise<string> {
  return new Promise((resolve) => {
    const socket = connectTls({ ALPNProtocols: ['h2'], rejectUnauthorized: false, ...options });
    socket.on('error', () => undefined);
    const session = connectHttp2('https://manager', { createConnection: () => socket });
    session.on('error', () => undefined);
    const call = session.request(Object.fromEntries(callHeaders(SESSION)));
    let status = 'closed';
    const take = (headers: IncomingHttpHeaders): void => {
      status = String(headers['grpc-status'] ?? status);
    };
    call.on('response', take).on('trailers', take);
    call.on('error', () => undefined);
    call.once('close', () => {
      resolve(status);
      session.destroy();
    });
    call.resume().end(Buffer.of(0, 0, 0, 0, 1, 0xff));
  });
}

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
    const [first] = workers;
    if (first === undefined) throw new Error('there are workers');
    expect(await statusOf(optionsOf(cluster.seed, first))).toBe('3');
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
    for (const host of cluster.managers) {
      expect(await statusOf(optionsOf(host, first))).toMatch(/^(16|closed)$/);
    }
  }, 240_000);
});
