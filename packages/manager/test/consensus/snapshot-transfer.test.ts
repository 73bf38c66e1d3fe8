import { beforeAll, beforeEach, expect, test } from '@jest/globals';
import { SILENT_LOGGER } from '@conclave/kernel';
import { openSealed } from '@conclave/sealed';
import type { Channel } from '@conclave/transport';
import { loadWire } from '@conclave/wire';
import type { RaftAck, SnapshotChunk, SnapshotChunkInput } from '@conclave/wire';
import { message } from 'raft-ts';
import type { NetworkMessage, Snapshot } from 'raft-ts';
import { RaftLinks } from '../../src/consensus/raft-links.js';
import { RAFT_PROTOCOL, RaftService } from '../../src/consensus/raft-service.js';
import { callOf } from '../calls.js';
import { settle } from '../founded-cluster.js';
import { seededRandom } from '../scheduling/cluster.js';
import { SimulatedTime } from '../simulated-time.js';

const LEADER = 1;
const LAGGING = 2;
const CONTENT = Array.from({ length: 40 }, (_none, place) => new Uint8Array(64 * 1024).fill(place));

beforeAll(openSealed);

/** What one side puts in and the other takes out; a failure comes after what is in it. */
class Pipe<T> {
  readonly #items: T[] = [];
  #end: { readonly error: Error | undefined } | undefined;
  #wake: () => void = () => undefined;

  push(item: T): void {
    this.#items.push(item);
    this.#wake();
  }

  end(error?: Error): void {
    this.#end ??= { error };
    this.#wake();
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<T> {
    for (;;) {
      const item = this.#items.shift();
      if (item !== undefined) yield item;
      else if (this.#end !== undefined) {
        if (this.#end.error !== undefined) throw this.#end.error;
        return;
      } else await new Promise<void>((resolve) => (this.#wake = resolve));
    }
  }
}

let outcome: string[];
let chunks: SnapshotChunk[];
let stored: number;
let heard: NetworkMessage[];
/** Runs before the receiver has stored the content. */
let store: () => Promise<void>;
let links: RaftLinks;
let learned: number;

beforeEach(() => {
  [outcome, chunks, heard] = [[], [], []];
  [stored, learned] = [0, 0];
  store = () => Promise.resolve();
  const service = new RaftService({
    clusterId: 'c',
    selfRaftId: LAGGING,
    clusterEpoch: () => 4,
    raftIdOf: () => LEADER,
    receive: (one) => void heard.push(one),
    marks: { current: () => [{ raftId: LAGGING, counter: 9 }], learn: () => undefined },
    receiveSnapshot: async (_snapshot, content) => {
      for await (const chunk of content) stored += chunk.length;
      await store();
    },
    random: seededRandom(5),
    logger: SILENT_LOGGER,
  });
  links = new RaftLinks({
    channelOf: () => ({ bidi: () => callTo(service) }) as unknown as Channel,
    head: () => ({ clusterId: 'c', protocol: RAFT_PROTOCOL, clusterEpoch: 4, marks: [] }),
    learn: (marks) => {
      learned += marks.length;
    },
    openSnapshot: () => ({ chunks: contentOf(), release: () => outcome.push('released') }),
    onUnreachable: () => undefined,
    onSnapshotSent: (_raftId, status) => void outcome.push(status),
    timers: new SimulatedTime(),
    random: seededRandom(1),
    logger: SILENT_LOGGER,
  });
});

async function* contentOf(): AsyncGenerator<Uint8Array> {
  for (const piece of CONTENT) {
    await Promise.resolve();
    yield piece;
  }
}

/** A call of the service without a network between. */
function callTo(service: RaftService): unknown {
  const { decodeRequest, encodeRequest } = loadWire().Raft.Snapshot;
  const requests = new Pipe<SnapshotChunk>();
  const responses = new Pipe<RaftAck>();
  const caller = callOf({ id: 'leader', kind: 'node', serial: 's', role: 'manager' } as never);
  const answers = {
    queuedBytes: 0,
    write: (ack: Partial<RaftAck>): Promise<void> => {
      responses.push({ sequence: 0, stream: Buffer.alloc(0), marks: [], ...ack } as RaftAck);
      return Promise.resolve();
    },
  };
  void service.snapshot(caller, requests, answers as never).then(
    () => responses.end(),
    (error: Error) => responses.end(error),
  );
  return {
    requests: {
      queuedBytes: 0,
      write: (chunk: SnapshotChunkInput): Promise<void> => {
        const sent = decodeRequest(encodeRequest(chunk));
        chunks.push(sent);
        requests.push(sent);
        return Promise.resolve();
      },
    },
    responses,
    end: () => requests.end(),
    cancel: () => requests.end(new Error('cancelled')),
  };
}

async function send(): Promise<void> {
  const confState = {
    voters: [LEADER],
    votersOutgoing: [],
    learners: [LAGGING],
    learnersNext: [],
    autoLeave: false,
  };
  const snapshot: Snapshot = { data: Uint8Array.of(1), metadata: { index: 9, term: 3, confState } };
  const fields = { from: LEADER, to: LAGGING, term: 3, snapshot };
  links.send([message('MsgSnap', fields) as NetworkMessage]);
  for (let turn = 0; turn < 60; turn += 1) await settle();
}

test('a snapshot is sent under the name that the reader gave the stream', async () => {
  await send();
  expect(outcome).toEqual(['released', 'finish']);
  expect(stored).toBe(40 * 64 * 1024);
  expect(heard.map(({ type }) => type)).toEqual(['MsgSnap']);
  expect(learned).toBe(1);
  const heads = chunks.map(({ clusterEpoch, protocol, stream }) => {
    return [clusterEpoch, protocol, stream.toString('hex')].join(' ');
  });
  expect(new Set(heads)).toEqual(
    new Set([`4 ${RAFT_PROTOCOL} ${Buffer.from(seededRandom(5).bytes(16)).toString('hex')}`]),
  );
  expect(chunks.map(({ chunk }) => chunk)).toEqual(chunks.map((_chunk, place) => place));
});

test('it is not called sent before the reader has stored it', async () => {
  let finish: () => void = () => undefined;
  store = () => new Promise((resolve) => (finish = resolve));
  await send();
  expect(stored).toBe(40 * 64 * 1024);
  expect([outcome, heard]).toEqual([[], []]);
  finish();
  for (let turn = 0; turn < 10; turn += 1) await settle();
  expect(outcome).toEqual(['released', 'finish']);
});

test('it has failed when the reader refuses it at its end', async () => {
  store = () => Promise.reject(new Error('no room'));
  await send();
  expect(outcome).toEqual(['released', 'failure']);
  expect(heard).toEqual([]);
});
