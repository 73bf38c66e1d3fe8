import { randomBytes } from 'node:crypto';
import { constants } from 'node:http2';
import { connect as connectTcp } from 'node:net';
import { connect as connectTls } from 'node:tls';
import { afterAll, afterEach, beforeAll, describe, expect, jest, test } from '@jest/globals';
import { identityOf } from '@conclave/pki';
import { FRAME, RawHttp2, resetCalls } from '@conclave/testing';
import type { Frame } from '@conclave/testing';
import { loadWire } from '@conclave/wire';
import { ReplaceableIdentity, transportLimits } from '../src/index.js';
import { getInfo, openBench } from './cluster-bench.js';
import type { Bench } from './cluster-bench.js';
import {
  clock,
  closed,
  failureOf,
  ManualTimers,
  rawOptions,
  TestCluster,
  within,
} from './fixture.js';

// Real sockets on a machine that may be busy.
jest.setTimeout(30_000);

const HOUR_MS = 3_600_000;
/** What HTTP/2 lets through unread, of a connection and of a stream. */
const WINDOW_BYTES = 65_535;

let bench: Bench;
let cluster: TestCluster;

beforeAll(async () => {
  bench = await openBench();
  ({ cluster } = bench);
});

afterAll(() => bench.listener.close());

afterEach(() => bench.reset());

describe('deadlines', () => {
  // Attack row T07.
  test('a connection that says nothing is closed', async () => {
    const manual = new ManualTimers();
    const quiet = await cluster.listen(bench.server, bench.services(), { timers: manual });
    const socket = connectTcp({ port: quiet.port, host: '127.0.0.1' });
    await new Promise((resolve) => socket.once('connect', resolve));
    while (manual.count === 0) await new Promise((resolve) => setImmediate(resolve));
    manual.advance(transportLimits.HANDSHAKE_MS_MAX);
    await within(10_000, closed(socket));
    const closing = quiet.close();
    manual.advance(transportLimits.CLOSE_GRACE_MS);
    await closing;
  });

  test('a connection that makes no call after its handshake is closed', async () => {
    const manual = new ManualTimers();
    const quiet = await cluster.listen(bench.server, bench.services(), { timers: manual });
    const identity = await cluster.admin('ann');
    const socket = connectTls({ ...rawOptions(identity), port: quiet.port });
    await new Promise((resolve) => socket.once('secureConnect', resolve));
    const isClosed = closed(socket);
    // The first two belong to the handshake, which the server may still be at.
    while (manual.started < 3) await new Promise((resolve) => setImmediate(resolve));
    manual.advance(transportLimits.FIRST_CALL_MS_MAX);
    await within(10_000, isClosed);
    const closing = quiet.close();
    manual.advance(transportLimits.CLOSE_GRACE_MS);
    await closing;
  });

  test('a caller names its own deadline', async () => {
    const worker = bench.channel(await cluster.node('worker', 'w1'));
    const connected = worker.bidi(loadWire().Dispatcher.Session);
    await connected.requests.write({ hello: { hostname: 'h' } });
    while (bench.signals.length === 0) await new Promise((resolve) => setImmediate(resolve));
    const call = worker.bidi(loadWire().Dispatcher.Session, { timeoutMs: 50 });
    const next = call.responses[Symbol.asyncIterator]().next();
    expect(await failureOf(next)).toMatchObject({ code: 'CV_DEADLINE' });
  });
});

describe('slow readers', () => {
  // Attack row T13.
  test('a writer that does not wait is cut, with its memory', async () => {
    const worker = bench.channel(await cluster.node('worker', 'w1'));
    const call = worker.bidi(loadWire().Dispatcher.Session);
    await call.requests.write({ ack: { sequence: 1_000 } });
    const read = async (): Promise<void> => {
      // The first read comes late: until then the answers pile up on the other side.
      await bench.until('session ended true');
      for await (const message of call.responses) expect(message.logRequest).toBeDefined();
    };
    expect(await within(10_000, failureOf(read()))).toMatchObject({ kind: 'limit' });
  });
});

