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

/** A port of this host that nobody else can take meanwhile. */
export interface HeldPort {
  close(): Promise<void>;
}

/**
 * Holds a port open without a service, so that a manager can see that it reaches this host before
 * this host has a certificate to serve with.
 * @throws CV_SOCKET_IN_USE when the port is taken
 * @throws CV_ARGUMENT_INVALID when this host has no such address, or may not use the port
 */
export async function holdPort(host: string, port: number): Promise<HeldPort> {
  const server = createServer((socket) => {
    socket.on('error', () => undefined);
    socket.destroy();
  });
  await new Promise<void>((resolve, reject) => {
    server.once('error', (error: NodeJS.ErrnoException) => reject(notHeld(port, error)));
    server.listen({ host, port }, resolve);
  });
  let closing: Promise<void> | undefined;
  const close = (): Promise<void> => {
    closing ??= new Promise((resolve) => server.close(() => resolve()));
    return closing;
  };
  return { close };
}

/** Holds several ports, or none. @throws as {@link holdPort} */
export async function holdPorts(host: string, ports: readonly number[]): Promise<HeldPort> {
  const held: HeldPort[] = [];
  const close = async (): Promise<void> => {
    await Promise.all(held.map((one) => one.close()));
  };
  try {
    for (const port of ports) held.push(await holdPort(host, port));
  } catch (error) {
    await close();
    throw error;
  }
  return { close };
}

function notHeld(port: number, error: NodeJS.ErrnoException): ConclaveError {
  if (error.code === 'EADDRINUSE') {
    return new ConclaveError('CV_SOCKET_IN_USE', `port ${port} is taken on this host`);
  }
  const reason = error.code ?? 'unknown error';
  return new ConclaveError('CV_ARGUMENT_INVALID', `port ${port} cannot be used: ${reason}`);
}

/**
 * An address of this host that others may reach; undefined when it has none but loopback. One of
 * version 4 is preferred; link-local ones need a zone that others do not have.
 * @param withVersion6 whether an address of version 6 will do
 */
export function outwardAddress(
  withVersion6: boolean,
  interfaces: ReturnType<typeof networkInterfaces> = networkInterfaces(),
): string | undefined {
  const outward = Object.values(interfaces)
    .flatMap((addresses) => addresses ?? [])
    .filter(({ internal, address }) => !internal && !/^fe[89ab]/i.test(address));
  const version4 = outward.find(({ family }) => family === 'IPv4');
  const version6 = withVersion6 ? outward.find(({ family }) => family === 'IPv6') : undefined;
  return (version4 ?? version6)?.address;
}
