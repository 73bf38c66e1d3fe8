import { beforeEach, describe, expect, test } from '@jest/globals';
import { concatBytes, ConclaveError, limits, SILENT_LOGGER } from '@conclave/kernel';
import { openSealed, RunningHash } from '@conclave/sealed';
import { loadWire } from '@conclave/wire';
import type {
  RaftAckInput,
  RaftBatch,
  RaftBatchInput,
  SnapshotChunk,
  SnapshotChunkInput,
} from '@conclave/wire';
import { message } from 'raft-ts';
import type { MessageBase, NetworkMessage, Snapshot } from 'raft-ts';
import { encodeMessage } from 'raft-ts/codec';
import { RAFT_PROTOCOL, RaftService } from '../../src/consensus/raft-service.js';
import { callOf } from '../calls.js';
import { CLUSTER_ID } from '../founded-cluster.js';
import { seededRandom } from '../scheduling/cluster.js';

const SELF = 1;
const PEER = 2;
const PEER_NODE = 'peer';

let received: NetworkMessage[];
let stored: { readonly snapshot: Snapshot; readonly chunks: Uint8Array[] }[];
let service: RaftService;
let epoch: number;

beforeEach(async () => {
  await openSealed();
  received = [];
  stored = [];
  epoch = 1;
  service = new RaftService({
    clusterId: CLUSTER_ID,
    selfRaftId: SELF,
    clusterEpoch: () => epoch,
    raftIdOf: (nodeId) => (nodeId === PEER_NODE ? PEER : undefined),
    receive: (one) => void received.push(one),
    marks: {
      current: () => [{ raftId: SELF, counter: 7 }],
      learn: (marks) => {
        if (marks.some(({ raftId, counter }) => raftId === SELF && counter > 7)) {
          throw new ConclaveError('CV_DISK_ROLLED_BACK', 'an older copy');
        }
      },
    },
    receiveSnapshot: async (snapshot, chunks) => {
      const content: Uint8Array[] = [];
      for await (const chunk of chunks) content.push(Uint8Array.from(chunk));
      stored.push({ snapshot, chunks: content });
    },
    random: seededRandom(),
    logger: SILENT_LOGGER,
  });
});

const callOfNode = (id: string): ReturnType<typeof callOf> =>
  callOf({ id, kind: 'node', serial: 's', role: 'manager' } as never);

const heartbeat = (fields: Partial<MessageBase> = {}): Uint8Array =>
  encodeMessage(message('MsgHeartbeat', { from: PEER, to: SELF, term: 3, commit: 5, ...fields }));

function batch(fields: RaftBatchInput = {}): RaftBatch {
  const method = loadWire().Raft.Messages;
  const head = { clusterId: CLUSTER_ID, protocol: RAFT_PROTOCOL, clusterEpoch: 1, sequence: 1 };
  return method.decodeRequest(method.encodeRequest({ ...head, messages: [], ...fields }));
}

async function* streamOf<T>(items: readonly T[]): AsyncGenerator<T> {
  for (const item of items) {
    await Promise.resolve();
    yield item;
  }
}

interface SendOptions {
  readonly node?: string;
  /** Another name of the stream than the service gives. */
  readonly stream?: Uint8Array;
}

/** Sends frames as a node on one stream, under its name unless told; answers what came back. */
async function sendTo<T extends RaftBatch | SnapshotChunk>(
  way: 'messages' | 'snapshot',
  frames: readonly T[],
  { node = PEER_NODE, stream }: SendOptions = {},
): Promise<RaftAckInput[]> {
  const acks: RaftAckInput[] = [];
  const writer = {
    queuedBytes: 0,
    write: (ack: RaftAckInput): Promise<void> => {
      acks.push(ack);
      return Promise.resolve();
    },
  };
  const named = async function* named(): AsyncGenerator<T> {
    for await (const one of streamOf(frames)) {
      yield { ...one, stream: Buffer.from(stream ?? acks[0]?.stream ?? []) };
    }
  };
  await service[way](callOfNode(node), named() as never, writer);
  return acks;
}

const send = (batches: readonly RaftBatch[], options?: SendOptions): Promise<RaftAckInput[]> =>
  sendTo('messages', batches, options);

