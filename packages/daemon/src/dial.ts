import { createServer, Socket } from 'node:net';
import { networkInterfaces } from 'node:os';
import { ConclaveError } from '@conclave/kernel';

/** True when something accepts a TCP connection at `host:port` within `timeoutMs`. */
export function dial(address: string, timeoutMs: number): Promise<boolean> {
  const at = address.lastIndexOf(':');
  const host = address.slice(0, at).replace(/^\[|\]$/g, '');
  return new Promise((resolve) => {
    const socket = new Socket();
    const end = (isOpen: boolean): void => {
      socket.destroy();
      resolve(isOpen);
    };
    socket.setTimeout(timeoutMs, () => end(false));
    socket.once('error', () => end(false));
    socket.once('connect', () => end(true));
    socket.connect({ host, port: Number(address.slice(at + 1)) });
  });
}

/**
 * Holds a port open without a service, so that a manager can see that it reaches this host before
 * this host has a certificate to serve with.
 * @throws CV_SOCKET_IN_USE when the port is taken
 */
export async function holdPort(host: string, port: number): Promise<{ close(): Promise<void> }> {
  const server = createServer((socket) => socket.destroy());
  await new Promise<void>((resolve, reject) => {
    server.once('error', (error: NodeJS.ErrnoException) => {
      reject(
        error.code === 'EADDRINUSE'
          ? new ConclaveError('CV_SOCKET_IN_USE', `port ${port} is taken on this host`)
          : error,
      );
    });
    server.listen({ host, port }, resolve);
  });
  return {
    close: () => new Promise<void>((resolve) => server.close(() => resolve())),
  };
}

/** An address of this host that others may reach; undefined when it has none but loopback. */
export function outwardAddress(): string | undefined {
  for (const addresses of Object.values(networkInterfaces())) {
    for (const { address, family, internal } of addresses ?? []) {
      if (!internal && family === 'IPv4') return address;
    }
  }
  return undefined;
}
