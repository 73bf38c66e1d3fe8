import { createServer } from 'node:net';
import type { AddressInfo, Server } from 'node:net';
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { ConclaveError } from '@conclave/kernel';
import type { ErrorCode } from '@conclave/kernel';
import { loadWire } from '@conclave/wire';
import { managersPort } from '../src/managers-port.js';
import type { RpcPort } from '../src/port.js';

// Real sockets: whether a manager listens is what the port asks the network.
const timers = {
  after: (delayMs: number, callback: () => void) => {
    const timer = setTimeout(callback, delayMs);
    return { cancel: () => clearTimeout(timer) };
  },
  every: (): never => {
    throw new Error('not in use');
  },
};

let servers: Server[];
let addresses: string[];
/** What each manager answers, by address. */
let answers: Map<string, ErrorCode | 'yes'>;
let asked: string[];
let closed: string[];

beforeEach(async () => {
  servers = await Promise.all(
    [0, 1, 2].map(
      () =>
        new Promise<Server>((resolve) => {
          const server = createServer((socket) => socket.destroy());
          server.listen(0, '127.0.0.1', () => resolve(server));
        }),
    ),
  );
  addresses = servers.map((server) => `127.0.0.1:${(server.address() as AddressInfo).port}`);
  answers = new Map(addresses.map((address) => [address, 'yes']));
  asked = [];
  closed = [];
});

afterEach(async () => {
  await Promise.all(
    servers.map((server) => new Promise((resolve) => server.close(resolve as () => void))),
  );
});

const failed = (code: ErrorCode): ConclaveError => new ConclaveError(code, 'it failed');

function answerOf(address: string): string {
  asked.push(address);
  const answer = answers.get(address) ?? 'CV_PEER_UNREACHABLE';
  if (answer !== 'yes') throw failed(answer);
  return address;
}

function open(address: string): RpcPort {
  return {
    unary: async () => {
      await Promise.resolve();
      return answerOf(address) as never;
    },
    stream: async function* () {
      await Promise.resolve();
      yield answerOf(address) as never;
      if (answers.get(address) !== 'yes') throw failed('CV_PEER_UNREACHABLE');
      yield 'second' as never;
    },
    close: () => closed.push(address),
  };
}

const port = (): RpcPort =>
  managersPort({
    addresses,
    open,
    onClose: () => closed.push('all'),
    timers,
    random: { bytes: () => new Uint8Array(0), below: () => 0 },
  });
const { GetInfo, Watch } = loadWire().Cluster;
const call = (target: RpcPort): Promise<unknown> => target.unary(GetInfo, {}, {});

describe('a way to several managers', () => {
  test('stays with the first one that answers', async () => {
    const target = port();
    expect([await call(target), await call(target)]).toEqual([addresses[0], addresses[0]]);
    target.close();
    expect(closed).toEqual([addresses[0], 'all']);
  });

  test.each<ErrorCode>([
    'CV_CA_MISMATCH',
    'CV_NOT_INITIALIZED',
    'CV_NO_LEADER',
    'CV_PEER_UNREACHABLE',
    'CV_STATE_STALE',
    'CV_UNAUTHENTICATED',
  ])('asks another one after %s', async (code) => {
    const target = port();
    answers.set(addresses[0] ?? '', code);
    // Both fail at the first, and both go to the second: none is passed over.
    const both = await Promise.all([call(target), call(target)]);
    expect(both).toEqual([addresses[1], addresses[1]]);
    // What is open on the first one goes on.
    expect(closed).toEqual([]);
    expect(await call(target)).toBe(addresses[1]);
  });

  test.each<ErrorCode>(['CV_ROLE_FORBIDDEN', 'CV_OUTCOME_UNKNOWN', 'CV_DEADLINE', 'CV_INTERNAL'])(
    'takes %s for an answer',
    async (code) => {
      answers.set(addresses[0] ?? '', code);
      await expect(call(port())).rejects.toMatchObject({ code });
      expect(asked).toEqual([addresses[0]]);
    },
  );

  test.each<ErrorCode>(['CV_NO_LEADER', 'CV_ROLE_FORBIDDEN', 'CV_DISK_FULL'])(
    'says of a write that broke off that it may be done, though another one says %s',
    async (code) => {
      answers = new Map(addresses.map((address) => [address, code]));
      answers.set(addresses[0] ?? '', 'CV_PEER_UNREACHABLE');
      const write = port().unary(GetInfo, {}, { idempotencyKey: 'key' });
      await expect(write).rejects.toMatchObject({ code: 'CV_PEER_UNREACHABLE' });
    },
  );

  test('believes another one that judges the write', async () => {
    answers = new Map(addresses.map((address) => [address, 'CV_VERSION_STALE']));
    answers.set(addresses[0] ?? '', 'CV_PEER_UNREACHABLE');
    const write = port().unary(GetInfo, {}, { idempotencyKey: 'key' });
    await expect(write).rejects.toMatchObject({ code: 'CV_VERSION_STALE' });
  });

  test('does not wait for a manager that is not there', async () => {
    await new Promise((resolve) => servers[0]?.close(resolve));
    expect(await call(port())).toBe(addresses[1]);
    expect(asked).toEqual([addresses[1]]);
  });

  test('asks a manager again that is back', async () => {
    const target = port();
    for (const address of addresses.slice(0, 2)) answers.set(address, 'CV_PEER_UNREACHABLE');
    expect(await call(target)).toBe(addresses[2]);
    answers.set(addresses[2] ?? '', 'CV_NO_LEADER');
    answers.set(addresses[0] ?? '', 'yes');
    expect(await call(target)).toBe(addresses[0]);
    target.close();
    expect(closed.toSorted()).toEqual([...addresses, 'all'].toSorted());
  });

  test('tries each once, and says what a manager said', async () => {
    answers = new Map([
      [addresses[0] ?? '', 'CV_PEER_UNREACHABLE'],
      [addresses[1] ?? '', 'CV_UNAUTHENTICATED'],
      [addresses[2] ?? '', 'CV_PEER_UNREACHABLE'],
    ]);
    await expect(call(port())).rejects.toMatchObject({ code: 'CV_UNAUTHENTICATED' });
    expect(asked).toEqual(addresses);
  });

  test('moves a stream before its first item, never behind it', async () => {
    const target = port();
    answers.set(addresses[0] ?? '', 'CV_NO_LEADER');
    const items: unknown[] = [];
    const read = async (): Promise<void> => {
      for await (const item of target.stream(Watch, {} as never, {})) {
        items.push(item);
        answers.set(addresses[1] ?? '', 'CV_NO_LEADER');
      }
    };
    await expect(read()).rejects.toMatchObject({ code: 'CV_PEER_UNREACHABLE' });
    expect(items).toEqual([addresses[1]]);
  });
});
