import { connect as connectTls, createServer } from 'node:tls';
import { afterAll, afterEach, beforeAll, describe, expect, jest, test } from '@jest/globals';
import { SILENT_LOGGER } from '@conclave/kernel';
import { toPem } from '@conclave/pki';
import { loadWire } from '@conclave/wire';
import { listenJoin, openJoinChannel, ReplaceableIdentity } from '../src/index.js';
import type { Channel, Listener, TlsIdentity } from '../src/index.js';
import {
  clock,
  closed,
  failureOf,
  partly,
  rawOptions,
  TestCluster,
  timers,
  within,
} from './fixture.js';

// Real sockets on a machine that may be busy.
jest.setTimeout(30_000);

let cluster: TestCluster;
let foreign: TestCluster;
let server: TlsIdentity;
let listener: Listener;
const opened: (() => void)[] = [];
const calls: string[] = [];

function join(pin: Uint8Array, address: string = listener.address): Channel {
  const channel = openJoinChannel({ address, pins: [pin], clock, timers });
  opened.push(() => channel.close());
  return channel;
}

beforeAll(async () => {
  cluster = await TestCluster.create();
  foreign = await TestCluster.create('othercluster');
  server = await cluster.node('manager', 'm1');
  listener = await listenJoin({
    host: '127.0.0.1',
    port: 0,
    identity: new ReplaceableIdentity(server),
    services: [
      partly('Join', {
        challenge: async (call) => {
          calls.push(`${call.peer.kind} ${call.actor.kind}`);
          return { nonce: new Uint8Array(32), clusterId: cluster.clusterId };
        },
      }),
    ],
    clock,
    timers,
    logger: SILENT_LOGGER,
  });
});

afterAll(() => listener.close());

afterEach(() => {
  for (const close of opened.splice(0)) close();
  calls.length = 0;
});

describe('the join listener', () => {
  test('answers whoever knows the pin of its root', async () => {
    const channel = join(cluster.root.pin);
    const answer = await channel.unary(loadWire().Join.Challenge, {});
    expect(answer.nonce.length).toBe(32);
    expect(calls).toEqual(['anonymous anonymous']);
    expect(channel.peerCertificateDer).toEqual(server.certificatesDer[0]);
  });

  test('gets nothing from who expects another root', async () => {
    const call = join(foreign.root.pin).unary(loadWire().Join.Challenge, {});
    expect(await failureOf(call)).toMatchObject({ code: 'CV_CA_MISMATCH' });
    expect(calls).toEqual([]);
  });

  // Attack row J01.
  test('an impostor with the right root in its chain gets not a byte', async () => {
    const received: Buffer[] = [];
    const stranger = await foreign.issue({ kind: 'node', role: 'manager', id: 'm1' });
    const pem = (der: Uint8Array): string => Buffer.from(toPem('CERTIFICATE', der)).toString();
    const chain = [...stranger.certificatesDer, cluster.root.certificateDer];
    const impostor = createServer(
      {
        cert: chain.map(pem).join(''),
        key: Buffer.from(stranger.privateKeyPem),
        ALPNProtocols: ['h2'],
      },
      (socket) => {
        socket.on('error', () => undefined);
        socket.on('data', (bytes: Buffer) => received.push(bytes));
      },
    );
    await new Promise<void>((resolve) => impostor.listen(0, '127.0.0.1', resolve));
    opened.push(() => impostor.close());
    const { port } = impostor.address() as { port: number };
    for (const pin of [cluster.root.pin, foreign.root.pin]) {
      const call = join(pin, `127.0.0.1:${port}`).unary(loadWire().Join.Challenge, {});
      expect(await failureOf(call)).toMatchObject({ code: 'CV_CA_MISMATCH' });
    }
    expect(Buffer.concat(received).length).toBe(0);
  });

  test('the certificate of a worker is not that of a manager', async () => {
    const worker = await cluster.node('worker', 'w1');
    const pretender = await listenJoin({
      host: '127.0.0.1',
      port: 0,
      identity: new ReplaceableIdentity(worker),
      services: [partly('Join', {})],
      clock,
      timers,
      logger: SILENT_LOGGER,
    });
    const call = join(cluster.root.pin, pretender.address).unary(loadWire().Join.Challenge, {});
    expect(await failureOf(call)).toMatchObject({ code: 'CV_UNAUTHENTICATED' });
    await pretender.close();
  });

  test('has no other service', async () => {
    const call = join(cluster.root.pin).unary(loadWire().Cluster.GetInfo, {});
    expect(await failureOf(call)).toMatchObject({ code: 'CV_UNSUPPORTED' });
  });

  test('takes no large messages', async () => {
    const request = { hostname: 'x'.repeat(100_000) };
    const call = join(cluster.root.pin).unary(loadWire().Join.Join, request);
    expect(await failureOf(call)).toMatchObject({ code: 'CV_LIMIT_EXCEEDED' });
  });

  test('an address is let in at a bounded rate', async () => {
    const limited = await listenJoin({
      host: '127.0.0.1',
      port: 0,
      identity: new ReplaceableIdentity(server),
      services: [partly('Join', {})],
      clock: { now: () => clock.now(), monotonic: () => 0 },
      timers,
      logger: SILENT_LOGGER,
    });
    const sockets = Array.from({ length: 21 }, () =>
      connectTls({ ...rawOptions(undefined), port: limited.port }).on('error', () => undefined),
    );
    const secured = sockets
      .slice(0, 20)
      .map((socket) => new Promise((resolve) => socket.once('secureConnect', resolve)));
    await within(10_000, Promise.all(secured));
    const last = sockets.at(-1);
    if (last !== undefined) await within(10_000, closed(last));
    for (const socket of sockets) socket.destroy();
    await limited.close();
  });
});