describe('messages', () => {
  test('reach consensus in order, and the first batch is acknowledged', async () => {
    const acks = await send([
      batch({ messages: [heartbeat({ commit: 1 }), heartbeat({ commit: 2 })] }),
      batch({ sequence: 2, messages: [heartbeat({ commit: 3 })] }),
    ]);
    expect(received.map(({ commit }) => commit)).toEqual([1, 2, 3]);
    expect(acks.map(({ sequence }) => sequence)).toEqual([0, 1]);
  });

  test('of somebody who knows a later state of this disk are not looked at', async () => {
    const marks = [{ raftId: SELF, counter: 8 }];
    const batches = [batch({ messages: [heartbeat()], marks })];
    await expect(send(batches)).rejects.toMatchObject({ code: 'CV_DISK_ROLLED_BACK' });
    expect(received).toEqual([]);
  });

  // Attack row A17.
  test('that name another sender than their connection are refused, the whole batch', async () => {
    const messages = [heartbeat(), heartbeat({ from: 3 })];
    await expect(send([batch({ messages })])).rejects.toMatchObject({ code: 'CV_ROLE_FORBIDDEN' });
    expect(received).toEqual([]);
  });

  test('of a node that is no manager, or of nobody, are refused', async () => {
    const one = [batch({ messages: [heartbeat()] })];
    await expect(send(one, { node: 'worker' })).rejects.toMatchObject({
      code: 'CV_ROLE_FORBIDDEN',
    });
    const writer = { queuedBytes: 0, write: (): Promise<void> => Promise.resolve() };
    await expect(service.entries(callOf(), streamOf(one), writer)).rejects.toMatchObject({
      code: 'CV_ROLE_FORBIDDEN',
    });
    expect(received).toEqual([]);
  });

  test.each([
    ['for another manager', { messages: [heartbeat({ to: 9 })] }],
    ['of another cluster', { clusterId: 'other', messages: [heartbeat()] }],
    ['of another protocol', { protocol: 2, messages: [heartbeat()] }],
    ['that do not begin at one', { sequence: 2, messages: [heartbeat()] }],
    ['that are no messages', { messages: [new Uint8Array([1, 2, 3])] }],
    ['that are empty', { messages: [new Uint8Array(0)] }],
  ])('%s are refused', async (_, fields) => {
    await expect(send([batch(fields)])).rejects.toMatchObject({ code: 'CV_PROTOCOL' });
    expect(received).toEqual([]);
  });

  test.each([
    ['missing', [1, 3]],
    ['repeated', [1, 1]],
  ])('of which a batch is %s end the stream there', async (_, sequences) => {
    const batches = sequences.map((sequence) => batch({ sequence, messages: [heartbeat()] }));
    await expect(send(batches)).rejects.toMatchObject({ code: 'CV_PROTOCOL' });
    expect(received).toHaveLength(1);
  });
});

// Attack row T19.
describe('what was recorded', () => {
  test('on one stream is not taken on another', async () => {
    const recorded = [batch({ messages: [heartbeat()] })];
    const [first] = await send(recorded);
    received = [];
    expect(first?.stream).toHaveLength(16);
    await expect(
      send(recorded, { stream: Uint8Array.from(first?.stream ?? []) }),
    ).rejects.toMatchObject({
      code: 'CV_PROTOCOL',
    });
    await expect(send(recorded, { stream: new Uint8Array(0) })).rejects.toMatchObject({
      code: 'CV_PROTOCOL',
    });
    expect(received).toEqual([]);
  });

  test('before the cluster was renewed is refused; a manager without state is heard', async () => {
    epoch = 2;
    const old = [batch({ clusterEpoch: 1, messages: [heartbeat()] })];
    await expect(send(old)).rejects.toMatchObject({ code: 'CV_PROTOCOL' });
    expect(received).toEqual([]);
    for (const clusterEpoch of [0, 2, 3])
      await send([batch({ clusterEpoch, messages: [heartbeat()] })]);
    expect(received).toHaveLength(3);
  });
});

