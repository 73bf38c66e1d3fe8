import { randomBytes } from 'node:crypto';
import type { Socket } from 'node:net';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import {
  callHeaders,
  eventually,
  FLAG,
  FRAME,
  frameBytes,
  headerBlock,
  resetCalls,
} from '@conclave/testing';
import type { Host, RawHttp2 } from '@conclave/testing';
import { ACCEPT_RATES } from '../../packages/transport/src/limits.js';
import {
  asksHandshake,
  clientHello,
  CLUSTER_PORT,
  greet,
  joinWorkers,
  optionsOf,
  pour,
  residentBytes,
  silent,
} from './hostile.js';
import { Cluster, JOIN_PORT } from './support.js';

/** What a flood may cost the manager that it hits. */
const GROWTH_BYTES_MAX = 32 * 1024 * 1024;
/** Thousands of short connections: the young generation of the heap may grow as far as it can. */
const SHORT_GROWTH_BYTES_MAX = 64 * 1024 * 1024;
/** Milliseconds for one call of the good client meanwhile. */
const GOOD_CALL_MS_MAX = 2_000;
/** A flood goes on for so long, or until it was cut off. */
const FLOOD = { bytesMax: 64 * 1024 * 1024, msMax: 2_500 };
/** Requests at a time: fewer than an address may have pending. */
const AT_A_TIME = 12;
/** Milliseconds after which a ration should have been used up long ago. */
const RATION_MS_MAX = 30_000;
const SESSION = '/conclave.v1.Dispatcher/Session';
const MIB = 1024 * 1024;

type Worker = Awaited<ReturnType<typeof joinWorkers>>[number];

let cluster: Cluster;
let leader: Host;
let worker: Worker;
let addressCount = 0;

/** Loopback addresses that nobody used yet, so that each test meets fresh budgets. */
function freshAddress(): string {
  addressCount += 1;
  return `127.9.${Math.floor(addressCount / 250)}.${1 + (addressCount % 250)}`;
}

beforeAll(async () => {
  cluster = await Cluster.start({ tag: 'cflood', network: 'loopback', managers: 3, workers: 1 });
  leader = await cluster.leader();
  const [joined] = await joinWorkers(cluster, 1);
  if (joined === undefined) throw new Error('no worker joined');
  worker = joined;
  // Whatever is compiled and cached at the first contact is not the cost of a flood.
  await cluster.set('good', 'warm');
  const raw = await connect();
  raw.call(1, SESSION);
  await pour(
    raw,
    frameBytes({ type: FRAME.ping, flags: 0, streamId: 0, payload: randomBytes(8) }),
    {
      bytesMax: MIB,
      msMax: 1_000,
    },
  );
  raw.destroy();
});
afterAll(() => cluster?.close());

const connect = (): Promise<RawHttp2> =>
  greet(optionsOf(leader, worker, { localAddress: freshAddress() }));

interface Cost {
  readonly growth: number;
  readonly slowestMs: number;
}

