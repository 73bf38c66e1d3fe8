import { mkdtempSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { spawnSync } from 'node:child_process';
import { afterEach, beforeEach, describe, expect, jest, test } from '@jest/globals';
import { SILENT_LOGGER } from '@conclave/kernel';
import { loadWire } from '@conclave/wire';
import { listenLocal, openLocalChannel } from '../src/index.js';
import type { Listener } from '../src/index.js';
import { clock, failureOf, partly, timers, within } from './fixture.js';

// Real sockets on a machine that may be busy.
jest.setTimeout(30_000);

let folder: string;
let path: string;
const listeners: Listener[] = [];
const actors: string[] = [];

async function listen(at: string = path): Promise<Listener> {
  const services = [
    partly('Local', { status: async () => ({ state: 'not-initialized' }) }),
    partly('Cluster', {
      getInfo: async (call) => {
        actors.push(`${call.actor.kind}:${call.actor.id}`);
        return { clusterId: 'c' };
      },
      watch: async function* (call) {
        yield { index: 1 };
        await new Promise((resolve) => call.signal.addEventListener('abort', resolve));
      },
    }),
  ];
  const listener = await listenLocal({ path: at, services, clock, timers, logger: SILENT_LOGGER });
  listeners.push(listener);
  return listener;
}

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'conclave-local-'));
  path = join(folder, 'conclave.sock');
});

afterEach(async () => {
  await Promise.all(listeners.splice(0).map((listener) => listener.close()));
  rmSync(folder, { recursive: true, force: true });
});

describe('the local socket', () => {
  // Attack row A21.
  test('serves the administrator of this host, whoever else asks cannot open it', async () => {
    await listen();
    expect(statSync(path).mode & 0o777).toBe(0o600);
    using channel = openLocalChannel({ path, clock, timers });
    expect(await channel.unary(loadWire().Local.Status, {})).toMatchObject({
      state: 'not-initialized',
    });
    await channel.unary(loadWire().Cluster.GetInfo, {});
    expect(actors.at(-1)).toBe('admin:local');
  });

  test('several connections at once are told apart', async () => {
    const listener = await listen();
    using first = openLocalChannel({ path, clock, timers });
    using second = openLocalChannel({ path, clock, timers });
    const events = first.serverStream(loadWire().Cluster.Watch, {})[Symbol.asyncIterator]();
    await events.next();
    await second.unary(loadWire().Local.Status, {});
    expect(listener.connectionCount).toBe(2);
    await events.return?.();
  });

  test('one that answers is left alone', async () => {
    await listen();
    expect(await failureOf(listen())).toMatchObject({ code: 'CV_SOCKET_IN_USE' });
    using channel = openLocalChannel({ path, clock, timers });
    expect(await channel.unary(loadWire().Local.Status, {})).toMatchObject({
      state: 'not-initialized',
    });
  });

  test('one that a killed daemon left is replaced', async () => {
    const listenAndDie = `require('node:net').createServer()
      .listen(${JSON.stringify(path)}, () => process.kill(process.pid, 'SIGKILL'))`;
    spawnSync(process.execPath, ['-e', listenAndDie], { env: {} });
    expect(statSync(path).isSocket()).toBe(true);
    await listen();
    using channel = openLocalChannel({ path, clock, timers });
    expect(await channel.unary(loadWire().Local.Status, {})).toMatchObject({
      state: 'not-initialized',
    });
  });

  test('a file of somebody is not removed', async () => {
    writeFileSync(path, 'mine');
    expect(await failureOf(listen())).toMatchObject({ code: 'CV_ARGUMENT_INVALID' });
    expect(statSync(path).size).toBe(4);
  });

  test('a path that the kernel would cut, or without a folder, is refused', async () => {
    const long = join(folder, 'x'.repeat(120));
    expect(await failureOf(listen(long))).toMatchObject({ code: 'CV_ARGUMENT_INVALID' });
    const missing = join(folder, 'no', 'x.sock');
    expect(await failureOf(listen(missing))).toMatchObject({ code: 'CV_ARGUMENT_INVALID' });
  });

  test('nobody answers: unreachable, quickly', async () => {
    using channel = openLocalChannel({ path, clock, timers });
    const call = channel.unary(loadWire().Local.Status, {});
    expect(await within(10_000, failureOf(call))).toMatchObject({ code: 'CV_PEER_UNREACHABLE' });
  });

  test('closing ends streams and removes the socket', async () => {
    const listener = await listen();
    using channel = openLocalChannel({ path, clock, timers });
    const events = channel.serverStream(loadWire().Cluster.Watch, {})[Symbol.asyncIterator]();
    await events.next();
    const next = failureOf(events.next());
    await listener.close();
    expect(await within(10_000, next)).toMatchObject({ code: 'CV_PEER_UNREACHABLE' });
    expect(statSync(path, { throwIfNoEntry: false })).toBeUndefined();
  });

  test('a connection that is no gRPC is closed', async () => {
    const listener = await listen();
    const socket = connect({ path });
    socket.write('GET / HTTP/1.1\r\n\r\n');
    await within(
      10_000,
      new Promise<void>((resolve) => {
        socket.on('error', () => undefined);
        socket.resume();
        socket.once('close', () => resolve());
      }),
    );
    expect(listener.connectionCount).toBe(0);
  });

  test('the umask is as it was', async () => {
    const before = process.umask();
    await listen();
    expect(process.umask()).toBe(before);
  });
});