describe('a snapshot', () => {
  const snapshot: Snapshot = {
    data: new TextEncoder().encode('descriptor'),
    metadata: {
      index: 42,
      term: 3,
      confState: {
        voters: [1, 2],
        votersOutgoing: [],
        learners: [],
        learnersNext: [],
        autoLeave: false,
      },
    },
  };
  const announced = encodeMessage(message('MsgSnap', { from: PEER, to: SELF, term: 3, snapshot }));
  const pieces = [new Uint8Array(5).fill(1), new Uint8Array(0), new Uint8Array(9).fill(2)];

  const grouped = (parts: readonly Uint8Array[]): Uint8Array =>
    concatBytes(
      ...parts.flatMap((part) => {
        const size = new Uint8Array(4);
        new DataView(size.buffer).setUint32(0, part.length);
        return [size, part];
      }),
    );

  function digestOf(...contents: Uint8Array[]): Uint8Array {
    const whole = new RunningHash();
    for (const content of contents) whole.update(content);
    return whole.digest();
  }

  const first: SnapshotChunkInput = { chunk: 0, message: announced };
  const contents = [grouped(pieces.slice(0, 2)), grouped(pieces.slice(2))] as const;
  const whole = (): SnapshotChunkInput[] => [
    first,
    { chunk: 1, content: contents[0] },
    { chunk: 2, content: contents[1] },
    { chunk: 3, last: true, digest: digestOf(...contents) },
  ];
  const head = { clusterId: CLUSTER_ID, protocol: RAFT_PROTOCOL, clusterEpoch: 1 };

  function receive(
    chunks: readonly SnapshotChunkInput[],
    options?: SendOptions,
  ): Promise<RaftAckInput[]> {
    const method = loadWire().Raft.Snapshot;
    const sent = chunks.map((chunk): SnapshotChunk =>
      method.decodeRequest(method.encodeRequest({ ...head, ...chunk })),
    );
    return sendTo('snapshot', sent, options);
  }

  test('is stored whole before consensus hears of it, and its sender after that', async () => {
    const acks = await receive(whole());
    expect(acks.map(({ sequence }) => sequence)).toEqual([0, 1]);
    expect(stored[0]?.chunks).toEqual(pieces);
    expect(received.map(({ type }) => type)).toEqual(['MsgSnap']);
  });

  test.each<[string, () => SnapshotChunkInput[]]>([
    ['that is empty', () => []],
    ['that ends early', () => whole().slice(0, 3)],
    ['without its middle', () => whole().filter(({ chunk }) => chunk !== 1)],
    ['with chunks swapped', () => [first, ...whole().slice(1, 3).reverse(), ...whole().slice(3)]],
    [
      'with another digest',
      () => [...whole().slice(0, 3), { chunk: 3, last: true, digest: digestOf(contents[0]) }],
    ],
    [
      'with a piece that is cut off',
      () => {
        const content = contents[0].slice(0, -1);
        return [first, { chunk: 1, content }, { chunk: 2, last: true, digest: digestOf(content) }];
      },
    ],
    [
      'with a size that is cut off',
      () => {
        const content = new Uint8Array(3);
        return [first, { chunk: 1, content }, { chunk: 2, last: true, digest: digestOf(content) }];
      },
    ],
    ['that begins with another message', () => [{ ...first, message: heartbeat() }]],
  ])('%s is refused, and consensus does not hear of it', async (_, chunks) => {
    await expect(receive(chunks())).rejects.toMatchObject({ code: 'CV_SNAPSHOT_DAMAGED' });
    expect(received).toEqual([]);
    expect(stored).toEqual([]);
  });

  test('that was recorded on one stream is not taken on another', async () => {
    const [named] = await receive(whole());
    [stored, received] = [[], []];
    const recorded = { stream: Uint8Array.from(named?.stream ?? []) };
    for (const options of [recorded, { stream: new Uint8Array(0) }]) {
      await expect(receive(whole(), options)).rejects.toMatchObject({ code: 'CV_PROTOCOL' });
    }
    expect([stored, received]).toEqual([[], []]);
  });

  test.each([0, 1, 3])('whose chunk %i is of another cluster is not taken', async (place) => {
    const mixed = whole().map((chunk, number) =>
      number === place ? { ...chunk, clusterId: 'other' } : chunk,
    );
    await expect(receive(mixed)).rejects.toMatchObject({ code: 'CV_PROTOCOL' });
    expect([stored, received]).toEqual([[], []]);
  });

  test('from before the cluster was renewed is refused; a manager without state is heard', async () => {
    epoch = 2;
    const of = (clusterEpoch: number): SnapshotChunkInput[] =>
      whole().map((chunk) => ({ ...chunk, clusterEpoch }));
    await expect(receive(of(1))).rejects.toMatchObject({ code: 'CV_PROTOCOL' });
    expect(received).toEqual([]);
    for (const clusterEpoch of [0, 2, 3]) await receive(of(clusterEpoch));
    expect(received).toHaveLength(3);
  });

  test('with a chunk that is too large is refused', async () => {
    const content = new Uint8Array(limits.SNAPSHOT_CHUNK_BYTES_MAX + 5);
    await expect(receive([first, { chunk: 1, content }])).rejects.toMatchObject({
      code: 'CV_LIMIT_EXCEEDED',
    });
  });

  test('of another cluster, protocol or sender is refused', async () => {
    for (const other of [{ clusterId: 'other' }, { protocol: 2 }]) {
      const refused = { code: 'CV_PROTOCOL' };
      await expect(receive([{ ...first, ...other }])).rejects.toMatchObject(refused);
    }
    const forged = { ...first, message: heartbeat({ from: 7 }) };
    await expect(receive([forged])).rejects.toMatchObject({ code: 'CV_ROLE_FORBIDDEN' });
  });
});
