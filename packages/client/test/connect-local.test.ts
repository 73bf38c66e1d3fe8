import { randomFillSync } from 'node:crypto';
import { chmodSync, chownSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { ConclaveError, SILENT_LOGGER } from '@conclave/kernel';
import type { Clock, Random, Timers } from '@conclave/kernel';
import { listenLocal, serve } from '@conclave/transport';
import type { CallContext, Listener } from '@conclave/transport';
import { loadWire } from '@conclave/wire';
import type { RevokeTokenRequest } from '@conclave/wire';
import { connectLocal } from '../src/index.js';
import type { ConclaveClient } from '../src/index.js';
import { collect } from './support/fake-port.js';

const USER = process.getuid?.() ?? 0;
const clock: Clock = { now: () => Date.now(), monotonic: () => performance.now() };
const timers: Timers = {
  after: (delayMs, callback) => {
    const timer = setTimeout(callback, delayMs);
    return { cancel: () => clearTimeout(timer) };
  },
  every: () => {
    throw new Error('not used');
  },
};
const random: Random = {
  bytes: (count) => randomFillSync(new Uint8Array(count)),
  below: (limit) => Math.floor(limit / 2),
};

let folder: string;
let listener: Listener;
let client: ConclaveClient;
let refusals = 0;
const keys: (string | undefined)[] = [];

const unused = (): never => {
  throw new ConclaveError('CV_UNSUPPORTED', 'not in this test');
};

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'client-'));
  const path = join(folder, 'conclave.sock');
  const tokens = serve(loadWire().Tokens, {
    create: unused,
    list: async function* () {
      yield { id: 'a', role: 'worker' };
      yield { id: 'b', role: 'manager' };
    },
    revoke: (call: CallContext, request: RevokeTokenRequest) => {
      keys.push(call.idempotencyKey);
      if (request.id === 'unknown') throw new ConclaveError('CV_TOKEN_NOT_FOUND', 'no such token');
      refusals += 1;
      if (refusals < 3) throw new ConclaveError('CV_NO_LEADER', 'no leader', { retryAfterMs: 1 });
      return Promise.resolve({ index: 12 });
    },
  });
  listener = await listenLocal({ path, services: [tokens], clock, timers, logger: SILENT_LOGGER });
  client = await connectLocal({ socketPath: path, clock, timers, random, userId: USER });
});

afterAll(async () => {
  await client.close();
  await listener.close();
  rmSync(folder, { recursive: true });
});

describe('over the local socket', () => {
  test('nothing is sent to a socket that another user may have made', async () => {
    const open = join(folder, 'open');
    mkdirSync(open);
    chmodSync(open, 0o1777);
    const path = join(open, 'theirs', 'conclave.sock');
    mkdirSync(join(open, 'theirs'));
    const theirs = await listenLocal({
      path,
      services: [],
      clock,
      timers,
      logger: SILENT_LOGGER,
    });
    // Root can give the folder away; everybody else asks as somebody else.
    if (USER === 0) chownSync(join(open, 'theirs'), 4_711, 4_711);
    const userId = USER === 0 ? 1_000 : USER + 1;
    const asked = connectLocal({ socketPath: path, clock, timers, random, userId });
    await expect(asked).rejects.toMatchObject({ code: 'CV_PLACE_FOREIGN' });
    await theirs.close();
  });

  test('a write is repeated under one key until there is a leader', async () => {
    expect(await client.tokens.revoke('a')).toEqual({ index: 12 });
    expect(keys).toHaveLength(3);
    expect(new Set(keys).size).toBe(1);
    expect(keys[0]).toMatch(/^[a-z2-7]{26}$/);
  });

  test('an error keeps its code, its sentence and its hint', async () => {
    await expect(client.tokens.revoke('unknown')).rejects.toMatchObject({
      code: 'CV_TOKEN_NOT_FOUND',
      message: 'no such token',
      hint: expect.stringContaining('conclave token ls'),
    });
  });

  test('a list is a stream', async () => {
    const all = await collect(client.tokens.list());
    expect(all.map(({ id }) => id)).toEqual(['a', 'b']);
  });
});

describe('without a daemon', () => {
  test('it is said at once, with what to do', async () => {
    const socketPath = join(folder, 'nobody.sock');
    await expect(
      connectLocal({ socketPath, clock, timers, random, userId: USER }),
    ).rejects.toMatchObject({
      code: 'CV_PEER_UNREACHABLE',
      message: `no daemon answers at ${socketPath}`,
      hint: expect.stringContaining('conclave daemon'),
    });
  });

  test('a path that no socket can have is refused', async () => {
    const socketPath = `/${'x'.repeat(107)}`;
    await expect(
      connectLocal({ socketPath, clock, timers, random, userId: USER }),
    ).rejects.toMatchObject({
      code: 'CV_ARGUMENT_INVALID',
    });
  });

  test('a file that is no socket is told the same way', async () => {
    const socketPath = join(folder, 'file');
    writeFileSync(socketPath, '');
    await expect(
      connectLocal({ socketPath, clock, timers, random, userId: USER }),
    ).rejects.toMatchObject({
      code: 'CV_PEER_UNREACHABLE',
    });
  });
});
