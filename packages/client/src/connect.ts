import { connect } from 'node:net';
import { ConclaveError } from '@conclave/kernel';
import {
  checkOwnPlace,
  openChannel,
  openLocalChannel,
  ReplaceableIdentity,
} from '@conclave/transport';
import { channelPort } from './channel-port.js';
import { createClient } from './client.js';
import type { ConclaveClient } from './client.js';
import type { ClientEnvironment } from './context.js';
import { certificateOf } from './credentials.js';
import type { AdminCredentials } from './credentials.js';
import { managersPort } from './managers-port.js';
import type { RpcPort } from './port.js';

/** How to reach the daemon of this host. */
export interface ConnectLocalOptions extends ClientEnvironment {
  readonly socketPath: string;
  /** Numeric id of the user who asks; root relies on whatever socket it names. */
  readonly userId: number;
}

/** How to reach the managers of a cluster over the network. */
export interface ConnectRemoteOptions extends ClientEnvironment {
  /** Read during the call only. */
  readonly credentials: AdminCredentials;
}

function socketError(cause: Error, socketPath: string): ConclaveError {
  const code = (cause as { code?: unknown }).code;
  const details = { socket: socketPath };
  if (code === 'EACCES' || code === 'EPERM') {
    return new ConclaveError(
      'CV_ROLE_FORBIDDEN',
      `this user may not use the socket ${socketPath}`,
      {
        hint: 'Run the command as the user of the daemon, for instance with sudo.',
        details,
        cause,
      },
    );
  }
  return new ConclaveError('CV_PEER_UNREACHABLE', `no daemon answers at ${socketPath}`, {
    hint: 'Start it with `systemctl start conclaved` or `conclave daemon`, or give --socket PATH.',
    details,
    cause,
  });
}

/** Longer paths do not fit into the kernel's address structure. */
const SOCKET_PATH_BYTES_MAX = 107;

/** A daemon that is not there is told at once and not retried: waiting would not start it. */
function probe(socketPath: string): Promise<void> {
  return new Promise((resolve, reject) => {
    const socket = connect({ path: socketPath });
    socket.once('connect', () => {
      socket.destroy();
      resolve();
    });
    socket.once('error', (error) => {
      socket.destroy();
      reject(socketError(error, socketPath));
    });
  });
}

/**
 * A client of the daemon of this host, over its unix socket. Managers answer all of the API there,
 * workers only `local`.
 * @throws CV_PEER_UNREACHABLE when no daemon listens, CV_ROLE_FORBIDDEN when the socket is another's
 * @throws CV_PLACE_FOREIGN when another user may have made the socket
 * @throws CV_ARGUMENT_INVALID for a path over 107 bytes
 */
export async function connectLocal(options: ConnectLocalOptions): Promise<ConclaveClient> {
  const { clock, socketPath, timers, userId } = options;
  if (Buffer.byteLength(socketPath) > SOCKET_PATH_BYTES_MAX) {
    throw new ConclaveError(
      'CV_ARGUMENT_INVALID',
      `the path of the socket has more than ${SOCKET_PATH_BYTES_MAX} bytes`,
    );
  }
  await probe(socketPath);
  // Before anything is said; who may not even connect is told that.
  if (userId !== 0) await checkOwnPlace(socketPath, userId);
  const channel = openLocalChannel({ path: socketPath, clock, timers });
  return createClient(channelPort(channel), options);
}

/**
 * A client of whichever manager answers, over mutual TLS 1.3 under the roots of the credentials. Any
 * manager does; each passes writes on to the leader. Connects at the first call.
 * @throws CV_CERTIFICATE_EXPIRED, CV_CONTEXT_INVALID without an address
 */
export function connectRemote(options: ConnectRemoteOptions): ConclaveClient {
  const { clock, credentials, random, timers } = options;
  const { addresses, certificateDer, clusterId, rootsDer } = credentials;
  if (clock.now() > certificateOf(credentials).notAfterMs) {
    throw new ConclaveError(
      'CV_CERTIFICATE_EXPIRED',
      'the certificate of the context has expired',
      {
        hint: 'Ask an administrator for a new one: conclave admin create NAME.',
      },
    );
  }
  if (addresses.length === 0) {
    throw new ConclaveError('CV_CONTEXT_INVALID', 'the context names no manager');
  }
  const privateKeyPem = credentials.privateKey.use((view) => view.slice());
  const identity = new ReplaceableIdentity({
    certificatesDer: [certificateDer],
    privateKeyPem,
    rootsDer,
  });
  const open = (address: string): RpcPort =>
    channelPort(openChannel({ address, identity, expect: { clusterId }, clock, timers }));
  const onClose = (): void => void privateKeyPem.fill(0);
  return createClient(managersPort({ addresses, open, onClose, timers, random }), options);
}