// Attack row A05.
describe('revocation', () => {
  test('a removed node loses its streams at once', async () => {
    const worker = bench.channel(await cluster.node('worker', 'w-gone'));
    const call = worker.bidi(loadWire().Dispatcher.Session);
    await call.requests.write({ hello: { hostname: 'h' } });
    while (!bench.calls.includes('session')) await new Promise((resolve) => setImmediate(resolve));
    const next = failureOf(call.responses[Symbol.asyncIterator]().next());
    cluster.authority.set('w-gone', undefined);
    // Not soon: at once, with the committed change.
    expect(bench.signals.map((signal) => signal.aborted)).toEqual([true]);
    expect(await within(10_000, next)).toMatchObject({ code: 'CV_UNAUTHENTICATED' });
    const again = worker.bidi(loadWire().Dispatcher.Session).responses[Symbol.asyncIterator]();
    expect(await failureOf(again.next())).toMatchObject({ code: 'CV_UNAUTHENTICATED' });
  });

  test('a removed node that does not read loses what is queued for it', async () => {
    const identity = await cluster.node('worker', 'w-deaf');
    const deaf = await RawHttp2.connect({ ...rawOptions(identity), port: bench.listener.port });
    bench.later(() => deaf.destroy());
    deaf.greet();
    // Fewer bytes than the queue takes; all but the first window of them has to wait.
    const { encodeRequest } = loadWire().Dispatcher.Session;
    deaf.call(1, '/conclave.v1.Dispatcher/Session', encodeRequest({ ack: { sequence: 30 } }));
    const received = (frames: readonly Frame[]): number =>
      frames
        .filter(({ type }) => type === FRAME.data)
        .reduce((sum, { payload }) => sum + payload.length, 0);
    await within(
      10_000,
      deaf.until((frames) => received(frames) >= WINDOW_BYTES),
    );
    cluster.authority.set('w-deaf', undefined);
    expect(bench.signals.map((signal) => signal.aborted)).toEqual([true]);
    await within(10_000, deaf.closed);
    expect(received(deaf.frames)).toBe(WINDOW_BYTES);
    const reset = deaf.frames.find(({ type }) => type === FRAME.reset);
    expect(reset?.payload.readUInt32BE()).toBe(constants.NGHTTP2_INADEQUATE_SECURITY);
    await within(10_000, bench.until('session ended true'));
  });

  test('an idle connection of a removed node is closed at once', async () => {
    const session = await bench.rawSession(await cluster.node('worker', 'w-idle'));
    const other = await bench.rawSession(await cluster.node('worker', 'w-stays'));
    for (const one of [session, other]) {
      const call = one.request({
        ':method': 'POST',
        ':path': '/conclave.v1.Cluster/GetInfo',
        'content-type': 'application/grpc',
      });
      call.end(Buffer.alloc(5));
      await new Promise((resolve) => call.resume().once('close', resolve));
    }
    const isGone = new Promise((resolve) => session.once('close', resolve));
    cluster.authority.set('w-idle', undefined);
    await within(10_000, isGone);
    expect(other.destroyed).toBe(false);
  });

  test('an expired certificate loses its open connection at the next look', async () => {
    let now = clock.now();
    const listener = await cluster.listen(bench.server, bench.services(), {
      clock: { now: () => now, monotonic: () => clock.monotonic() },
    });
    const worker = await cluster.node('worker', 'w-late');
    const raw = await RawHttp2.connect({ ...rawOptions(worker), port: listener.port });
    raw.greet();
    const { encodeRequest } = loadWire().Dispatcher.Session;
    raw.call(1, '/conclave.v1.Dispatcher/Session', encodeRequest({ hello: {} }));
    await within(10_000, bench.until('session'));
    now += 2 * HOUR_MS;
    cluster.authority.look();
    await within(10_000, raw.closed);
    expect(bench.signals.map(({ reason }) => reason as unknown)).toEqual([
      expect.objectContaining({ code: 'CV_CERTIFICATE_EXPIRED' }),
    ]);
    await listener.close();
  });

  // Attack row T03.
  test('a saved session of a removed node is not resumed, and opens no call', async () => {
    const identity = await cluster.node('worker', 'w-saved');
    const saved: Buffer[] = [];
    const first = bench.raw(identity);
    first.on('session', (session: Buffer) => saved.push(session));
    await new Promise((resolve) => first.once('secureConnect', resolve));
    // What TLS 1.3 hands out after its handshake would have come before this answer.
    const before = first.getSession();
    await closed(first.end());
    cluster.authority.set('w-saved', undefined);
    const session = saved.at(-1) ?? before;
    expect(session).toBeDefined();
    const raw = await RawHttp2.connect({
      ...rawOptions(identity),
      port: bench.listener.port,
      ...(session === undefined ? {} : { session }),
    });
    bench.later(() => raw.destroy());
    expect(raw.socket.isSessionReused()).toBe(false);
    raw.greet();
    raw.call(1, '/conclave.v1.Dispatcher/Session', Buffer.alloc(0));
    await within(
      10_000,
      raw.until((frames) => frames.some(({ type }) => type === FRAME.headers)),
    );
    expect(bench.calls).toEqual([]);
  });

  test('a stream of another node goes on', async () => {
    const admin = bench.channel(await cluster.admin('ann'));
    const events = admin.serverStream(loadWire().Cluster.Watch, {})[Symbol.asyncIterator]();
    expect((await events.next()).value).toMatchObject({ index: 1 });
    cluster.authority.set('somebody', undefined);
    expect(await getInfo(admin)).toMatchObject({ clusterId: 'c' });
    await events.return?.();
    while (!bench.calls.includes('watch ended'))
      await new Promise((resolve) => setImmediate(resolve));
  });
});

