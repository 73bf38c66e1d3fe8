import type { ClientHttp2Session } from 'node:http2';
import type { Socket } from 'node:net';
import type { ConnectionOptions } from 'node:tls';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { eventually } from '@conclave/testing';
import {
  ACCEPT_RULES,
  JOIN_CALL_RATE,
  JOIN_MESSAGE_BYTES_MAX,
  JOIN_REQUEST_READ_MS_MAX,
} from '../../packages/transport/src/limits.js';
import {
  answers,
  FloodBench,
  freshAddress,
  GOOD_CALL_MS_MAX,
  SHORT_GROWTH_BYTES_MAX,
} from './flood-bench.js';
import {
  asksHandshake,
  beginCalls,
  clientHello,
  CLUSTER_PORT,
  greet,
  optionsOf,
  silent,
} from './hostile.js';
import { JOIN_PORT } from './support.js';

/** Requests at a time: fewer than an address may have pending. */
const AT_A_TIME = 12;
/** Milliseconds after which a ration should have been used up long ago. */
const RATION_MS_MAX = 30_000;
/** Milliseconds without any flood, for comparison. */
const QUIET_MS = 8_000;
const JOIN = '/conclave.v1.Join/Join';
const CHALLENGE = '/conclave.v1.Join/Challenge';

let bench: FloodBench;

beforeAll(async () => {
  bench = await FloodBench.open('cstrange');
});
afterAll(() => bench?.cluster.close());

/** Somebody without a certificate, at the join listener. */
const strangerOptions = (localAddress: string): ConnectionOptions =>
  Object.assign({ host: bench.leader.address, port: JOIN_PORT }, { localAddress });

/** Milliseconds of a call over a connection of its own through the listener. */
async function goodCall(localAddress: string): Promise<number> {
  const startedAt = performance.now();
  const raw = await greet(optionsOf(bench.leader, bench.worker, { localAddress }));
  try {
    expect(await answers(raw, 1, '/conclave.v1.Identity/GetRole')).toBe(true);
  } finally {
    raw.destroy();
  }
  return performance.now() - startedAt;
}

