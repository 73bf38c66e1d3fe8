import { afterAll, beforeAll, describe, expect, jest, test } from '@jest/globals';
import { ConclaveError } from '@conclave/kernel';
import { loadWire } from '@conclave/wire';
import type { RaftAck } from '@conclave/wire';
import { transportLimits } from '../src/index.js';
import type { BidiCall, ServedService, Channel, Listener } from '../src/index.js';
import { failureOf, partly, TestCluster, within } from './fixture.js';

// Real sockets on a machine that may be busy.
jest.setTimeout(30_000);

/** A message of this content is just as large as one may be. */
const LARGE = transportLimits.MESSAGE_BYTES_MAX - 16;
let cluster: TestCluster;
let listener: Listener;
let worker: Channel;
let manager: Channel;
let admin: Channel;
const seen: string[] = [];

function services(): ServedService[] {
  return [
    partly('Cluster', {
      getInfo: async (call) => {
        call.setTrailer('conclave-served-by', 'm1');
        if (call.idempotencyKey === 'fail') {
          throw new ConclaveError('CV_NO_LEADER', 'no leader is known', {
            retryAfterMs: 250,
            details: { term: 7 },
          });
        }
        if (call.idempotencyKey === 'defect') throw new TypeError('secret of the inside');
        seen.push(`${call.actor.kind}:${call.actor.id}`);
        return { clusterId: 'c', rootCertificate: new Uint8Array([1, 2]) };
      },
      watch: async function* (call, request) {
        for (let index = 1; index <= request.afterIndex; index += 1) {
          if (call.signal.aborted) return;
          yield { index, kind: 'secret', name: 'x'.repeat(1000) };
        }
        if (request.snapshot) throw new ConclaveError('CV_STATE_STALE', 'compacted');
      },
    }),
    partly('Dispatcher', {
      session: async (_call, requests, responses) => {
        for await (const request of requests) {
          if (request.hello)
            await responses.write({ accept: { sessionId: request.hello.hostname } });
          if (request.ack) {
            await responses.write({ reportAck: { batch: request.ack.sequence } });
          }
        }
        await responses.write({ info: { availability: 'bye' } });
      },
    }),
    partly('Raft', {
      snapshot: async (_call, chunks, acks) => {
        let size = 0;
        for await (const chunk of chunks) size += chunk.content.length;
        await acks.write({ sequence: size });
      },
    }),
  ];
}

beforeAll(async () => {
  cluster = await TestCluster.create();
  listener = await cluster.listen(await cluster.node('manager', 'm1'), services());
  worker = cluster.channel(listener, await cluster.node('worker', 'w1'));
  manager = cluster.channel(listener, await cluster.node('manager', 'm2'));
  admin = cluster.channel(listener, await cluster.admin('ann'));
});

afterAll(async () => {
  for (const channel of [worker, manager, admin]) channel.close();
  await listener.close();
});

/** How much the other side has received, when it has all. */
async function sizeSeen(call: BidiCall<unknown, RaftAck>): Promise<number | undefined> {
  for await (const { sequence } of call.responses) return sequence;
  return undefined;
}

describe('calls', () => {
  test('unary: answer, trailers, actor', async () => {
    let servedBy: string | undefined;
    const info = await admin.unary(
      loadWire().Cluster.GetInfo,
      {},
      {
        onTrailers: (trailers) => {
          servedBy = trailers.get('conclave-served-by');
        },
      },
    );
    expect(info.clusterId).toBe('c');
    expect([...info.rootCertificate]).toEqual([1, 2]);
    expect(servedBy).toBe('m1');
    expect(seen).toContain('admin:ann');
  });

  test('a failure arrives with code, hint, pause, details and trailers', async () => {
    let servedBy: string | undefined;
    const call = admin.unary(
      loadWire().Cluster.GetInfo,
      {},
      {
        idempotencyKey: 'fail',
        onTrailers: (trailers) => {
          servedBy = trailers.get('conclave-served-by');
        },
      },
    );
    expect(await failureOf(call)).toMatchObject({
      code: 'CV_NO_LEADER',
      message: 'no leader is known',
      retryAfterMs: 250,
      details: { term: '7' },
    });
    expect(servedBy).toBe('m1');
  });

  test('a defect keeps its text to itself', async () => {
    const failure = await failureOf(
      admin.unary(loadWire().Cluster.GetInfo, {}, { idempotencyKey: 'defect' }),
    );
    expect(failure).toMatchObject({ code: 'CV_INTERNAL', message: 'internal error' });
  });

  test('server stream: all messages, in order, then the end', async () => {
    let last = 0;
    for await (const event of admin.serverStream(loadWire().Cluster.Watch, { afterIndex: 2_000 })) {
      expect(event.index).toBe(last + 1);
      last = event.index;
    }
    expect(last).toBe(2_000);
  });

  test('server stream: the failure comes after what was sent', async () => {
    const events: number[] = [];
    const read = async (): Promise<void> => {
      const request = { afterIndex: 3, snapshot: true };
      for await (const event of admin.serverStream(loadWire().Cluster.Watch, request)) {
        events.push(event.index);
      }
    };
    expect(await failureOf(read())).toMatchObject({ code: 'CV_STATE_STALE' });
    expect(events).toEqual([1, 2, 3]);
  });

  test('bidi: many in, then one out', async () => {
    const call = manager.bidi(loadWire().Raft.Snapshot);
    for (let chunk = 0; chunk < 24; chunk += 1) {
      await call.requests.write({ chunk, content: new Uint8Array(1024 * 1024) });
    }
    call.end();
    expect(await sizeSeen(call)).toBe(24 * 1024 * 1024);
  });

  test('bidi: both ways, absent members stay absent', async () => {
    const call = worker.bidi(loadWire().Dispatcher.Session);
    const iterator = call.responses[Symbol.asyncIterator]();
    await call.requests.write({ hello: { hostname: 'h1' } });
    const first = await iterator.next();
    expect(first.value?.accept?.sessionId).toBe('h1');
    expect(first.value?.accept?.info).toBeNull();
    expect(first.value?.info).toBeUndefined();
    await call.requests.write({ ack: { sequence: 9 } });
    expect((await iterator.next()).value?.reportAck?.batch).toBe(9);
    call.end();
    expect((await iterator.next()).value?.info?.availability).toBe('bye');
    expect((await iterator.next()).done).toBe(true);
    expect(await failureOf(call.requests.write({}))).toMatchObject({ code: 'CV_CANCELLED' });
  });

  test('a value of the largest size travels', async () => {
    const call = manager.bidi(loadWire().Raft.Snapshot);
    await call.requests.write({ content: new Uint8Array(LARGE) });
    call.end();
    expect(await sizeSeen(call)).toBe(LARGE);
  });

  test('a larger message is refused by name', async () => {
    const call = manager.bidi(loadWire().Raft.Snapshot);
    call.requests
      .write({ content: new Uint8Array(transportLimits.MESSAGE_BYTES_MAX) })
      .catch(() => undefined);
    call.end();
    expect(await failureOf(sizeSeen(call))).toMatchObject({ code: 'CV_LIMIT_EXCEEDED' });
  });

  test('a signal cancels, on both sides', async () => {
    const controller = new AbortController();
    const call = worker.bidi(loadWire().Dispatcher.Session, { signal: controller.signal });
    await call.requests.write({ hello: { hostname: 'h1' } });
    const iterator = call.responses[Symbol.asyncIterator]();
    await iterator.next();
    controller.abort();
    expect(await within(10_000, failureOf(iterator.next()))).toMatchObject({
      code: 'CV_CANCELLED',
    });
  });
});
