import { constants } from 'node:http2';
import { afterAll, afterEach, beforeAll, describe, expect, jest, test } from '@jest/globals';
import type { Logger } from '@conclave/kernel';
import { callHeaders, FLAG, FRAME, headerBlock, RawHttp2 } from '@conclave/testing';
import { listenJoin, ReplaceableIdentity } from '../src/index.js';
import type { Listener, TlsIdentity } from '../src/index.js';
import * as limits from '../src/limits.js';
import { openBench } from './cluster-bench.js';
import type { Bench } from './cluster-bench.js';
import { clock, ManualTimers, partly, rawOptions, timers, within } from './fixture.js';

// Real sockets on a machine that may be busy.
jest.setTimeout(30_000);

const SESSION = '/conclave.v1.Dispatcher/Session';
const GET_INFO = '/conclave.v1.Cluster/GetInfo';
const GET_RING = '/conclave.v1.Managers/GetRing';
const JOIN = '/conclave.v1.Join/Join';
/** On a connection without calls of its own nothing but the calls of the test take from a budget. */
const frozen = { clock: { now: () => clock.now(), monotonic: () => 0 } };

let bench: Bench;

beforeAll(async () => {
  bench = await openBench();
});

afterAll(() => bench.listener.close());

afterEach(() => bench.reset());

async function connect(listener: Listener, identity: TlsIdentity | undefined): Promise<RawHttp2> {
  const raw = await RawHttp2.connect({ ...rawOptions(identity), port: listener.port });
  bench.later(() => raw.destroy());
  raw.greet();
  return raw;
}

/** A call with an empty message, complete. */
function wholeCall(raw: RawHttp2, streamId: number, path: string): void {
  raw.call(streamId, path);
  raw.frame({ type: FRAME.data, flags: FLAG.endStream, streamId, payload: Buffer.alloc(5) });
}

/** The beginning of a message, as far as the windows of HTTP/2 let it through. */
function beginMessage(raw: RawHttp2, streamId: number, size: number, sent: number): void {
  const head = Buffer.alloc(5);
  head.writeUInt32BE(size, 1);
  const payload = Buffer.concat([head, Buffer.alloc(sent)]);
  raw.frame({ type: FRAME.data, flags: 0, streamId, payload });
}

const ends = ({ flags }: { flags: number }): boolean => (flags & FLAG.endStream) !== 0;

/** Waits for the end of a stream, whatever it is. */
async function ended(raw: RawHttp2, streamId: number): Promise<void> {
  const isEnd = (frame: RawHttp2['frames'][number]): boolean =>
    frame.streamId === streamId &&
    (frame.type === FRAME.reset || (frame.type === FRAME.headers && ends(frame)));
  await within(
    10_000,
    raw.until((frames) => frames.some(isEnd)),
  );
}

/** Status codes in the frames: `grpc-status: 8` as grpc-js and we put it into headers. */
const statuses = (raw: RawHttp2, streamId: number): string =>
  raw.frames
    .filter((frame) => frame.type === FRAME.headers && frame.streamId === streamId)
    .map(({ payload }) => payload.toString('latin1'))
    .join('');

describe('calls of a caller', () => {
  test('are rationed over its connections, unknown and forbidden ones too', async () => {
    const listener = await bench.cluster.listen(bench.server, bench.services(), frozen);
    const identity = await bench.cluster.node('worker', 'w-rationed');
    const { burst } = limits.WORKER_CALL_RATE;
    const third = burst / 3;
    const paths = [GET_RING, '/conclave.v1.Nothing/Such'];
    for (const path of paths) {
      const raw = await connect(listener, identity);
      for (let count = 0; count < third; count += 1) {
        wholeCall(raw, 1 + 2 * count, path);
        await ended(raw, 1 + 2 * count);
      }
      expect(raw.socket.destroyed).toBe(false);
    }
    const raw = await connect(listener, identity);
    for (let count = 0; count < third; count += 1) {
      raw.call(1 + 2 * count, SESSION);
      raw.frame({ type: FRAME.data, flags: FLAG.endStream, streamId: 1 + 2 * count });
      await ended(raw, 1 + 2 * count);
    }
    expect(bench.signals).toHaveLength(third);
    for (let more = third; more < third + 10; more += 1) {
      wholeCall(raw, 1 + 2 * more, SESSION);
      await ended(raw, 1 + 2 * more);
    }
    expect(bench.signals).toHaveLength(third);
    // Another worker has its own.
    const other = await connect(listener, await bench.cluster.node('worker', 'w-other'));
    other.call(1, SESSION);
    while (bench.signals.length === third) await new Promise((resolve) => setImmediate(resolve));
    await listener.close();
  });

  test('refused calls end the connection when there are many', async () => {
    const listener = await bench.cluster.listen(bench.server, bench.services(), frozen);
    const raw = await connect(listener, await bench.cluster.node('worker', 'w-stubborn'));
    let count = 0;
    for (; !raw.socket.destroyed && count < 1_000; count += 1) {
      wholeCall(raw, 1 + 2 * count, GET_RING);
      await Promise.race([raw.closed, ended(raw, 1 + 2 * count)]);
    }
    const { WORKER_CALL_RATE, WORKER_CANCEL_RATE } = limits;
    expect(count).toBeLessThanOrEqual(WORKER_CALL_RATE.burst + WORKER_CANCEL_RATE.burst + 2);
    await listener.close();
  });

  test('write one line of the log per connection', async () => {
    const lines: string[] = [];
    const note = (event: string): void => void lines.push(event);
    const logger: Logger = { ...SILENT, info: note, warn: note, error: note };
    const listener = await bench.cluster.listen(bench.server, bench.services(), { logger });
    const raw = await connect(listener, await bench.cluster.node('worker', 'w-loud'));
    for (let count = 0; count < 20; count += 1) {
      wholeCall(raw, 1 + 2 * count, GET_RING);
      await ended(raw, 1 + 2 * count);
    }
    expect(lines).toEqual(['transport.call-refused']);
    await listener.close();
  });
});

