import type { ClientHttp2Session, OutgoingHttpHeaders } from 'node:http2';
import { connect as connectTcp } from 'node:net';
import { afterAll, afterEach, beforeAll, describe, expect, jest, test } from '@jest/globals';
import { identityOf } from '@conclave/pki';
import { loadWire } from '@conclave/wire';
import { openChannel, ReplaceableIdentity, transportLimits } from '../src/index.js';
import type { Channel } from '../src/index.js';
import { getInfo, openBench } from './cluster-bench.js';
import type { Bench } from './cluster-bench.js';
import { clock, closed, failureOf, partly, timers, within } from './fixture.js';
import type { TestCluster } from './fixture.js';

// Real sockets on a machine that may be busy.
jest.setTimeout(30_000);

let bench: Bench;
let cluster: TestCluster;

beforeAll(async () => {
  bench = await openBench();
  ({ cluster } = bench);
});

afterAll(() => bench.listener.close());

afterEach(() => bench.reset());

const HOUR_MS = 3_600_000;
const EMPTY_MESSAGE = Buffer.alloc(5);

function rawCall(
  session: ClientHttp2Session,
  headers: OutgoingHttpHeaders,
  body: Buffer = EMPTY_MESSAGE,
): Promise<Record<string, unknown>> {
  return new Promise((resolve, reject) => {
    const stream = session.request({
      ':method': 'POST',
      ':path': '/conclave.v1.Cluster/GetInfo',
      'content-type': 'application/grpc',
      te: 'trailers',
      ...headers,
    });
    let answer: Record<string, unknown> = {};
    stream.on('response', (received) => {
      answer = { ...answer, ...received };
    });
    stream.on('trailers', (received) => {
      answer = { ...answer, ...received };
    });
    stream.on('error', reject);
    stream.on('close', () => resolve(answer));
    stream.resume();
    stream.end(body);
  });
}

describe('who may connect', () => {
  test('nobody without a certificate', async () => {
    await within(10_000, closed(bench.raw(undefined)));
    expect(bench.calls).toEqual([]);
  });

  test('nobody of another cluster', async () => {
    await within(10_000, closed(bench.raw(await bench.foreign.node('manager', 'm9'))));
  });

  test('nobody whose certificate has expired', async () => {
    const past = clock.now() - HOUR_MS;
    const expired = await cluster.node('worker', 'w-old', { notBefore: past, notAfter: past + 1 });
    await within(10_000, closed(bench.raw(expired)));
    expect(await failureOf(getInfo(bench.channel(expired)))).toMatchObject({
      code: 'CV_CERTIFICATE_EXPIRED',
    });
  });

  test('nobody whose certificate is not valid yet', async () => {
    const future = clock.now() + HOUR_MS;
    const early = await cluster.node('worker', 'w-new', {
      notBefore: future,
      notAfter: future + HOUR_MS,
    });
    await within(10_000, closed(bench.raw(early)));
  });

  test('nobody with an older TLS', async () => {
    await within(10_000, closed(bench.raw(await cluster.admin('ann'), { maxVersion: 'TLSv1.2' })));
  });

  test('nobody who speaks no HTTP/2', async () => {
    const identity = await cluster.admin('ann');
    await within(10_000, closed(bench.raw(identity, { ALPNProtocols: ['http/1.1'] })));
    await within(10_000, closed(bench.raw(identity, { ALPNProtocols: undefined })));
  });

  // Attack row T03.
  test('a session is never resumed', async () => {
    const identity = await cluster.admin('ann');
    const sessions: Buffer[] = [];
    const first = bench.raw(identity);
    first.on('session', (session) => sessions.push(session));
    await new Promise((resolve) => first.once('secureConnect', resolve));
    await closed(first.end());
    const saved = sessions.at(-1);
    const second = bench.raw(identity, saved === undefined ? {} : { session: saved });
    await new Promise((resolve) => second.once('secureConnect', resolve));
    expect(second.isSessionReused()).toBe(false);
  });

  test('an identity with too many connections loses its oldest', async () => {
    const identity = await cluster.node('worker', 'w-many');
    const max = transportLimits.CONNECTIONS_PER_WORKER_MAX;
    const sessions: ClientHttp2Session[] = [];
    for (let count = 0; count < max; count += 1) sessions.push(await bench.rawSession(identity));
    await Promise.all(sessions.map((session) => rawCall(session, {})));
    const [oldest] = sessions;
    const isGone = new Promise((resolve) => oldest?.once('close', resolve));
    const newest = await bench.rawSession(identity);
    await within(10_000, isGone);
    expect(await rawCall(newest, {})).toHaveProperty('grpc-status');
    expect(sessions.slice(1).every((session) => !session.destroyed)).toBe(true);
  });
});

