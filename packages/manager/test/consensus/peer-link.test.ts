import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { ConclaveError, SILENT_LOGGER } from '@conclave/kernel';
import type { BidiCall } from '@conclave/transport';
import type { RaftAck, RaftBatchInput } from '@conclave/wire';
import { PeerLink } from '../../src/consensus/peer-link.js';
import type { WriteMark } from '../../src/consensus/write-marks.js';
import { settle } from '../founded-cluster.js';
import { seededRandom } from '../scheduling/cluster.js';
import { SimulatedTime } from '../simulated-time.js';

/** One stream to the other manager. The test decides when it takes batches and when it breaks. */
class FakeCall implements BidiCall<RaftBatchInput, RaftAck> {
  readonly batches: RaftBatchInput[] = [];
  isCancelled = false;
  isHeldUp = false;
  #takeOne: () => void = () => undefined;
  #break: (error: Error) => void = () => undefined;
  readonly #acks: RaftAck[] = [];
  #onAck: () => void = () => undefined;
  #failure: Error | undefined;

  readonly requests = {
    queuedBytes: 0,
    write: (batch: RaftBatchInput): Promise<void> => {
      if (this.#failure !== undefined) return Promise.reject(this.#failure);
      this.batches.push(batch);
      if (!this.isHeldUp) return Promise.resolve();
      return new Promise((resolve, reject) => {
        this.#takeOne = resolve;
        this.#break = reject;
      });
    },
  };

  /** What the reader says first. */
  name(stream: number): void {
    this.#acks.push({ sequence: 0, stream: Buffer.of(stream), marks: [] });
    this.#onAck();
  }

  get responses(): AsyncIterable<RaftAck> {
    return this.#responses();
  }

  take(): void {
    this.#takeOne();
  }

  acknowledge(): void {
    const marks = [{ raftId: 1, counter: 4 }];
    this.#acks.push({ sequence: 1, stream: Buffer.alloc(0), marks });
    this.#onAck();
  }

  fail(): void {
    this.#failure = new ConclaveError('CV_PEER_UNREACHABLE', 'gone');
    this.#break(this.#failure);
    this.#onAck();
  }

  end(): void {
    this.fail();
  }

  cancel(): void {
    this.isCancelled = true;
    this.fail();
  }

  async *#responses(): AsyncGenerator<RaftAck> {
    for (;;) {
      const ack = this.#acks.shift();
      if (ack !== undefined) yield ack;
      else if (this.#failure !== undefined) throw this.#failure;
      else {
        await new Promise<void>((resolve) => {
          this.#onAck = resolve;
        });
      }
    }
  }
}

let time: SimulatedTime;
let calls: FakeCall[];
let unreachable: number;
let link: PeerLink;
let isHeldUp: boolean;
let isNamed: boolean;
let learned: WriteMark[];

beforeEach(() => {
  time = new SimulatedTime();
  calls = [];
  unreachable = 0;
  isHeldUp = false;
  isNamed = true;
  learned = [];
  link = new PeerLink({
    open: () => {
      const call = new FakeCall();
      call.isHeldUp = isHeldUp;
      if (isNamed) call.name(calls.length + 1);
      calls.push(call);
      return call;
    },
    head: () => ({ clusterId: 'c', protocol: 1, clusterEpoch: 1, marks: [] }),
    learn: (marks) => void learned.push(...marks),
    onUnreachable: () => {
      unreachable += 1;
    },
    timers: time,
    random: seededRandom(),
    logger: SILENT_LOGGER,
  });
});
afterEach(() => link.close());

const bytes = (mark: number, size = 1): Uint8Array => new Uint8Array(size).fill(mark);
const marksOf = (call: FakeCall | undefined): number[][] =>
  (call?.batches ?? []).map(({ messages = [] }) => messages.map((message) => message[0] ?? -1));
const pass = (ms = 0): Promise<void> => time.advance(ms, settle);

describe('a link', () => {
  test('opens no stream while there is nothing to say', async () => {
    await pass(10_000);
    expect(calls).toEqual([]);
  });

  test('sends what comes together in one batch, numbered from one', async () => {
    link.send(bytes(1));
    link.send(bytes(2));
    await pass();
    link.send(bytes(3));
    await pass();
    expect(marksOf(calls[0])).toEqual([[1, 2], [3]]);
    expect(calls[0]?.batches.map(({ sequence }) => sequence)).toEqual([1, 2]);
  });

  test('sends nothing before the reader has named the stream, then always that name', async () => {
    isNamed = false;
    link.send(bytes(1));
    await pass();
    expect(calls[0]?.batches).toEqual([]);
    calls[0]?.name(9);
    await pass();
    calls[0]?.acknowledge();
    link.send(bytes(2));
    await pass();
    expect(marksOf(calls[0])).toEqual([[1], [2]]);
    expect(calls[0]?.batches.map(({ stream }) => [...(stream ?? [])])).toEqual([[9], [9]]);
  });

  test('goes as fast as the reader: what comes meanwhile goes with the next batch', async () => {
    isHeldUp = true;
    link.send(bytes(1));
    await pass();
    link.send(bytes(2));
    link.send(bytes(3));
    await pass();
    expect(marksOf(calls[0])).toEqual([[1]]);
    calls[0]?.take();
    await pass();
    expect(marksOf(calls[0])).toEqual([[1], [2, 3]]);
  });

  test('bounds a batch by bytes, and lets one large message through alone', async () => {
    isHeldUp = true;
    link.send(bytes(0));
    await pass();
    link.send(bytes(1, 300 * 1024));
    link.send(bytes(2, 300 * 1024));
    link.send(bytes(3, 9 * 1024 * 1024));
    for (let count = 0; count < 3; count += 1) {
      calls[0]?.take();
      await pass();
    }
    expect(marksOf(calls[0])).toEqual([[0], [1], [2], [3]]);
  });

  test('drops the oldest when too many or too much waits', async () => {
    isHeldUp = true;
    link.send(bytes(0));
    await pass();
    for (let count = 0; count < 4_097; count += 1) link.send(bytes(count === 0 ? 1 : 2));
    calls[0]?.take();
    await pass();
    expect(marksOf(calls[0])[1]).toHaveLength(4_096);
    expect(marksOf(calls[0])[1]).not.toContain(1);
    link.send(bytes(3, 9 * 1024 * 1024));
    link.send(bytes(4, 9 * 1024 * 1024));
    calls[0]?.take();
    await pass();
    expect(marksOf(calls[0])[2]).toEqual([4]);
  });
});

describe('a stream that breaks', () => {
  test('is reported, what waited is dropped, and a new one begins at one again', async () => {
    isHeldUp = true;
    link.send(bytes(1));
    await pass();
    link.send(bytes(2));
    calls[0]?.fail();
    await pass();
    expect(unreachable).toBe(1);
    expect(calls[0]?.isCancelled).toBe(true);
    isHeldUp = false;
    link.send(bytes(3));
    expect(calls).toHaveLength(1);
    await pass(300);
    expect(marksOf(calls[1])).toEqual([[3]]);
    expect(calls[1]?.batches[0]?.sequence).toBe(1);
  });

  test('is noticed while nothing is sent', async () => {
    link.send(bytes(1));
    await pass();
    calls[0]?.acknowledge();
    await pass();
    calls[0]?.fail();
    await pass();
    expect(unreachable).toBe(1);
  });

  test('what the peer knows of logs is taken from its acknowledgements', async () => {
    link.send(bytes(1));
    await pass();
    calls[0]?.acknowledge();
    await pass();
    expect(learned).toEqual([{ raftId: 1, counter: 4 }]);
  });

  test('is opened anew only for something to say, and not faster than it may', async () => {
    link.send(bytes(1));
    await pass();
    calls[0]?.fail();
    await pass(10_000);
    expect(calls).toHaveLength(1);
    for (let round = 0; round < 5; round += 1) {
      link.send(bytes(2));
      await pass(1);
      calls.at(-1)?.fail();
      await pass(1);
    }
    expect(calls.length).toBeLessThanOrEqual(3);
  });
});

describe('a closed link', () => {
  test('cancels its stream and opens no other', async () => {
    link.send(bytes(1));
    await pass();
    link.close();
    link.send(bytes(2));
    await pass(10_000);
    expect(calls).toHaveLength(1);
    expect(calls[0]?.isCancelled).toBe(true);
    expect(marksOf(calls[0])).toEqual([[1]]);
    expect(unreachable).toBe(0);
  });
});
