import { randomBytes } from 'node:crypto';
import type { ClientHttp2Session } from 'node:http2';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import {
  callHeaders,
  eventually,
  FLAG,
  FRAME,
  frameBytes,
  headerBlock,
  RawHttp2,
  resetCalls,
} from '@conclave/testing';
import { FIRST_CALL_MS_MAX, SESSION_BYTES_MAX } from '../../packages/transport/src/limits.js';
import { FLOOD, FloodBench, freshAddress } from './flood-bench.js';
import { beginCalls, greet, optionsOf, pour } from './hostile.js';

const SESSION = '/conclave.v1.Dispatcher/Session';
const MIB = 1024 * 1024;

let bench: FloodBench;

beforeAll(async () => {
  bench = await FloodBench.open('cflood');
  const raw = await connect();
  raw.call(1, SESSION);
  const payload = randomBytes(8);
  const ping = frameBytes({ type: FRAME.ping, flags: 0, streamId: 0, payload });
  await pour(raw, ping, { bytesMax: MIB, msMax: 1_000 });
  raw.destroy();
});
afterAll(() => bench?.cluster.close());

const connect = (): Promise<RawHttp2> =>
  greet(optionsOf(bench.leader, bench.worker, { localAddress: freshAddress() }));

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
    await bench.endure(name, async () => {
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
      await bench.endure(`empty frames of type ${type}`, () =>
        pour(raw, repeated(piece, 1_000), FLOOD),
      );
      raw.destroy();
    }
  });
});

describe('a message', () => {
  test('that announces 4 GiB is refused, and what follows is not kept', async () => {
    const raw = await connect();
    await bench.endure('a message that announces 4 GiB', async () => {
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

describe('what a member may leave undone', () => {
  test('messages that never come to their end', async () => {
    await bench.endure('unfinished sessions', async () => {
      const sessions: ClientHttp2Session[] = [];
      for (let number = 0; number < 4; number += 1) {
        const options = optionsOf(bench.leader, bench.worker, { localAddress: freshAddress() });
        const calls = { path: SESSION, count: 8, messageBytes: SESSION_BYTES_MAX };
        sessions.push(await beginCalls(options, calls));
      }
      await new Promise((resolve) => setTimeout(resolve, FLOOD.msMax));
      for (const session of sessions) session.destroy();
    });
  });

  test.each([
    ['nothing at all', Buffer.alloc(0)],
    ['the preface only', Buffer.from('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n')],
    ['half a frame of headers', Buffer.from('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\x40\x01\0\0')],
  ])('after its handshake: %s', async (_name, bytes) => {
    const raw = await RawHttp2.connect(
      optionsOf(bench.leader, bench.worker, { localAddress: freshAddress() }),
    );
    const startedAt = performance.now();
    raw.write(bytes);
    await raw.closed;
    expect(performance.now() - startedAt).toBeLessThan(FIRST_CALL_MS_MAX + 2_000);
  });
});