test('a certificate that was replaced crowds out nobody but itself', async () => {
  const stolen = await cluster.node('worker', 'w-stolen');
  const identity = await cluster.issue({ kind: 'node', role: 'worker', id: 'w-stolen' });
  const [certificate] = stolen.certificatesDer;
  cluster.authority.replaced.add(identityOf(certificate ?? new Uint8Array(0)).serial);
  const own: ClientHttp2Session[] = [];
  for (let count = 0; count < transportLimits.CONNECTIONS_PER_WORKER_MAX; count += 1) {
    own.push(await bench.rawSession(identity));
  }
  await Promise.all(own.map((session) => rawCall(session, {})));
  const others: ClientHttp2Session[] = [];
  for (let count = 0; count <= transportLimits.CONNECTIONS_REFUSED_MAX; count += 1) {
    others.push(await bench.rawSession(stolen));
  }
  const [oldest] = others;
  await within(
    10_000,
    new Promise((done) => (oldest?.closed === true ? done(1) : oldest?.once('close', done))),
  );
  expect(own.filter((session) => session.destroyed)).toEqual([]);
  await Promise.all(own.map((session) => rawCall(session, {})));
});

describe('a place for a handshake', () => {
  test.each([
    ['says nothing', Buffer.alloc(0)],
    ['begins to speak and stops', Buffer.of(22)],
  ])('is not kept by who %s', async (_what, bytes) => {
    const listener = await cluster.listen(bench.server, bench.services());
    const idle = Array.from({ length: transportLimits.PENDING_PER_ADDRESS_MAX - 2 }, () => {
      const socket = connectTcp({ host: '127.0.0.1', port: listener.port });
      socket.on('error', () => undefined);
      socket.write(bytes);
      return socket;
    });
    await Promise.all(
      idle.map((socket) => new Promise((resolve) => socket.once('connect', resolve))),
    );
    const made = cluster.channel(listener, await cluster.admin('ann'));
    expect(await within(transportLimits.HANDSHAKE_MS_MAX, getInfo(made))).toBeDefined();
    expect(idle.map(({ destroyed }) => destroyed)).not.toContain(true);
    for (const socket of idle) socket.destroy();
    made.close();
    await listener.close();
  });
});

describe('what a client demands of the server', () => {
  test('its own cluster', async () => {
    const stranger = await bench.foreign.node('manager', 'm1');
    const other = await bench.foreign.listen(stranger, []);
    const wrong = openChannel({
      address: other.address,
      identity: new ReplaceableIdentity(await cluster.admin('ann')),
      expect: { clusterId: cluster.clusterId },
      clock,
      timers,
    });
    bench.later(() => wrong.close());
    expect(await failureOf(getInfo(wrong))).toMatchObject({ code: 'CV_CA_MISMATCH' });
    await other.close();
  });

  // Attack row T05.
  test('a manager: the certificate of a worker does not serve', async () => {
    const pretender = await cluster.listen(
      await cluster.node('worker', 'w-evil'),
      bench.services(),
    );
    const wrong = openChannel({
      address: pretender.address,
      identity: new ReplaceableIdentity(await cluster.admin('ann')),
      expect: { clusterId: cluster.clusterId },
      clock,
      timers,
    });
    bench.later(() => wrong.close());
    expect(await failureOf(getInfo(wrong))).toMatchObject({ code: 'CV_UNAUTHENTICATED' });
    expect(bench.calls).toEqual([]);
    await pretender.close();
  });

  test('the very node that it asked for', async () => {
    const admin = await cluster.admin('ann');
    expect(await failureOf(getInfo(bench.channel(admin, { nodeId: 'm2' })))).toMatchObject({
      code: 'CV_UNAUTHENTICATED',
    });
    expect(await getInfo(bench.channel(admin, { nodeId: 'm1' }))).toMatchObject({ clusterId: 'c' });
  });

  test('an answer at all', async () => {
    const gone = await cluster.listen(bench.server, []);
    await gone.close();
    const made = openChannel({
      address: gone.address,
      identity: new ReplaceableIdentity(await cluster.admin('ann')),
      expect: { clusterId: cluster.clusterId },
      clock,
      timers,
    });
    bench.later(() => made.close());
    expect(await failureOf(getInfo(made))).toMatchObject({ code: 'CV_PEER_UNREACHABLE' });
  });

  test('an address of the form host:port', () => {
    for (const address of ['', 'host', 'host:0', 'host:70000', 'a b:1', 'unix:/x', 'h:1/p']) {
      const open = (): Channel =>
        openChannel({
          address,
          identity: new ReplaceableIdentity(bench.server),
          expect: { clusterId: 'c' },
          clock,
          timers,
        });
      expect(open).toThrow(expect.objectContaining({ code: 'CV_ARGUMENT_INVALID' }));
    }
  });
});

