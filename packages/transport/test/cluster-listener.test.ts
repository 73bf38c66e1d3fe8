import { connect as connectHttp2 } from 'node:http2';
import type { ClientHttp2Session, OutgoingHttpHeaders } from 'node:http2';
import { connect as connectTcp } from 'node:net';
import { connect as connectTls } from 'node:tls';
import type { TLSSocket } from 'node:tls';
import {
  afterAll,
  afterEach,
  beforeAll,
  beforeEach,
  describe,
  expect,
  jest,
  test,
} from '@jest/globals';
import { identityOf } from '@conclave/pki';
import { loadWire } from '@conclave/wire';
import { openChannel, ReplaceableIdentity, transportLimits } from '../src/index.js';
import type { Channel, Listener, ServedService, TlsIdentity } from '../src/index.js';
import {
  clock,
  closed,
  failureOf,
  ManualTimers,
  partly,
  rawOptions,
  TestCluster,
  timers,
  within,
} from './fixture.js';

// Real sockets on a machine that may be busy.
jest.setTimeout(30_000);

const HOUR_MS = 3_600_000;
let cluster: TestCluster;
let foreign: TestCluster;
let server: TlsIdentity;
let listener: Listener;
const opened: (() => void)[] = [];
const calls: string[] = [];
const signals: AbortSignal[] = [];

function services(): ServedService[] {
  return [
    partly('Cluster', {
      getInfo: async () => {
        calls.push('GetInfo');
        return { clusterId: 'c' };
      },
      watch: async function* (call) {
        yield { index: 1 };
        await new Promise<void>((resolve) => {
          call.signal.addEventListener('abort', () => resolve(), { once: true });
        });
        calls.push('watch ended');
      },
    }),
    partly('Dispatcher', {
      session: async (call, requests, responses) => {
        calls.push('session');
        signals.push(call.signal);
        try {
          for await (const request of requests) {
            // As many answers as asked for, without waiting for the reader.
            for (let count = 0; count < (request.ack?.sequence ?? 0); count += 1) {
              responses
                .write({ logRequest: { taskId: 'x'.repeat(60_000) } })
                .catch(() => undefined);
            }
          }
        } finally {
          calls.push(`session ended ${String(call.signal.aborted)}`);
        }
      },
    }),
    partly('Managers', { getRing: async () => ({ generation: 1 }) }),
  ];
}

function channel(identity: TlsIdentity, expectation: { nodeId?: string } = {}): Channel {
  const made = openChannel({
    address: listener.address,
    identity: new ReplaceableIdentity(identity),
    expect: { clusterId: cluster.clusterId, ...expectation },
    clock,
    timers,
  });
  opened.push(() => made.close());
  return made;
}

function raw(identity: TlsIdentity | undefined, more: object = {}): TLSSocket {
  const socket = connectTls({ ...rawOptions(identity), port: listener.port, ...more });
  socket.on('error', () => undefined);
  opened.push(() => socket.destroy());
  return socket;
}

function rawSession(identity: TlsIdentity): Promise<ClientHttp2Session> {
  return new Promise((resolve) => {
    const socket = raw(identity);
    socket.once('secureConnect', () => {
      const session = connectHttp2('https://x', { createConnection: () => socket });
      session.on('error', () => undefined);
      opened.push(() => session.destroy());
      resolve(session);
    });
  });
}

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

beforeAll(async () => {
  cluster = await TestCluster.create();
  foreign = await TestCluster.create('othercluster');
  server = await cluster.node('manager', 'm1');
  listener = await cluster.listen(server, services());
});

afterAll(() => listener.close());

beforeEach(() => {
  calls.length = 0;
  signals.length = 0;
});

afterEach(() => {
  for (const close of opened.splice(0)) close();
});

const getInfo = (via: Channel): Promise<unknown> => via.unary(loadWire().Cluster.GetInfo, {});