describe('renewal', () => {
  test('new connections get the new certificate, open ones stay', async () => {
    const source = new ReplaceableIdentity(bench.server);
    const renewing = await cluster.listen(bench.server, bench.services(), { identity: source });
    const admin = await cluster.admin('ann');
    const first = cluster.channel(renewing, admin);
    await getInfo(first);
    const renewed = await cluster.node('manager', 'm1');
    source.replace(renewed);
    const second = cluster.channel(renewing, admin);
    await getInfo(second);
    await getInfo(first);
    const serialOf = (der: Uint8Array | undefined): string =>
      identityOf(der ?? new Uint8Array()).serial;
    expect(serialOf(first.peerCertificateDer)).toBe(serialOf(bench.server.certificatesDer[0]));
    expect(serialOf(second.peerCertificateDer)).toBe(serialOf(renewed.certificatesDer[0]));
    first.close();
    second.close();
    await renewing.close();
  });

  test('after the root is replaced nobody of the old one connects', async () => {
    const source = new ReplaceableIdentity(bench.server);
    const rotating = await cluster.listen(bench.server, bench.services(), { identity: source });
    const replacement = await TestCluster.create();
    source.replace(await replacement.node('manager', 'm1'));
    const old = connectTls({ ...rawOptions(await cluster.admin('ann')), port: rotating.port });
    await within(10_000, closed(old));
    await rotating.close();
  });
});