/** Runs a flood against the leader and looks at everybody else meanwhile. */
async function endure(
  name: string,
  flood: () => Promise<unknown>,
  growthMax = GROWTH_BYTES_MAX,
): Promise<Cost> {
  const before = await cluster.status(leader);
  const base = await residentBytes(leader.pid);
  let peak = base;
  let slowestMs = 0;
  let isOver = false;
  const watching = (async () => {
    for (let count = 0; !isOver || count === 0; count += 1) {
      const startedAt = performance.now();
      await cluster.set('good', `value ${name} ${count}`, { from: leader });
      slowestMs = Math.max(slowestMs, performance.now() - startedAt);
      peak = Math.max(peak, await residentBytes(leader.pid));
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
  })();
  try {
    await flood();
  } finally {
    isOver = true;
    await watching;
  }
  const cost = { growth: peak - base, slowestMs };
  process.stderr.write(
    `${name.padEnd(44)} ${(cost.growth / MIB).toFixed(1).padStart(6)} MiB, ` +
      `slowest good write ${slowestMs.toFixed(0)} ms\n`,
  );
  const after = await cluster.status(leader);
  expect({ term: after.term, leader: after.leaderId }).toEqual({
    term: before.term,
    leader: before.leaderId,
  });
  expect(cost.growth).toBeLessThan(growthMax);
  expect(slowestMs).toBeLessThan(GOOD_CALL_MS_MAX);
  return cost;
}

const openHeaders = (block: Uint8Array): Buffer =>
  frameBytes({ type: FRAME.headers, flags: 0, streamId: 1, payload: block });
const repeated = (piece: Uint8Array, count: number): Buffer =>
  Buffer.concat(Array.from({ length: count }, () => piece));

/** Frames that a valid member sends without end; each must cost it the connection. */
const FLOODS: readonly (readonly [string, (raw: RawHttp2) => Promise<number>])[] = [
  [
    'headers that never end',
    (raw) => {
      raw.write(openHeaders(headerBlock(callHeaders(SESSION))));
      const more = headerBlock([['x', 'y'.repeat(8_000)]]);
      const piece = frameBytes({ type: FRAME.continuation, flags: 0, streamId: 1, payload: more });
      return pour(raw, piece, FLOOD);
    },
  ],
  [
    'empty continuations',
    (raw) => {
      raw.write(openHeaders(headerBlock(callHeaders(SESSION))));
      const piece = frameBytes({ type: FRAME.continuation, flags: 0, streamId: 1 });
      return pour(raw, repeated(piece, 1_000), FLOOD);
    },
  ],
  [
    'settings',
    (raw) => {
      const piece = frameBytes({ type: FRAME.settings, flags: 0, streamId: 0 });
      return pour(raw, repeated(piece, 1_000), FLOOD);
    },
  ],
  [
    'pings whose answers nobody reads',
    (raw) => {
      raw.socket.pause();
      const payload = Buffer.alloc(8);
      const piece = frameBytes({ type: FRAME.ping, flags: 0, streamId: 0, payload });
      return pour(raw, repeated(piece, 1_000), FLOOD);
    },
  ],
  [
    'rapid resets',
    async (raw) => {
      let sent = 0;
      const end = performance.now() + FLOOD.msMax;
      for (let first = 1; !raw.socket.destroyed && performance.now() < end; first += 1_000) {
        sent += await pour(raw, resetCalls(SESSION, first, 500), { bytesMax: 1, msMax: 1_000 });
        await new Promise((resolve) => setImmediate(resolve));
      }
      return sent;
    },
  ],
  [
    'more streams than there may be',
    async (raw) => {
      let sent = 0;
      const end = performance.now() + FLOOD.msMax;
      for (let id = 1; !raw.socket.destroyed && id < 20_000 && performance.now() < end;) {
        const pieces: Buffer[] = [];
        for (let count = 0; count < 100; count += 1, id += 2) {
          const payload = headerBlock(callHeaders(SESSION));
          pieces.push(
            frameBytes({ type: FRAME.headers, flags: FLAG.endHeaders, streamId: id, payload }),
          );
        }
        sent += await pour(raw, Buffer.concat(pieces), { bytesMax: 1, msMax: 1_000 });
        await new Promise((resolve) => setImmediate(resolve));
      }
      return sent;
    },
  ],
  [
    'a table of headers that blows up',
    (raw) => {
      // One field of 4 000 bytes into the table, then its index again and again.
      const name = headerBlock([['x', 'y'.repeat(3_900)]]);
      name[0] = 0x40;
      const block = Buffer.concat([
        headerBlock(callHeaders(SESSION)),
        name,
        Buffer.alloc(12_000, 0xbe),
      ]);
      raw.write(openHeaders(block));
      const piece = frameBytes({
        type: FRAME.continuation,
        flags: 0,
        streamId: 1,
        payload: Buffer.alloc(16_000, 0xbe),
      });
      return pour(raw, piece, FLOOD);
    },
  ],
  [
    'a window that overflows',
    (raw) => {
      const payload = Buffer.of(0x7f, 0xff, 0xff, 0xff);
      const piece = frameBytes({ type: FRAME.windowUpdate, flags: 0, streamId: 0, payload });
      return pour(raw, piece, FLOOD);
    },
  ],
  ['bytes that are no frames', (raw) => pour(raw, randomBytes(64 * 1024), FLOOD)],
];

describe('what a member may send', () => {
  test.each(FLOODS)('%s', async (name, flood) => {
    const raw = await connect();
    await endure(name, async () => {
      await flood(raw);
      // Cut off by now, or at the latest when it says nothing any more.
      await eventually(
        'the end of the connection',
        async () => raw.socket.destroyed || undefined,
        8_000,
      );
    });
  });

  test('empty frames of data and priorities are work, not memory', async () => {
    for (const type of [FRAME.data, FRAME.priority]) {
      const raw = await connect();
      raw.call(1, SESSION);
      const payload = type === FRAME.priority ? Buffer.of(0, 0, 0, 3, 1) : undefined;
      const piece = frameBytes({ type, flags: 0, streamId: 1, ...(payload && { payload }) });
      await endure(`empty frames of type ${type}`, () => pour(raw, repeated(piece, 1_000), FLOOD));
      raw.destroy();
    }
  });
});

describe('a message', () => {
  test('that announces 4 GiB is refused, and what follows is not kept', async () => {
    const raw = await connect();
    await endure('a message that announces 4 GiB', async () => {
      raw.call(1, SESSION);
      const payload = Buffer.concat([Buffer.of(0, 0xff, 0xff, 0xff, 0xff), Buffer.alloc(8_000)]);
      const piece = frameBytes({ type: FRAME.data, flags: 0, streamId: 1, payload });
      await pour(raw, piece, { ...FLOOD, bytesMax: 8 * MIB });
      // Any headers could be the beginning of an answer; the status comes with the last ones.
      await raw.until((frames) =>
        frames.some(
          ({ type, streamId, flags }) =>
            streamId === 1 && type === FRAME.headers && (flags & FLAG.endStream) !== 0,
        ),
      );
    });
    raw.destroy();
  });
});

describe('what anybody may do', () => {
  test('2 000 connections that say nothing, from 40 addresses, are closed', async () => {
    await endure('2 000 silent connections', async () => {
      const sockets: Socket[] = [];
      for (let address = 0; address < 40; address += 1) {
        const from = freshAddress();
        const port = address % 2 === 0 ? CLUSTER_PORT : JOIN_PORT;
        const opened = Array.from({ length: 50 }, () => silent(leader, port, from));
        sockets.push(...(await Promise.all(opened)));
      }
      const isQuiet = (): true | undefined =>
        sockets.every(({ destroyed }) => destroyed) || undefined;
      await eventually('the end of all of them', async () => isQuiet(), 15_000);
    });
  });

  test('one address gets 100 handshakes at once and 20 a second', async () => {
    const { burst, perSecond } = ACCEPT_RATES.address;
    const hello = await clientHello();
    const from = freshAddress();
    /** Milliseconds from the first request to each answer. */
    const answeredMs: number[] = [];
    let refused = 0;
    await endure('handshakes from one address', async () => {
      const startedAt = performance.now();
      const ask = async (): Promise<void> => {
        while (refused < 300) {
          if (performance.now() - startedAt > RATION_MS_MAX) throw new Error('nothing is refused');
          if (await asksHandshake(leader, hello, from)) {
            answeredMs.push(performance.now() - startedAt);
          } else refused += 1;
        }
      };
      await Promise.all(Array.from({ length: AT_A_TIME }, ask));
    });
    expect(answeredMs.length).toBeGreaterThanOrEqual(burst);
    const early = answeredMs.filter((ms, place) => place > burst + (perSecond * ms) / 1_000);
    expect(early).toEqual([]);
  });

  test('many connections from 200 addresses use up what all share, for their time', async () => {
    const hello = await clientHello();
    const addresses = Array.from({ length: 200 }, freshAddress);
    let opened = 0;
    let asked = 0;
    let refused = 0;
    // Less than the burst of one address each: no ration of theirs is used up.
    const openedMax = addresses.length * (ACCEPT_RATES.address.burst - 1);
    const isOver = (): boolean => refused >= 20 || opened >= openedMax;
    const flood = async (): Promise<void> => {
      while (!isOver()) {
        const from = addresses[opened % addresses.length] ?? '';
        opened += 1;
        (await silent(leader, CLUSTER_PORT, from)).destroy();
      }
    };
    const newcomers = async (): Promise<void> => {
      for (; !isOver(); asked += 1) {
        if (!(await asksHandshake(leader, hello, freshAddress()))) refused += 1;
      }
    };
    const all = (): Promise<unknown> =>
      Promise.all([...Array.from({ length: AT_A_TIME }, flood), newcomers()]);
    await endure('connections from 200 addresses', all, SHORT_GROWTH_BYTES_MAX);
    process.stderr.write(`${opened} connections; ${refused} of ${asked} new addresses refused\n`);
    expect(refused).toBeGreaterThanOrEqual(20);
    await eventually(
      'a new address is let in again',
      async () => (await asksHandshake(leader, hello, freshAddress())) || undefined,
    );
  });
});
