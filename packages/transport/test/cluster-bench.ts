import { connect as connectHttp2 } from 'node:http2';
import type { ClientHttp2Session } from 'node:http2';
import { connect as connectTls } from 'node:tls';
import type { TLSSocket } from 'node:tls';
import { loadWire } from '@conclave/wire';
import { openChannel, ReplaceableIdentity } from '../src/index.js';
import type { Channel, Listener, ServedService, TlsIdentity } from '../src/index.js';
import { clock, partly, rawOptions, TestCluster, timers } from './fixture.js';

/** A cluster with one open listener, and clients of every kind. */
export interface Bench {
  readonly cluster: TestCluster;
  /** Another cluster, for strangers. */
  readonly foreign: TestCluster;
  /** The identity of the listener. */
  readonly server: TlsIdentity;
  readonly listener: Listener;
  /** What handlers did. */
  readonly calls: string[];
  /** Resolves once a handler did this. */
  until(call: string): Promise<void>;
  /** The signals of sessions. */
  readonly signals: AbortSignal[];
  services(): ServedService[];
  channel(identity: TlsIdentity, expectation?: { nodeId?: string }): Channel;
  /** A TLS client that does as it likes. */
  raw(identity: TlsIdentity | undefined, more?: object): TLSSocket;
  /** An HTTP/2 client that does as it likes. */
  rawSession(identity: TlsIdentity): Promise<ClientHttp2Session>;
  /** Ends something after the test. */
  later(close: () => void): void;
  /** Ends what the test opened and forgets what handlers did. */
  reset(): void;
}

export const getInfo = (via: Channel): Promise<unknown> =>
  via.unary(loadWire().Cluster.GetInfo, {});

export async function openBench(): Promise<Bench> {
  const cluster = await TestCluster.create();
  const foreign = await TestCluster.create('othercluster');
  const server = await cluster.node('manager', 'm1');
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

  const listener = await cluster.listen(server, services());
  return {
    cluster,
    foreign,
    server,
    listener,
    calls,
    signals,
    services,
    channel,
    raw,
    rawSession,
    until: async (call) => {
      while (!calls.includes(call)) await new Promise((resolve) => setImmediate(resolve));
    },
    later: (close) => opened.push(close),
    reset: () => {
      for (const close of opened.splice(0)) close();
      calls.length = 0;
      signals.length = 0;
    },
  };
}