describe('rubbish', () => {
  test('before, in and after a handshake does no harm', async () => {
    const admin = bench.channel(await cluster.admin('ann'));
    const identity = await cluster.admin('bob');
    const preface = Buffer.from('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n');
    const pieces = [
      randomBytes(300),
      preface,
      Buffer.concat([preface, randomBytes(500)]),
      // A frame that is longer than it may be; a reset of a stream that was never opened.
      Buffer.concat([preface, Buffer.from([0xff, 0xff, 0xff, 0, 0, 0, 0, 0, 1])]),
      Buffer.concat([preface, Buffer.from([0, 0, 4, 3, 0, 0, 0, 0, 1, 0, 0, 0, 0])]),
    ];
    for (const piece of pieces) {
      const plain = connectTcp({ port: bench.listener.port, host: '127.0.0.1' });
      plain.end(piece);
      await within(10_000, closed(plain));
      const secure = bench.raw(identity);
      await new Promise((resolve) => secure.once('secureConnect', resolve));
      secure.end(piece);
      await within(10_000, closed(secure));
    }
    expect(await getInfo(admin)).toMatchObject({ clusterId: 'c' });
  });

  // Attack row T09.
  test('thousands of reset streams end their connection, and no other', async () => {
    const identity = await cluster.node('worker', 'w-resets');
    const raw = await RawHttp2.connect({ ...rawOptions(identity), port: bench.listener.port });
    bench.later(() => raw.destroy());
    raw.greet();
    for (let round = 0; round < 200 && !raw.socket.destroyed; round += 1) {
      raw.write(resetCalls('/conclave.v1.Dispatcher/Session', 1 + 20 * round, 10));
      await new Promise((resolve) => setImmediate(resolve));
    }
    await within(20_000, raw.closed);
    const admin = bench.channel(await cluster.admin('ann'));
    expect(await getInfo(admin)).toMatchObject({ clusterId: 'c' });
  });

  test('a caller that does not end its request after the answer does not keep the call', async () => {
    const identity = await cluster.node('worker', 'w-goes-on');
    const raw = await RawHttp2.connect({ ...rawOptions(identity), port: bench.listener.port });
    bench.later(() => raw.destroy());
    raw.greet();
    raw.call(1, '/conclave.v1.Dispatcher/Session');
    const payload = Buffer.of(0, 0xff, 0xff, 0xff, 0xff);
    raw.frame({ type: FRAME.data, flags: 0, streamId: 1, payload });
    await within(10_000, bench.until('session ended true'));
  });

  test('what arrived behind the reset that is one too many is not begun', async () => {
    const identity = await cluster.node('worker', 'w-burst');
    // Time stands still: on a slow machine the allowance would grow meanwhile.
    const frozen = { clock: { now: () => clock.now(), monotonic: () => 0 } };
    const listener = await cluster.listen(bench.server, bench.services(), frozen);
    const raw = await RawHttp2.connect({ ...rawOptions(identity), port: listener.port });
    bench.later(() => raw.destroy());
    raw.greet();
    // One record of TLS: all of it is there before the loop turns.
    raw.write(resetCalls('/conclave.v1.Dispatcher/Session', 1, 500));
    await within(20_000, raw.closed);
    const begun = bench.calls.filter((call) => call === 'session').length;
    expect(begun).toBeLessThanOrEqual(transportLimits.WORKER_CANCEL_RATE.burst + 1);
    await listener.close();
  });

  test.each(['/conclave.v1.Nothing/Such', '/conclave.v1.Managers/GetRing'])(
    'a call of %s that was given up before it was seen is not answered',
    async (path) => {
      const identity = await cluster.node('worker', 'w-gives-up');
      const raw = await RawHttp2.connect({ ...rawOptions(identity), port: bench.listener.port });
      bench.later(() => raw.destroy());
      raw.greet();
      // One record of TLS: beginning and reset of all of them are there before the loop turns.
      raw.write(resetCalls(path, 1, 200));
      await within(20_000, raw.closed);
      const admin = bench.channel(await cluster.admin('ann'));
      expect(await getInfo(admin)).toMatchObject({ clusterId: 'c' });
    },
  );

  // Attack row T11.
  test('a worker gets no more streams at once than it may have, and keeps those', async () => {
    const identity = await cluster.node('worker', 'w-holds');
    const raw = await RawHttp2.connect({ ...rawOptions(identity), port: bench.listener.port });
    bench.later(() => raw.destroy());
    raw.greet();
    const max = transportLimits.STREAMS_PER_WORKER_MAX;
    for (let count = 0; count < max; count += 1) {
      raw.call(2 * count + 1, '/conclave.v1.Dispatcher/Session');
    }
    while (bench.signals.length < max) await new Promise((resolve) => setImmediate(resolve));
    expect(raw.socket.destroyed).toBe(false);
    const refused = (id: number): boolean =>
      raw.frames.some(
        ({ type, streamId, payload }) =>
          type === FRAME.reset &&
          streamId === id &&
          payload.readUInt32BE() === constants.NGHTTP2_REFUSED_STREAM,
      );
    const last = 2 * max + 1;
    raw.call(last, '/conclave.v1.Dispatcher/Session');
    await within(
      10_000,
      raw.until(() => refused(last)),
    );
    expect(raw.socket.destroyed).toBe(false);
    expect(bench.signals.map(({ aborted }) => aborted)).toEqual(Array(max).fill(false));
    // One that ends makes room for another.
    raw.frame({ type: FRAME.reset, flags: 0, streamId: 1, payload: Buffer.of(0, 0, 0, 8) });
    raw.call(last + 2, '/conclave.v1.Dispatcher/Session');
    while (bench.signals.length === max) await new Promise((resolve) => setImmediate(resolve));
    expect(refused(last + 2)).toBe(false);
    // Who only asks for more loses the connection.
    for (let count = 0; !raw.socket.destroyed; count += 1) {
      raw.call(last + 4 + 2 * count, '/conclave.v1.Dispatcher/Session');
      await new Promise((resolve) => setImmediate(resolve));
    }
    expect(bench.signals).toHaveLength(max + 1);
  });

  test('a client that cancels now and then keeps its connection', async () => {
    const session = await bench.rawSession(await cluster.node('worker', 'w-cancels'));
    for (let count = 0; count < 30; count += 1) {
      const stream = session.request({
        ':method': 'POST',
        ':path': '/conclave.v1.Dispatcher/Session',
        'content-type': 'application/grpc',
      });
      stream.on('error', () => undefined);
      stream.close(8);
      await new Promise((resolve) => stream.once('close', resolve));
    }
    expect(session.destroyed).toBe(false);
  });
});