describe('who may connect', () => {
  test('nobody without a certificate', async () => {
    await within(10_000, closed(raw(undefined)));
    expect(calls).toEqual([]);
  });

  test('nobody of another cluster', async () => {
    await within(10_000, closed(raw(await foreign.node('manager', 'm9'))));
  });

  test('nobody whose certificate has expired', async () => {
    const past = clock.now() - HOUR_MS;
    const expired = await cluster.node('worker', 'w-old', { notBefore: past, notAfter: past + 1 });
    await within(10_000, closed(raw(expired)));
    expect(await failureOf(getInfo(channel(expired)))).toMatchObject({
      code: 'CV_CERTIFICATE_EXPIRED',
    });
  });

  test('nobody whose certificate is not valid yet', async () => {
    const future = clock.now() + HOUR_MS;
    const early = await cluster.node('worker', 'w-new', {
      notBefore: future,
      notAfter: future + HOUR_MS,
    });
    await within(10_000, closed(raw(early)));
  });

  test('nobody with an older TLS', async () => {
    await within(10_000, closed(raw(await cluster.admin('ann'), { maxVersion: 'TLSv1.2' })));
  });

  test('nobody who speaks no HTTP/2', async () => {
    const identity = await cluster.admin('ann');
    await within(10_000, closed(raw(identity, { ALPNProtocols: ['http/1.1'] })));
    await within(10_000, closed(raw(identity, { ALPNProtocols: undefined })));
  });

  test('a session is never resumed', async () => {
    const identity = await cluster.admin('ann');
    const sessions: Buffer[] = [];
    const first = raw(identity);
    first.on('session', (session) => sessions.push(session));
    await new Promise((resolve) => first.once('secureConnect', resolve));
    await closed(first.end());
    const saved = sessions.at(-1);
    const second = raw(identity, saved === undefined ? {} : { session: saved });
    await new Promise((resolve) => second.once('secureConnect', resolve));
    expect(second.isSessionReused()).toBe(false);
  });

  test('an identity has a bounded number of connections', async () => {
    const identity = await cluster.node('worker', 'w-many');
    const max = transportLimits.CONNECTIONS_PER_WORKER_MAX;
    const sessions: ClientHttp2Session[] = [];
    for (let count = 0; count < max; count += 1) sessions.push(await rawSession(identity));
    await Promise.all(sessions.map((session) => rawCall(session, {})));
    await within(10_000, closed(raw(identity)));
    expect(sessions.every((session) => !session.destroyed)).toBe(true);
  });
});

