import { spawn } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
// oxlint-disable-next-line no-restricted-imports -- the peer of the comparison is grpc-js itself
import { ChannelCredentials, Client } from '@grpc/grpc-js';
import type { BenchCluster } from './cluster.js';

/** Milliseconds for one call, and for the start of a server. */
const PATIENCE_MS = 30_000;
const PAYLOAD = Buffer.alloc(1_024, 7);
const asBytes = (bytes: Buffer): Buffer => bytes;

/** Servers of nothing but grpc-js, one process each, over sockets of this host. */
export interface Echo {
  /** Calls per second of `count` loops over all of them. */
  perSecond(count: number, ms: number): Promise<number>;
  close(): Promise<void>;
}

/** Starts a server and waits until it listens; it ends with its standard input. */
async function startServer(path: string): Promise<ChildProcess> {
  const script = join(import.meta.dirname, 'echo-server.mjs');
  const child = spawn(process.execPath, [script, path], { stdio: ['pipe', 'pipe', 'inherit'] });
  const ended = new AbortController();
  child.once('exit', () => ended.abort());
  const signal = AbortSignal.any([ended.signal, AbortSignal.timeout(PATIENCE_MS)]);
  try {
    await once(child.stdout, 'data', { signal });
  } catch (cause) {
    const state = child.exitCode ?? child.signalCode ?? 'still on its way';
    child.kill('SIGKILL');
    throw new Error(`the server of the comparison does not listen: ${state}`, { cause });
  }
  return child;
}

async function stopServer(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const end = once(child, 'exit');
  child.stdin?.end();
  await end;
}

function call(client: Client): Promise<void> {
  return new Promise((resolve, reject) => {
    const deadline = Date.now() + PATIENCE_MS;
    client.makeUnaryRequest('/echo/Echo', asBytes, asBytes, PAYLOAD, { deadline }, (error) => {
      if (error === null) resolve();
      else reject(error);
    });
  });
}

/** Starts as many servers as the cluster has managers. */
export async function startEcho(cluster: BenchCluster): Promise<Echo> {
  const paths = cluster.managers.map((_, place) =>
    join(cluster.farm.memoryFolder, `echo-${place}.sock`),
  );
  const children = await Promise.all(paths.map(startServer));
  const clients = paths.map(
    (path) => new Client(`unix:${path}`, ChannelCredentials.createInsecure()),
  );
  return {
    perSecond: async (count, ms) => {
      let done = 0;
      const started = performance.now();
      const loop = async (number: number): Promise<void> => {
        const client = clients[number % clients.length] as Client;
        for (; performance.now() - started < ms; done += 1) await call(client);
      };
      await Promise.all(Array.from({ length: count }, (_, number) => loop(number)));
      return (1_000 * done) / (performance.now() - started);
    },
    close: async () => {
      for (const client of clients) client.close();
      await Promise.all(children.map(stopServer));
    },
  };
}