describe('what the observer is told', () => {
  test('how calls end, and why connections do not begin', async () => {
    const ended: string[] = [];
    const refused: string[] = [];
    const watched = await cluster.listen(bench.server, bench.services(), {
      observer: {
        callEnded: ({ path, outcome, isStream, durationMs }) => {
          expect(durationMs).toBeGreaterThanOrEqual(0);
          ended.push(`${path.slice(13)} ${outcome} ${String(isStream)}`);
        },
        connectionRefused: (kind, reason) => refused.push(`${kind} ${reason}`),
      },
    });
    const admin = cluster.channel(watched, await cluster.admin('ann'));
    await getInfo(admin);
    await failureOf(admin.unary(loadWire().Managers.GetRing, {}));
    const events = admin.serverStream(loadWire().Cluster.Watch, {})[Symbol.asyncIterator]();
    await events.next();
    await events.return?.();
    await within(10_000, closed(connectTcp({ port: watched.port }).end('rubbish')));
    while (ended.length < 2 || refused.length < 1) {
      await new Promise((resolve) => setImmediate(resolve));
    }
    expect(ended).toEqual(['Cluster/GetInfo OK false', 'Cluster/Watch CANCELLED true']);
    expect(refused).toEqual(['cluster handshake']);
    admin.close();
    await watched.close();
  });
});

describe('closing', () => {
  test('a channel ends its calls, on both sides', async () => {
    const worker = bench.channel(await cluster.node('worker', 'w1'));
    const call = worker.bidi(loadWire().Dispatcher.Session);
    await call.requests.write({ hello: { hostname: 'h' } });
    while (bench.signals.length === 0) await new Promise((resolve) => setImmediate(resolve));
    const next = failureOf(call.responses[Symbol.asyncIterator]().next());
    worker.close();
    expect(await within(10_000, next)).toMatchObject({ code: 'CV_CANCELLED' });
    while (bench.signals[0]?.aborted !== true || bench.calls.length < 2) {
      await new Promise((resolve) => setImmediate(resolve));
    }
    worker.close();
  });

  test('twice is once, and open streams end', async () => {
    const short = await cluster.listen(bench.server, bench.services());
    const admin = cluster.channel(short, await cluster.admin('ann'));
    const events = admin.serverStream(loadWire().Cluster.Watch, {})[Symbol.asyncIterator]();
    await events.next();
    const next = failureOf(events.next());
    await Promise.all([short.close(), short.close()]);
    expect(await within(10_000, next)).toMatchObject({ code: 'CV_PEER_UNREACHABLE' });
    expect(short.connectionCount).toBe(0);
    admin.close();
  });
});