describe('what a client demands of the server', () => {
  test('its own cluster', async () => {
    const stranger = await foreign.node('manager', 'm1');
    const other = await foreign.listen(stranger, []);
    const wrong = openChannel({
      address: other.address,
      identity: new ReplaceableIdentity(await cluster.admin('ann')),
      expect: { clusterId: cluster.clusterId },
      clock,
      timers,
    });
    opened.push(() => wrong.close());
    expect(await failureOf(getInfo(wrong))).toMatchObject({ code: 'CV_CA_MISMATCH' });
    await other.close();
  });

  test('a manager: the certificate of a worker does not serve', async () => {
    const pretender = await cluster.listen(await cluster.node('worker', 'w-evil'), services());
    const wrong = openChannel({
      address: pretender.address,
      identity: new ReplaceableIdentity(await cluster.admin('ann')),
      expect: { clusterId: cluster.clusterId },
      clock,
      timers,
    });
    opened.push(() => wrong.close());
    expect(await failureOf(getInfo(wrong))).toMatchObject({ code: 'CV_UNAUTHENTICATED' });
    expect(calls).toEqual([]);
    await pretender.close();
  });

  test('the very node that it asked for', async () => {
    const admin = await cluster.admin('ann');
    expect(await failureOf(getInfo(channel(admin, { nodeId: 'm2' })))).toMatchObject({
      code: 'CV_UNAUTHENTICATED',
    });
    expect(await getInfo(channel(admin, { nodeId: 'm1' }))).toMatchObject({ clusterId: 'c' });
  });

  test('an answer at all', async () => {
    const gone = await cluster.listen(server, []);
    await gone.close();
    const made = openChannel({
      address: gone.address,
      identity: new ReplaceableIdentity(await cluster.admin('ann')),
      expect: { clusterId: cluster.clusterId },
      clock,
      timers,
    });
    opened.push(() => made.close());
    expect(await failureOf(getInfo(made))).toMatchObject({ code: 'CV_PEER_UNREACHABLE' });
  });

  test('an address of the form host:port', () => {
    for (const address of ['', 'host', 'host:0', 'host:70000', 'a b:1', 'unix:/x', 'h:1/p']) {
      const open = (): Channel =>
        openChannel({
          address,
          identity: new ReplaceableIdentity(server),
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
    const worker = channel(await cluster.node('worker', 'w1'));
    expect(await failureOf(getInfo(worker))).toMatchObject({ code: 'CV_ROLE_FORBIDDEN' });
    const ring = worker.unary(loadWire().Managers.GetRing, {});
    expect(await failureOf(ring)).toMatchObject({ code: 'CV_ROLE_FORBIDDEN' });
    expect(calls).toEqual([]);
  });

  test('a manager that names nobody is no administrator', async () => {
    const manager = channel(await cluster.node('manager', 'm2'));
    expect(await failureOf(getInfo(manager))).toMatchObject({ code: 'CV_ROLE_FORBIDDEN' });
    expect(await manager.unary(loadWire().Managers.GetRing, {})).toMatchObject({ generation: 1 });
  });

  test('only managers pass calls on', async () => {
    const forwardedFor = { kind: 'admin', id: 'local' } as const;
    for (const identity of [await cluster.node('worker', 'w1'), await cluster.admin('ann')]) {
      const call = channel(identity).unary(loadWire().Cluster.GetInfo, {}, { forwardedFor });
      expect(await failureOf(call)).toMatchObject({ code: 'CV_ROLE_FORBIDDEN' });
    }
    const manager = channel(await cluster.node('manager', 'm2'));
    const malformed = { kind: 'node', id: 'w1' } as const;
    const call = manager.unary(loadWire().Cluster.GetInfo, {}, { forwardedFor: malformed });
    expect(await failureOf(call)).toMatchObject({ code: 'CV_ARGUMENT_INVALID' });
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
    const ring = channel(demoted).unary(loadWire().Managers.GetRing, {});
    expect(await failureOf(ring)).toMatchObject({ code: 'CV_ROLE_FORBIDDEN' });
  });

  test.each([
    ['unknown', undefined],
    ['removed', { isActive: false, isSerialCurrent: true }],
    ['replaced', { isActive: true, isSerialCurrent: false }],
  ])('a certificate that is %s is refused', async (id, state) => {
    const identity = await cluster.node('worker', id);
    const current = { kind: 'node', id, role: 'worker' } as const;
    cluster.authority.set(id, state === undefined ? undefined : { ...current, ...state });
    const call = channel(identity).bidi(loadWire().Dispatcher.Session);
    const next = call.responses[Symbol.asyncIterator]().next();
    expect(await failureOf(next)).toMatchObject({ code: 'CV_UNAUTHENTICATED' });
    expect(calls).toEqual([]);
  });

  test('a method that is not served does not exist', async () => {
    const manager = channel(await cluster.node('manager', 'm2'));
    const call = manager.bidi(loadWire().Raft.Messages);
    const next = call.responses[Symbol.asyncIterator]().next();
    expect(await failureOf(next)).toMatchObject({ code: 'CV_UNSUPPORTED' });
  });

  test('a service without a row for the listener cannot be served', async () => {
    const local = partly('Local', {});
    await expect(async () => cluster.listen(server, [local])).rejects.toThrow('has no row');
    const join = partly('Join', {});
    await expect(async () => cluster.listen(server, [join])).rejects.toThrow('has no row');
  });
});

describe('what a call may look like', () => {
  test('not compressed', async () => {
    const session = await rawSession(await cluster.admin('ann'));
    expect(await rawCall(session, {})).toMatchObject({ 'grpc-status': '0' });
    const answer = await rawCall(session, { 'grpc-encoding': 'gzip' });
    expect(answer).toMatchObject({ 'grpc-status': '3' });
    expect(calls).toEqual(['GetInfo']);
  });

  test('no larger metadata than 16 KiB', async () => {
    const session = await rawSession(await cluster.admin('ann'));
    expect(await rawCall(session, { 'x-large': 'x'.repeat(15_000) })).toMatchObject({
      'grpc-status': '0',
    });
    const answer = await rawCall(session, { 'x-large': 'x'.repeat(17_000) });
    expect(answer).toMatchObject({ 'grpc-status': '8' });
  });

  test('no malformed message', async () => {
    const session = await rawSession(await cluster.admin('ann'));
    const body = Buffer.from([0, 0, 0, 0, 2, 0xff, 0xff]);
    expect(await rawCall(session, {}, body)).toMatchObject({ 'grpc-status': '3' });
  });

  test('no malformed idempotency key', async () => {
    const session = await rawSession(await cluster.admin('ann'));
    for (const key of ['', 'x'.repeat(65), 'a b']) {
      const answer = await rawCall(session, { 'conclave-idempotency-key': key });
      expect(answer).toMatchObject({ 'grpc-status': '3' });
    }
  });
});

describe('deadlines', () => {
  test('a connection that says nothing is closed', async () => {
    const manual = new ManualTimers();
    const quiet = await cluster.listen(server, services(), { timers: manual });
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
    const quiet = await cluster.listen(server, services(), { timers: manual });
    const identity = await cluster.admin('ann');
    const socket = connectTls({ ...rawOptions(identity), port: quiet.port });
    await new Promise((resolve) => socket.once('secureConnect', resolve));
    while (quiet.connectionCount === 0) await new Promise((resolve) => setImmediate(resolve));
    const isClosed = closed(socket);
    // The deadline of the handshake may still be pending on the server's side; both are the same.
    await new Promise((resolve) => setTimeout(resolve, 50));
    manual.advance(transportLimits.FIRST_CALL_MS_MAX);
    await within(10_000, isClosed);
    const closing = quiet.close();
    manual.advance(transportLimits.CLOSE_GRACE_MS);
    await closing;
  });

  test('a caller names its own deadline', async () => {
    const worker = channel(await cluster.node('worker', 'w1'));
    const call = worker.bidi(loadWire().Dispatcher.Session, { timeoutMs: 50 });
    const next = call.responses[Symbol.asyncIterator]().next();
    expect(await failureOf(next)).toMatchObject({ code: 'CV_DEADLINE' });
  });
});

describe('slow readers', () => {
  test('a writer that does not wait is cut, with its memory', async () => {
    const worker = channel(await cluster.node('worker', 'w1'));
    const call = worker.bidi(loadWire().Dispatcher.Session);
    await call.requests.write({ ack: { sequence: 1_000 } });
    const read = async (): Promise<void> => {
      // The first read comes late: until then the answers pile up on the other side.
      await new Promise((resolve) => setTimeout(resolve, 300));
      for await (const message of call.responses) expect(message.logRequest).toBeDefined();
    };
    expect(await within(10_000, failureOf(read()))).toMatchObject({ kind: 'limit' });
    expect(calls).toContain('session ended true');
  });
});

describe('revocation', () => {
  test('a removed node loses its streams at once', async () => {
    const worker = channel(await cluster.node('worker', 'w-gone'));
    const call = worker.bidi(loadWire().Dispatcher.Session);
    await call.requests.write({ hello: { hostname: 'h' } });
    while (!calls.includes('session')) await new Promise((resolve) => setImmediate(resolve));
    const next = failureOf(call.responses[Symbol.asyncIterator]().next());
    cluster.authority.set('w-gone', undefined);
    // Not soon: at once, with the committed change.
    expect(signals.map((signal) => signal.aborted)).toEqual([true]);
    expect(await within(10_000, next)).toMatchObject({ code: 'CV_UNAUTHENTICATED' });
    const again = worker.bidi(loadWire().Dispatcher.Session).responses[Symbol.asyncIterator]();
    expect(await failureOf(again.next())).toMatchObject({ code: 'CV_UNAUTHENTICATED' });
  });

  test('a removed node that does not read loses what is queued for it', async () => {
    const worker = channel(await cluster.node('worker', 'w-deaf'));
    const call = worker.bidi(loadWire().Dispatcher.Session);
    // Fewer bytes than the queue takes, more than an HTTP/2 stream lets through unread.
    await call.requests.write({ ack: { sequence: 30 } });
    while (!calls.includes('session')) await new Promise((resolve) => setImmediate(resolve));
    await new Promise((resolve) => setTimeout(resolve, 100));
    cluster.authority.set('w-deaf', undefined);
    const read = async (): Promise<void> => {
      for await (const message of call.responses) expect(message.logRequest).toBeDefined();
    };
    expect(await within(10_000, failureOf(read()))).toMatchObject({ kind: 'denied' });
    expect(calls).toContain('session ended true');
  });

  test('a stream of another node goes on', async () => {
    const admin = channel(await cluster.admin('ann'));
    const events = admin.serverStream(loadWire().Cluster.Watch, {})[Symbol.asyncIterator]();
    expect((await events.next()).value).toMatchObject({ index: 1 });
    cluster.authority.set('somebody', undefined);
    expect(await getInfo(admin)).toMatchObject({ clusterId: 'c' });
    await events.return?.();
    while (!calls.includes('watch ended')) await new Promise((resolve) => setImmediate(resolve));
  });
});

describe('renewal', () => {
  test('new connections get the new certificate, open ones stay', async () => {
    const source = new ReplaceableIdentity(server);
    const renewing = await cluster.listen(server, services(), { identity: source });
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
    expect(serialOf(first.peerCertificateDer)).toBe(serialOf(server.certificatesDer[0]));
    expect(serialOf(second.peerCertificateDer)).toBe(serialOf(renewed.certificatesDer[0]));
    first.close();
    second.close();
    await renewing.close();
  });

  test('after the root is replaced nobody of the old one connects', async () => {
    const source = new ReplaceableIdentity(server);
    const rotating = await cluster.listen(server, services(), { identity: source });
    const replacement = await TestCluster.create();
    source.replace(await replacement.node('manager', 'm1'));
    const old = connectTls({ ...rawOptions(await cluster.admin('ann')), port: rotating.port });
    await within(10_000, closed(old));
    await rotating.close();
  });
});

describe('closing', () => {
  test('twice is once, and open streams end', async () => {
    const short = await cluster.listen(server, services());
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
