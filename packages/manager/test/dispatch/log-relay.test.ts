import { beforeEach, describe, expect, test } from '@jest/globals';
import type { LogReply, LogReplyInput, LogRequestInput } from '@conclave/wire';
import { LogRelay } from '../../src/dispatch/log-relay.js';
import { LOG_BYTES_WAITING_MAX, LOG_REQUESTS_MAX } from '../../src/dispatch/limits.js';
import { settle } from '../founded-cluster.js';
import { toManager } from './agent-side.js';

const QUERY = { taskId: 'task', tailLines: 10, follow: true };

const replyOf = (logReply: LogReplyInput): LogReply => {
  const reply = toManager({ logReply }).logReply;
  if (reply === null || reply === undefined) throw new Error('there is no reply');
  return reply;
};

let sent: LogRequestInput[];
let relay: LogRelay;

beforeEach(() => {
  sent = [];
  relay = new LogRelay((request) => void sent.push(request));
});

/** Reads to the end; the texts that came, then how it ended. */
async function readAll(source: AsyncGenerator<LogReplyInput>): Promise<string[]> {
  const lines: string[] = [];
  try {
    for await (const { output } of source) lines.push(Buffer.from(output ?? []).toString());
    lines.push('END');
  } catch (error) {
    lines.push((error as { code: string }).code);
  }
  return lines;
}

const say = (request: number, text: string, end = false): void =>
  relay.receive(replyOf({ request, output: Buffer.from(text), end }));

describe('a request', () => {
  test('gets the replies that name it, until the last one', async () => {
    const [first, second] = [readAll(relay.request(QUERY)), readAll(relay.request(QUERY))];
    await settle();
    expect(sent.map(({ request }) => request)).toEqual([1, 2]);
    say(2, 'b');
    say(1, 'a');
    say(1, 'z', true);
    say(2, '', true);
    expect(await first).toEqual(['a', 'z', 'END']);
    expect(await second).toEqual(['b', '', 'END']);
    expect(sent).toHaveLength(2);
  });

  test('of a reader who leaves is cancelled', async () => {
    const source = relay.request(QUERY);
    const reading = source.next();
    await settle();
    say(1, 'a');
    await reading;
    await source.return(undefined);
    expect(sent.at(-1)).toEqual({ request: 1, cancel: true });
  });

  test('of a reader who gives up while nothing is said ends, and its place is free', async () => {
    for (let round = 0; round < 2 * LOG_REQUESTS_MAX; round += 1) {
      const gone = new AbortController();
      const reading = readAll(relay.request(QUERY, gone.signal));
      await settle(5);
      gone.abort();
      expect(await reading).toEqual(['END']);
    }
    expect(sent.filter(({ cancel }) => cancel === true)).toHaveLength(2 * LOG_REQUESTS_MAX);
  });

  test('over the number that one session takes is refused', async () => {
    const gone = new AbortController();
    const open = Array.from({ length: LOG_REQUESTS_MAX }, () =>
      readAll(relay.request(QUERY, gone.signal)),
    );
    await settle();
    expect(await readAll(relay.request(QUERY))).toEqual(['CV_QUEUE_FULL']);
    gone.abort();
    await Promise.all(open);
  });

  test('with a reader that is too slow ends after what was kept, which is bounded', async () => {
    const source = relay.request(QUERY);
    const first = source.next();
    await settle();
    for (let count = 0; count < 1_000; count += 1) say(1, 'x');
    await first;
    const rest = await readAll(source);
    expect(rest.at(-1)).toBe('CV_QUEUE_FULL');
    expect(rest.length).toBeLessThan(100);
  });

  test('takes pieces of output as agents send them, and no larger ones', () => {
    expect(() => say(1, 'x'.repeat(65_536))).not.toThrow();
    expect(() => say(1, 'x'.repeat(65_537))).toThrow(/65536 bytes/);
    const words = { stream: 'x'.repeat(300), error: 'x'.repeat(300) };
    expect(() => relay.receive(replyOf({ request: 1, ...words }))).toThrow(/65536 bytes/);
  });

  test('shares the memory of its session with the others', async () => {
    const sources = [1, 2, 3].map(() => relay.request(QUERY));
    const firsts = sources.map((source) => source.next());
    await settle();
    const piece = 'x'.repeat(65_536);
    for (const request of [1, 2, 3]) say(request, piece);
    await Promise.all(firsts);
    for (const request of [1, 2, 3]) {
      for (let count = 0; count < 60; count += 1) say(request, piece);
      say(request, '', true);
    }
    const read = [];
    for (const source of sources) read.push(await readAll(source));
    expect(read.map((pieces) => pieces.at(-1))).toEqual(['END', 'END', 'CV_QUEUE_FULL']);
    expect(read.flat().length).toBeLessThan(LOG_BYTES_WAITING_MAX / 65_536 + 10);
  });

  test('hears nothing of what comes after the end', async () => {
    const reading = readAll(relay.request(QUERY));
    await settle();
    say(1, 'a', true);
    for (let count = 0; count < 1_000; count += 1) say(1, 'more');
    expect(await reading).toEqual(['a', 'END']);
  });

  test('that nobody made is ignored', () => {
    expect(() => say(99, 'a')).not.toThrow();
  });
});

describe('the end of the session', () => {
  test('ends what is open with a reason', async () => {
    const reading = readAll(relay.request(QUERY));
    await settle();
    relay.close();
    expect(await reading).toEqual(['CV_PEER_UNREACHABLE']);
  });

  test('refuses what begins after it: a reader may have been on its way', async () => {
    const source = relay.request(QUERY);
    relay.close();
    expect(await readAll(source)).toEqual(['CV_PEER_UNREACHABLE']);
    expect(sent).toEqual([]);
  });
});