const SILENT = {
  debug: () => undefined,
  child: () => SILENT as unknown as Logger,
} as unknown as Logger;

describe('bytes of requests', () => {
  test('a method takes what it needs: 64 KiB, unless it carries values or lists', async () => {
    const raw = await connect(bench.listener, await bench.cluster.admin('ann'));
    raw.call(1, GET_INFO);
    beginMessage(raw, 1, limits.REQUEST_BYTES_DEFAULT + 1, 10);
    await ended(raw, 1);
    expect(statuses(raw, 1)).toContain('8');
    const worker = await connect(bench.listener, await bench.cluster.node('worker', 'w1'));
    worker.call(1, SESSION);
    beginMessage(worker, 1, limits.SESSION_BYTES_MAX + 1, 10);
    await within(10_000, bench.until('session ended true'));
    expect(bench.calls).toEqual(['session', 'session ended true']);
  });

  test('a worker that leaves requests unfinished is cut when they are too much', async () => {
    const size = limits.SESSION_BYTES_MAX;
    const identity = await bench.cluster.node('worker', 'w-unfinished');
    const fits = limits.WORKER_HELD_BYTES_MAX / size;
    // All but the last byte.
    const message = Buffer.alloc(5 + size - 1);
    message.writeUInt32BE(size, 1);
    for (let number = 0; number <= fits; number += 1) {
      const session = await bench.rawSession(identity);
      const stream = session.request({
        ':method': 'POST',
        ':path': SESSION,
        'content-type': 'application/grpc',
      });
      stream.on('error', () => undefined);
      stream.resume();
      await new Promise<void>((resolve) => {
        stream.write(message, () => resolve());
        stream.once('close', () => resolve());
      });
    }
    // The last one was too much: its call is over, those before are not.
    while (!bench.calls.includes('session ended true')) {
      await new Promise((resolve) => setImmediate(resolve));
    }
    expect(bench.signals.map(({ aborted }) => aborted)).toEqual([
      ...Array<boolean>(fits).fill(false),
      true,
    ]);
  });
});

describe('on the join listener', () => {
  const open = (other: object = {}): Promise<Listener> =>
    listenJoin({
      host: '127.0.0.1',
      port: 0,
      identity: new ReplaceableIdentity(bench.server),
      services: [partly('Join', { challenge: async () => ({ clusterId: 'c' }) })],
      ...frozen,
      timers,
      logger: SILENT,
      ...other,
    });

  test('a connection has two streams', async () => {
    const listener = await open();
    const raw = await connect(listener, undefined);
    for (const streamId of [1, 3, 5]) raw.call(streamId, JOIN);
    await ended(raw, 5);
    const reset = raw.frames.find(({ type }) => type === FRAME.reset);
    expect(reset?.payload.readUInt32BE()).toBe(constants.NGHTTP2_REFUSED_STREAM);
    await listener.close();
  });

  test('a request that does not come to its end within seconds is cut', async () => {
    const manual = new ManualTimers();
    const listener = await open({ timers: manual });
    const raw = await connect(listener, undefined);
    raw.call(1, JOIN);
    beginMessage(raw, 1, 10_000, 5_000);
    // Two of the handshake, one until the first call, and the two of the call.
    while (manual.started < 5) await new Promise((resolve) => setImmediate(resolve));
    manual.advance(limits.JOIN_REQUEST_READ_MS_MAX);
    await ended(raw, 1);
    const closing = listener.close();
    manual.advance(limits.CLOSE_GRACE_MS);
    await closing;
  });

  test('an address has connections until they close, not only until their handshake', async () => {
    let now = 0;
    // A second between any two looks: no rate refuses anything.
    const clockThatRuns = { now: () => clock.now(), monotonic: () => (now += 1_000) };
    const listener = await open({ clock: clockThatRuns });
    const raws: RawHttp2[] = [];
    for (let count = 0; count < limits.PENDING_PER_ADDRESS_MAX; count += 1) {
      raws.push(await connect(listener, undefined));
    }
    await expect(connect(listener, undefined)).rejects.toMatchObject({ code: 'ECONNRESET' });
    raws[0]?.destroy();
    while (listener.connectionCount >= limits.PENDING_PER_ADDRESS_MAX) {
      await new Promise((resolve) => setImmediate(resolve));
    }
    await connect(listener, undefined);
    await listener.close();
  });

  test('an address has challenges for the joins of a host, not without end', async () => {
    const listener = await open();
    const raw = await connect(listener, undefined);
    const { burst } = limits.JOIN_CALL_RATE;
    for (let count = 0; count <= burst; count += 1) {
      const payload = headerBlock(callHeaders('/conclave.v1.Join/Challenge'));
      const streamId = 1 + 2 * count;
      raw.frame({ type: FRAME.headers, flags: FLAG.endHeaders, streamId, payload });
      raw.frame({ type: FRAME.data, flags: FLAG.endStream, streamId, payload: Buffer.alloc(5) });
      await ended(raw, streamId);
    }
    const answered = raw.frames.filter(({ type }) => type === FRAME.data);
    expect(answered).toHaveLength(burst);
    await listener.close();
  });
});
