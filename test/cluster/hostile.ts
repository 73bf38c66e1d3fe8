import { randomFillSync } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { connect as connectHttp2 } from 'node:http2';
import type { ClientHttp2Session } from 'node:http2';
import { connect as connectTcp } from 'node:net';
import type { Socket } from 'node:net';
import { Duplex } from 'node:stream';
import { connect as connectTls } from 'node:tls';
import type { ConnectionOptions } from 'node:tls';
import { toPem } from '@conclave/pki';
import { parseToken } from '@conclave/sealed';
import { RawHttp2 } from '@conclave/testing';
import type { Host } from '@conclave/testing';
import { joinCluster } from '../../packages/daemon/src/join-cluster.js';
import type { JoinedHost } from '../../packages/daemon/src/join-cluster.js';
import { JOIN_PORT } from './support.js';
import type { Cluster } from './support.js';

/** Port of the cluster listener. */
export const CLUSTER_PORT = 7420;

const AROUND: Parameters<typeof joinCluster>[3] = {
  clock: { now: () => Date.now(), monotonic: () => performance.now() },
  timers: {
    after: (delayMs, callback) => {
      const timer = setTimeout(callback, delayMs);
      return { cancel: () => clearTimeout(timer) };
    },
    every: () => {
      throw new Error('not in use');
    },
  },
  random: {
    bytes: (count) => randomFillSync(new Uint8Array(new ArrayBuffer(count))),
    below: () => 0,
  },
};

/** Identities of workers that this process joined itself: no daemon keeps their rules. */
export async function joinWorkers(cluster: Cluster, count: number): Promise<JoinedHost[]> {
  const text = await cluster.token('worker', '--uses', String(count));
  const joined: JoinedHost[] = [];
  const [first, ...rest] = cluster.managers;
  if (first === undefined) throw new Error('a cluster has a manager');
  for (let number = 0; number < count; number += 1) {
    // In turns: each listener takes a few joins a second from one address.
    const host = [first, ...rest][number % cluster.managers.length] ?? first;
    joined.push(
      await joinCluster(
        `${host.address}:${JOIN_PORT}`,
        parseToken(text),
        {
          hostname: `hostile-${number}`,
          platformOs: 'linux',
          version: '0.0.0',
          clusterAddress: '',
          joinAddress: '',
        },
        AROUND,
      ),
    );
  }
  return joined;
}

/** The identity of a manager that takes no part: nothing but its certificate is ever used. */
export async function joinManager(cluster: Cluster, through: Host): Promise<JoinedHost> {
  const text = await cluster.token('manager');
  return joinCluster(
    `${through.address}:${JOIN_PORT}`,
    parseToken(text),
    {
      hostname: 'hostile-manager',
      platformOs: 'linux',
      version: '0.0.0',
      // Something has to answer there; it need not be the one that joins.
      clusterAddress: `${through.address}:${CLUSTER_PORT}`,
      joinAddress: `${through.address}:${JOIN_PORT}`,
    },
    AROUND,
  );
}

/** TLS options of such an identity towards the cluster listener of a host. */
export function optionsOf(host: Host, worker: JoinedHost, more: object = {}): ConnectionOptions {
  return {
    host: host.address,
    port: CLUSTER_PORT,
    cert: Buffer.from(toPem('CERTIFICATE', worker.identity.certificateDer)),
    key: Buffer.from(worker.privateKeyPem),
    ...more,
  };
}

/** Opens a connection whose handshake is done, and says the preface. */
export async function greet(options: ConnectionOptions): Promise<RawHttp2> {
  const raw = await RawHttp2.connect(options);
  raw.greet();
  return raw;
}

/** A TCP connection that says nothing; resolves when it is open or was refused. */
export function silent(host: Host, port: number, localAddress: string): Promise<Socket> {
  return new Promise((resolve) => {
    const socket = connectTcp({ host: host.address, port, localAddress });
    socket.on('error', () => undefined);
    socket.resume();
    socket.once('connect', () => resolve(socket));
    socket.once('close', () => resolve(socket));
  });
}

/** Calls that never come to their end. */
export interface UnfinishedCalls {
  readonly path: string;
  readonly count: number;
  /** Announced for each message; all but the last byte are sent as far as the other side takes it. */
  readonly messageBytes: number;
}

/** Opens one connection and such calls over it; gives them up only when it is destroyed. */
export async function beginCalls(
  options: ConnectionOptions,
  { path, count, messageBytes }: UnfinishedCalls,
): Promise<ClientHttp2Session> {
  const socket = connectTls({ ALPNProtocols: ['h2'], rejectUnauthorized: false, ...options });
  const session = connectHttp2('https://x', { createConnection: () => socket });
  session.on('error', () => undefined);
  await new Promise<void>((resolve) => {
    session.once('remoteSettings', () => resolve());
    session.once('close', () => resolve());
  });
  const head = Buffer.alloc(5);
  head.writeUInt32BE(messageBytes, 1);
  const message = Buffer.concat([head, Buffer.alloc(messageBytes - 1)]);
  for (let number = 0; number < count && !session.destroyed; number += 1) {
    const stream = session.request({
      ':method': 'POST',
      ':path': path,
      'content-type': 'application/grpc',
      te: 'trailers',
    });
    stream.on('error', () => undefined);
    stream.resume();
    stream.write(message);
  }
  return session;
}

/** What a TLS client sends first: who has it asks for handshakes without computing any. */
export function clientHello(): Promise<Uint8Array> {
  return new Promise((resolve) => {
    const socket = new Duplex({
      read: () => undefined,
      write: (bytes: Uint8Array, _encoding, done) => {
        resolve(bytes);
        done();
      },
    });
    connectTls({ socket, ALPNProtocols: ['h2'] }).on('error', () => undefined);
  });
}

/** Asks for a handshake and gives it up at its answer; false when there was none. */
export function asksHandshake(
  host: Host,
  hello: Uint8Array,
  localAddress: string,
): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connectTcp({ host: host.address, port: CLUSTER_PORT, localAddress });
    socket.on('error', () => undefined);
    socket.once('connect', () => socket.write(hello));
    socket.once('data', () => {
      resolve(true);
      socket.destroy();
    });
    socket.once('close', () => resolve(false));
  });
}

/** Bytes of a process that are in memory now. */
export async function residentBytes(pid: number): Promise<number> {
  const status = await readFile(`/proc/${pid}/status`, 'utf8');
  return Number(/^VmRSS:\s+(\d+) kB$/m.exec(status)?.[1] ?? 0) * 1024;
}

/**
 * Sends the same bytes again and again until the other side ends the connection, `bytesMax` are sent
 * or time is up. Resolves with the number of bytes.
 */
export async function pour(
  raw: RawHttp2,
  piece: Uint8Array,
  limits: { readonly bytesMax: number; readonly msMax: number },
): Promise<number> {
  const end = performance.now() + limits.msMax;
  let sent = 0;
  while (!raw.socket.destroyed && sent < limits.bytesMax && performance.now() < end) {
    const isOpen = raw.socket.write(piece);
    sent += piece.length;
    if (isOpen) continue;
    await new Promise<void>((resolve) => {
      const timer = setTimeout(done, 200);
      function done(): void {
        clearTimeout(timer);
        raw.socket.removeListener('drain', done);
        raw.socket.removeListener('close', done);
        resolve();
      }
      raw.socket.once('drain', done);
      raw.socket.once('close', done);
    });
  }
  return sent;
}