describe('who may call what', () => {
  test('a worker may not call a method of managers or administrators', async () => {
    const worker = bench.channel(await cluster.node('worker', 'w1'));
    expect(await failureOf(getInfo(worker))).toMatchObject({ code: 'CV_ROLE_FORBIDDEN' });
    const ring = worker.unary(loadWire().Managers.GetRing, {});
    expect(await failureOf(ring)).toMatchObject({ code: 'CV_ROLE_FORBIDDEN' });
    expect(bench.calls).toEqual([]);
  });

  test('a manager that names nobody is no administrator', async () => {
    const manager = bench.channel(await cluster.node('manager', 'm2'));
    expect(await failureOf(getInfo(manager))).toMatchObject({ code: 'CV_ROLE_FORBIDDEN' });
    expect(await manager.unary(loadWire().Managers.GetRing, {})).toMatchObject({ generation: 1 });
  });

  test('the role is that of committed state, not that of the certificate', async () => {
    const demoted = await cluster.node('manager', 'm-demoted');
    cluster.authority.set('m-demoted', {
      kind: 'node',
      id: 'm-demoted',
      role: 'worker',
      isActive: true,
      isSerialCurrent: true,
    });
    const ring = bench.channel(demoted).unary(loadWire().Managers.GetRing, {});
    expect(await failureOf(ring)).toMatchObject({ code: 'CV_ROLE_FORBIDDEN' });
  });

  test.each([
    ['unknown', undefined, 'CV_UNAUTHENTICATED'],
    ['removed', { isActive: false, isSerialCurrent: true }, 'CV_NODE_REMOVED'],
    ['replaced', { isActive: true, isSerialCurrent: false }, 'CV_UNAUTHENTICATED'],
    [
      'not-approved',
      { isActive: true, isSerialCurrent: true, isWaiting: true },
      'CV_APPROVAL_PENDING',
    ],
  ])('a certificate that is %s is refused', async (id, state, code) => {
    const identity = await cluster.node('worker', id);
    const current = { kind: 'node', id, role: 'worker' } as const;
    cluster.authority.set(id, state === undefined ? undefined : { ...current, ...state });
    const call = bench.channel(identity).bidi(loadWire().Dispatcher.Session);
    const next = call.responses[Symbol.asyncIterator]().next();
    expect(await failureOf(next)).toMatchObject({ code });
    expect(bench.calls).toEqual([]);
  });

  test('a method that is not served does not exist', async () => {
    const manager = bench.channel(await cluster.node('manager', 'm2'));
    const call = manager.bidi(loadWire().Raft.Messages);
    const next = call.responses[Symbol.asyncIterator]().next();
    expect(await failureOf(next)).toMatchObject({ code: 'CV_UNSUPPORTED' });
  });

  test('a service without a row for the listener cannot be served', async () => {
    const local = partly('Local', {});
    await expect(async () => cluster.listen(bench.server, [local])).rejects.toThrow('has no row');
    const join = partly('Join', {});
    await expect(async () => cluster.listen(bench.server, [join])).rejects.toThrow('has no row');
  });
});

describe('what a call may look like', () => {
  test('not compressed', async () => {
    const session = await bench.rawSession(await cluster.admin('ann'));
    expect(await rawCall(session, {})).toMatchObject({ 'grpc-status': '0' });
    const answer = await rawCall(session, { 'grpc-encoding': 'gzip' });
    expect(answer).toMatchObject({ 'grpc-status': '3' });
    expect(bench.calls).toEqual(['GetInfo']);
  });

  test('no larger metadata than 16 KiB', async () => {
    const session = await bench.rawSession(await cluster.admin('ann'));
    expect(await rawCall(session, { 'x-large': 'x'.repeat(15_000) })).toMatchObject({
      'grpc-status': '0',
    });
    const larger = rawCall(session, { 'x-large': 'x'.repeat(17_000) });
    await expect(larger).rejects.toThrow('NGHTTP2_ENHANCE_YOUR_CALM');
    expect(bench.calls).toEqual(['GetInfo']);
  });

  test('no malformed message', async () => {
    const session = await bench.rawSession(await cluster.admin('ann'));
    const body = Buffer.from([0, 0, 0, 0, 2, 0xff, 0xff]);
    expect(await rawCall(session, {}, body)).toMatchObject({ 'grpc-status': '3' });
  });

  test('no malformed idempotency key', async () => {
    const session = await bench.rawSession(await cluster.admin('ann'));
    for (const key of ['', 'x'.repeat(65), 'a b']) {
      const answer = await rawCall(session, { 'conclave-idempotency-key': key });
      expect(answer).toMatchObject({ 'grpc-status': '3' });
    }
  });
});