describe('what anybody may do', () => {
  test('2 000 connections that say nothing, from 40 addresses, are closed', async () => {
    await bench.endure('2 000 silent connections', async () => {
      const sockets: Socket[] = [];
      for (let address = 0; address < 40; address += 1) {
        const from = freshAddress();
        const port = address % 2 === 0 ? CLUSTER_PORT : JOIN_PORT;
        const opened = Array.from({ length: 50 }, () => silent(bench.leader, port, from));
        sockets.push(...(await Promise.all(opened)));
      }
      const isQuiet = (): true | undefined =>
        sockets.every(({ destroyed }) => destroyed) || undefined;
      await eventually('the end of all of them', async () => isQuiet(), 15_000);
    });
  });

  test('one address gets 100 handshakes at once and 20 a second', async () => {
    const { burst, perSecond } = ACCEPT_RULES.address;
    const hello = await clientHello();
    const from = freshAddress();
    /** Milliseconds from the first request to each answer. */
    const answeredMs: number[] = [];
    let refused = 0;
    await bench.endure('handshakes from one address', async () => {
      const startedAt = performance.now();
      const ask = async (): Promise<void> => {
        while (refused < 300) {
          if (performance.now() - startedAt > RATION_MS_MAX) throw new Error('nothing is refused');
          if (await asksHandshake(bench.leader, hello, from)) {
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

  test('nobody: what the good client and the watching cost by themselves', async () => {
    await bench.endure('nobody', () => new Promise((resolve) => setTimeout(resolve, QUIET_MS)));
  });

  test('joins that never come to their end, from 8 addresses', async () => {
    await bench.endure('unfinished joins', async () => {
      const sessions: ClientHttp2Session[] = [];
      for (let address = 0; address < 8; address += 1) {
        const from = strangerOptions(freshAddress());
        const calls = { path: JOIN, count: 64, messageBytes: JOIN_MESSAGE_BYTES_MAX };
        // One after the other: the good client is in this process as well.
        for (let count = 0; count < 20; count += 1) sessions.push(await beginCalls(from, calls));
      }
      await new Promise((resolve) => setTimeout(resolve, JOIN_REQUEST_READ_MS_MAX));
      for (const session of sessions) session.destroy();
    });
  });

  test('challenges without end are rationed, and another address gets its own', async () => {
    const { burst, perSecond } = JOIN_CALL_RATE;
    let asked = 0;
    let answered = 0;
    const startedAt = performance.now();
    await bench.endure('challenges without end', async () => {
      const from = freshAddress();
      for (let round = 0; round < 5; round += 1) {
        const raw = await greet(strangerOptions(from));
        for (let id = 1; id < 200 && !raw.socket.destroyed; id += 2, asked += 1) {
          answered += (await answers(raw, id, CHALLENGE)) ? 1 : 0;
        }
        raw.destroy();
      }
      const other = await greet(strangerOptions(freshAddress()));
      expect(await answers(other, 1, CHALLENGE)).toBe(true);
      other.destroy();
    });
    const seconds = (performance.now() - startedAt) / 1_000;
    process.stderr.write(`${answered} of ${asked} challenges in ${seconds.toFixed(1)} s\n`);
    expect(answered).toBeGreaterThanOrEqual(burst);
    expect(answered).toBeLessThanOrEqual(burst + perSecond * seconds);
    expect(asked).toBeGreaterThan(2 * burst);
  });

  test('connections and handshakes from 250 addresses: members and who was here come through', async () => {
    const hello = await clientHello();
    const addresses = Array.from({ length: 250 }, freshAddress);
    const known = freshAddress();
    expect(await goodCall(known)).toBeLessThan(GOOD_CALL_MS_MAX);
    const follower = bench.cluster.managers.find((host) => host !== bench.leader);
    if (follower === undefined) throw new Error('a cluster of three has followers');
    let asked = 0;
    let begun = 0;
    let slowestMs = 0;
    let isOver = false;
    const startedAt = performance.now();
    const handshakes = async (): Promise<void> => {
      while (!isOver) {
        const from = addresses[(asked += 1) % addresses.length] ?? '';
        if (await asksHandshake(bench.leader, hello, from)) begun += 1;
      }
    };
    const silence = async (): Promise<void> => {
      for (let count = 0; !isOver; count += 1) {
        const from = addresses[count % addresses.length] ?? '';
        await silent(bench.leader, count % 2 === 0 ? CLUSTER_PORT : JOIN_PORT, from);
      }
    };
    const good = async (): Promise<void> => {
      while (!isOver) {
        slowestMs = Math.max(slowestMs, await goodCall(known));
        await new Promise((resolve) => setTimeout(resolve, 300));
      }
    };
    let isBackAfterMs = 0;
    const flood = async (): Promise<void> => {
      const running = [...Array.from({ length: AT_A_TIME }, handshakes), silence(), good()];
      // What all strangers share is used up by now; its links to the leader have to be made anew.
      await eventually('newcomers are refused', async () => asked > begun + 200 || undefined);
      await follower.stop('SIGKILL');
      const before = (await bench.cluster.status(bench.leader)).commitIndex;
      const stoppedAt = performance.now();
      await follower.start();
      await eventually(
        'the follower is back',
        async () => {
          const { managers } = await bench.cluster.status(bench.leader);
          const row = managers.find(({ hostname }) => hostname === follower.name);
          return (row?.matchIndex ?? 0) > before || undefined;
        },
        20_000,
      );
      isBackAfterMs = performance.now() - stoppedAt;
      isOver = true;
      await Promise.all(running);
    };
    await bench.endure('handshakes and silence from 250 addresses', flood, SHORT_GROWTH_BYTES_MAX);
    const seconds = (performance.now() - startedAt) / 1_000;
    process.stderr.write(
      `${(asked / seconds).toFixed(0)} handshakes/s asked, ${(begun / seconds).toFixed(0)}/s begun; ` +
        `slowest good call over TLS ${slowestMs.toFixed(0)} ms; ` +
        `a restarted follower was back after ${isBackAfterMs.toFixed(0)} ms\n`,
    );
    expect(slowestMs).toBeLessThan(GOOD_CALL_MS_MAX);
    await eventually(
      'a new address is let in again',
      async () => (await asksHandshake(bench.leader, hello, freshAddress())) || undefined,
    );
  });
});
