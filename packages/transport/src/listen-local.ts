import { chmodSync, lstatSync, unlinkSync } from 'node:fs';
import { connect, createServer } from 'node:net';
import type { Server, Socket } from 'node:net';
import { ConclaveError } from '@conclave/kernel';
import type { Clock, Logger, Timers } from '@conclave/kernel';
import { GrpcListener } from './grpc-listener.js';
import * as limits from './limits.js';
import type { Listener } from './listener.js';
import type { TransportObserver } from './observer.js';
import type { ServedService } from './serve.js';

/** Arguments of {@link listenLocal}. */
export interface ListenLocalOptions {
  /** Path of the unix socket, in a folder that only the owner of this process may enter. */
  readonly path: string;
  readonly services: readonly ServedService[];
  readonly clock: Clock;
  readonly timers: Timers;
  readonly logger: Logger;
  readonly observer?: TransportObserver | undefined;
}

const SOCKET_MODE = 0o600;
/** Longer paths are cut silently by the kernel's address structure. */
const PATH_BYTES_MAX = 107;

function isAnswering(path: string): Promise<boolean> {
  return new Promise((resolve, reject) => {
    const probe = connect({ path });
    probe.once('connect', () => {
      probe.destroy();
      resolve(true);
    });
    probe.once('error', (error: NodeJS.ErrnoException) => {
      if (error.code === 'ECONNREFUSED' || error.code === 'ENOENT') resolve(false);
      else reject(error);
    });
  });
}

function invalid(path: string, message: string, cause?: unknown): ConclaveError {
  return new ConclaveError('CV_ARGUMENT_INVALID', message, { details: { path }, cause });
}

/** Removes the socket that a dead daemon left; anything else at this path is not ours to remove. */
async function clearPath(path: string): Promise<void> {
  if (Buffer.byteLength(path) > PATH_BYTES_MAX) {
    throw invalid(path, `the path of the socket is longer than ${PATH_BYTES_MAX} bytes`);
  }
  const found = lstatSync(path, { throwIfNoEntry: false });
  if (found === undefined) return;
  if (!found.isSocket()) throw invalid(path, 'the path of the socket is taken by something else');
  if (await isAnswering(path)) {
    throw new ConclaveError('CV_SOCKET_IN_USE', 'another daemon answers on the local socket', {
      details: { path },
    });
  }
  unlinkSync(path);
}

function bind(server: Server, path: string): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once('error', (cause: NodeJS.ErrnoException) => {
      const isTaken = cause.code === 'EADDRINUSE';
      reject(
        isTaken
          ? new ConclaveError('CV_SOCKET_IN_USE', 'another daemon listens on the local socket', {
              cause,
            })
          : invalid(path, 'the local socket cannot be created', cause),
      );
    });
    // The name appears in this very call, so nobody else can connect before the mode is right.
    const umask = process.umask(0o177);
    try {
      server.listen({ path }, () => {
        server.removeAllListeners('error');
        resolve();
      });
    } finally {
      process.umask(umask);
    }
  });
}

/** Unix sockets have no address; calls find their connection by this stand-in. */
function nameEnds(socket: Socket, count: number): void {
  Object.defineProperties(socket, {
    remoteAddress: { value: 'local' },
    remotePort: { value: count },
  });
}

/**
 * The listener for the administrator of this host: a unix socket that only its owner may open. A
 * socket that a dead daemon left is replaced; one that answers is not.
 * @throws CV_SOCKET_IN_USE when another daemon answers on this path.
 * @throws CV_ARGUMENT_INVALID when the path is too long, taken by a file, or its folder is missing.
 */
export async function listenLocal(options: ListenLocalOptions): Promise<Listener> {
  const { path, timers, logger } = options;
  const grpc = new GrpcListener({ ...options, kind: 'local' });
  await clearPath(path);
  let acceptedCount = 0;
  const server = createServer((socket) => {
    socket.on('error', () => socket.destroy());
    acceptedCount += 1;
    nameEnds(socket, acceptedCount);
    grpc.adopt({ kind: 'local' }, socket);
  });
  server.maxConnections = limits.CONNECTION_COUNT_MAX;
  await bind(server, path);
  chmodSync(path, SOCKET_MODE);
  server.on('error', (error) => logger.error('transport.listener-error', { error }));
  let closing: Promise<void> | undefined;
  const close = (): Promise<void> => {
    closing ??= (async () => {
      server.close();
      await grpc.close(timers);
      grpc.connections.destroyAll();
    })();
    return closing;
  };
  return {
    address: path,
    port: 0,
    get connectionCount(): number {
      return grpc.connections.count;
    },
    close,
    [Symbol.asyncDispose]: close,
  };
}
