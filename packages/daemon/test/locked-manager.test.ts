import { randomInt } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, jest, test } from '@jest/globals';
import { required } from '@conclave/kernel';
import { createRecoveryKit, openSealed } from '@conclave/sealed';
import type { SecretBytes } from '@conclave/sealed';
import { AUTHORISATION, openLocalChannel } from '@conclave/transport';
import { loadWire } from '@conclave/wire';
import { Daemon } from '../src/daemon.js';
import { SYSTEM_CLOCK, SYSTEM_RANDOM, SYSTEM_TIMERS } from '../src/platform.js';
import { attempt, openSession, PATHS } from './matrix-calls.js';

// Attack rows A01 and A13 for a locked manager; the other identities are in the matrix beside.
jest.setTimeout(120_000);

const LOCKED = 'this manager is locked';
const SEALED = 'the secret of the call is not sealed to this daemon';
const MEMBER = 'this host is a member of a cluster already';
/** What these say while the manager is locked; every other call of the socket says {@link LOCKED}. */
const OTHER_WORDS: Readonly<Record<string, unknown>> = {
  '/conclave.v1.Local/Status': { status: 0, message: 'OK' },
  // It is served: what it has against the call is that the message has no secret in it.
  '/conclave.v1.Local/Unlock': { status: 3, message: SEALED },
  '/conclave.v1.Local/Init': { status: 9, message: MEMBER },
  '/conclave.v1.Local/Join': { status: 3, message: SEALED },
  '/conclave.v1.Local/Leave': { status: 14, message: `${LOCKED} and cannot take its leave` },
};

const CLUSTER_PORT = 7420;
const JOIN_PORT = 7421;

let folder: string;
let daemon: Daemon;
let recoveryText: SecretBytes;
const listenHost = `127.${randomInt(1, 255)}.${randomInt(0, 255)}.${randomInt(1, 255)}`;

const start = (): Promise<Daemon> =>
  Daemon.start({
    dataDir: join(folder, 'data'),
    runDir: join(folder, 'run'),
    listenHost,
    clusterPort: CLUSTER_PORT,
    joinPort: JOIN_PORT,
    hostname: 'alpha',
    logLevel: 'error',
    logFormat: 'json',
    allowSwap: true,
    allowedTaskUsers: [],
    deliverySealing: 'hybrid',
  });

async function stop(): Promise<void> {
  daemon.requestStop();
  expect(await daemon.ended).toBe(0);
}

/** `open`, or why a connection to the port does not come about. */
function portState(port: number): Promise<string> {
  return new Promise((resolve) => {
    const socket = connect({ host: listenHost, port });
    socket.once('connect', () => {
      socket.destroy();
      resolve('open');
    });
    socket.once('error', (error: NodeJS.ErrnoException) => resolve(error.code ?? ''));
  });
}

const portStates = (): Promise<string[]> => Promise.all([CLUSTER_PORT, JOIN_PORT].map(portState));

beforeAll(async () => {
  await openSealed();
  folder = await mkdtemp(join(tmpdir(), 'conclave-locked-'));
  const kit = createRecoveryKit(SYSTEM_RANDOM);
  recoveryText = required(kit.texts[0], 'text');
  daemon = await start();
  const admin = openLocalChannel({
    path: join(folder, 'run', 'conclave.sock'),
    clock: SYSTEM_CLOCK,
    timers: SYSTEM_TIMERS,
  });
  const { publicKey, threshold, shareHashes } = kit.recipient;
  const recovery = { publicKey, threshold, shareHashes: [...shareHashes] };
  await admin.unary(loadWire().Local.Init, { recovery, advertise: listenHost });
  admin.close();
  expect(await portStates()).toEqual(['open', 'open']);
  await stop();
  daemon = await start();
});

afterAll(async () => {
  await stop();
  await rm(folder, { recursive: true, force: true });
});

describe('who may call what on a locked manager', () => {
  test('nobody on the cluster and the join port: nothing listens there', async () => {
    expect(daemon.status().state).toBe('locked');
    expect(await portStates()).toEqual(['ECONNREFUSED', 'ECONNREFUSED']);
  });

  test('its administrator on the socket: status and unlock', async () => {
    const session = openSession(connect(join(folder, 'run', 'conclave.sock')));
    const got: Record<string, unknown> = {};
    const expected: Record<string, unknown> = {};
    for (const path of PATHS) {
      got[path] = await attempt(session, path, { message: new Uint8Array(0) });
      expected[path] =
        AUTHORISATION[path]?.local === undefined
          ? expect.objectContaining({ status: 12 })
          : (OTHER_WORDS[path] ?? { status: 14, message: LOCKED });
    }
    session.destroy();
    expect(got).toEqual(expected);
    expect(daemon.status().state).toBe('locked');
  });

  test('all of them again once it has its key', async () => {
    expect(await daemon.unlock(recoveryText)).toMatchObject({ isUnlocked: true });
    expect(daemon.status().state).toBe('ready');
    expect(await portStates()).toEqual(['open', 'open']);
  });
});
