import { describe, expect, test } from '@jest/globals';
import type { ConclaveError } from '@conclave/kernel';
import * as limits from '../src/limits.js';
import { BoundedWriter } from '../src/stream-writer.js';
import { failureOf, ManualTimers } from './fixture.js';

interface Bench {
  readonly writer: BoundedWriter<number>;
  /** Lets the oldest message leave. */
  readonly take: () => void;
  readonly sent: number[];
  readonly failures: ConclaveError[];
  readonly timers: ManualTimers;
  readonly controller: AbortController;
}

/** A writer of messages that are as large as they say. */
function bench(): Bench {
  const timers = new ManualTimers();
  const controller = new AbortController();
  const waiting: (() => void)[] = [];
  const sent: number[] = [];
  const failures: ConclaveError[] = [];
  const writer = new BoundedWriter<number>({
    encode: (size) => Buffer.alloc(size),
    send: (bytes, onSent) => {
      sent.push(bytes.length);
      waiting.push(onSent);
    },
    fail: (error) => {
      failures.push(error);
      controller.abort(error);
    },
    signal: controller.signal,
    timers,
  });
  return { writer, take: () => waiting.shift()?.(), sent, failures, timers, controller };
}

const isPending = async (promise: Promise<void>): Promise<boolean> => {
  const mark = Symbol('pending');
  return (await Promise.race([promise, Promise.resolve(mark)])) === mark;
};

describe('a bounded writer', () => {
  test('lets a writer go on while little is on its way, then waits for the reader', async () => {
    const { writer, take } = bench();
    await writer.write(limits.STREAM_WINDOW_BYTES);
    const second = writer.write(10);
    expect(await isPending(second)).toBe(true);
    take();
    await second;
    expect(writer.queuedBytes).toBe(10);
  });

  test('ends the stream of a writer that does not wait', async () => {
    const { writer, failures, sent } = bench();
    const size = limits.STREAM_QUEUE_BYTES_MAX / 2;
    const waiting = [writer.write(size), writer.write(size)].map(failureOf);
    expect(await failureOf(writer.write(1))).toMatchObject({ code: 'CV_QUEUE_FULL' });
    expect(failures).toHaveLength(1);
    expect(await Promise.all(waiting)).toHaveLength(2);
    expect(await failureOf(writer.write(1))).toMatchObject({ code: 'CV_QUEUE_FULL' });
    expect(sent).toHaveLength(2);
  });

  test('a large message may follow a small one whose writer did not have to wait', async () => {
    const { writer, failures, take } = bench();
    await writer.write(limits.STREAM_WINDOW_BYTES);
    const large = writer.write(limits.STREAM_QUEUE_BYTES_MAX);
    take();
    take();
    await large;
    expect(failures).toEqual([]);
  });

  test('one message may be larger than the queue', async () => {
    const { writer, take, failures } = bench();
    const write = writer.write(limits.STREAM_QUEUE_BYTES_MAX + 1);
    take();
    await write;
    expect(failures).toEqual([]);
  });

  test('ends the stream when nothing leaves for a while', async () => {
    const { writer, failures, timers } = bench();
    await writer.write(1);
    timers.advance(limits.STREAM_STALL_MS_MAX);
    expect(failures).toMatchObject([{ code: 'CV_DEADLINE' }]);
    expect(await failureOf(writer.write(1))).toMatchObject({ code: 'CV_DEADLINE' });
  });

  test('a slow reader is not a dead one', async () => {
    const { writer, take, failures, timers } = bench();
    await writer.write(1);
    for (let round = 0; round < 5; round += 1) {
      await writer.write(1);
      take();
      timers.advance(limits.STREAM_STALL_MS_MAX);
    }
    expect(failures).toEqual([]);
    take();
    timers.advance(limits.STREAM_STALL_MS_MAX);
    expect(timers.count).toBe(0);
  });

  test('the end of the stream frees whoever waits, and the timer', async () => {
    const { writer, controller, timers } = bench();
    const waiting = failureOf(writer.write(limits.STREAM_WINDOW_BYTES + 1));
    controller.abort(new Error('over'));
    expect(await waiting).toMatchObject({ message: 'over' });
    expect(timers.count).toBe(0);
  });
});
