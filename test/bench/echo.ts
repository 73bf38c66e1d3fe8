import { spawn } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
// oxlint-disable-next-line no-restricted-imports -- the peer of the comparison is grpc-js itself
import { ChannelCredentials, Client } from '@grpc/grpc-js';
import type { BenchCluster } from './cluster.js';

const PAYLOAD = Buffer.alloc(1_024, 7);
const asBytes = (bytes: Buffer): Buffer => bytes;

/** Servers of nothing but grpc-js, one process each, over sockets of this host. */
export interface Echo {
  /** Calls per second of `count` loops over all of them. */
  perSecond(count: number, ms: number): Promise<number>;
  close(): Promise<void>;
}

async function startServer(path: string): Promise<ChildProcess> {
  const script = join(import.meta.dirname, 'echo-server.mjs');
  const child = spawn(process.execPath, [script, path], { stdio: ['ignore', 'pipe', 'inherit'] });
  await once(child.stdout, 'data');
  return child;
}

function call(client: Client): Promise<void> {
  return new Promise((resolve, reject) => {
    client.makeUnaryRequest('/echo/Echo', asBytes, asBytes, PAYLOAD, (error) => {
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
      await Promise.all(
        children.map((child) => {
          const end = once(child, 'exit');
          child.kill('SIGTERM');
          return end;
        }),
      );
    },
  };
}
