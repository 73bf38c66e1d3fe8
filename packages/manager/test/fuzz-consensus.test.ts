import { beforeAll, describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { isConclaveError, SILENT_LOGGER } from '@conclave/kernel';
import { openSealed, SecretBytes } from '@conclave/sealed';
import { DAMAGE_KINDS, damaged, decodeHostile, FUZZ_RUNS } from '@conclave/testing';
import { loadWire } from '@conclave/wire';
import type { RaftBatch, SnapshotChunk } from '@conclave/wire';
import { message } from 'raft-ts';
import type { Entry, NetworkMessage } from 'raft-ts';
import { encodeMessage } from 'raft-ts/codec';
import { RAFT_PROTOCOL, RaftService } from '../src/consensus/raft-service.js';
import { decodeResult, encodeResult } from '../src/consensus/result-codec.js';
import { packSecrets, unpackSecrets } from '../src/keys/secret-list.js';
import { callOf } from './calls.js';
import { seededRandom } from './scheduling/cluster.js';

const CLUSTER = 'cluster';
const SELF = 1;
const PEER = 2;
const damages = fc.array(
  fc.record({
    kind: fc.constantFrom(...DAMAGE_KINDS),
    at: fc.nat(),
    value: fc.integer({ min: 0, max: 255 }),
  }),
  { minLength: 1, maxLength: 4 },
);

const isRefusal = (error: unknown): boolean =>
  isConclaveError(error) &&
  [
    'CV_PROTOCOL',
    'CV_ROLE_FORBIDDEN',
    'CV_SNAPSHOT_DAMAGED',
    'CV_LIMIT_EXCEEDED',
    'CV_ENVELOPE_FORGED',
  ].includes(error.code);

const entries: Entry[] = [1, 2].map((index) => ({
  index,
  term: 3,
  type: 'EntryNormal',
  data: Uint8Array.of(1, 2, 3),
}));
const confState = {
  voters: [1, 2],
  votersOutgoing: [],
  learners: [3],
  learnersNext: [],
  autoLeave: false,
};
const snapshot = { data: Uint8Array.of(1), metadata: { index: 9, term: 3, confState } };
const between = { from: PEER, to: SELF, term: 3 };
const MESSAGES = [
  message('MsgApp', { ...between, logTerm: 2, index: 5, commit: 4, entries }),
  message('MsgHeartbeat', { ...between, commit: 5 }),
  message('MsgVote', { ...between, logTerm: 2, index: 5 }),
  message('MsgAppResp', { ...between, index: 5, reject: true }),
  message('MsgSnap', { ...between, snapshot }),
].map(encodeMessage);

let received: NetworkMessage[] = [];

function serviceOf(): RaftService {
  return new RaftService({
    clusterId: CLUSTER,
    selfRaftId: SELF,
    clusterEpoch: () => 1,
    raftIdOf: () => PEER,
    marks: { current: () => [], learn: () => undefined },
    receive: (one) => void received.push(one),
    receiveSnapshot: async (_snapshot, chunks) => {
      for await (const chunk of chunks) expect(chunk.length).toBeLessThanOrEqual(2_000);
    },
    random: seededRandom(),
    logger: SILENT_LOGGER,
  });
}

const peer = callOf({ id: 'peer', kind: 'node', serial: 's', role: 'manager' } as never);

async function* streamOf<T>(items: readonly T[]): AsyncGenerator<T> {
  for (const item of items) {
    await Promise.resolve();
    yield item;
  }
}

async function refusalOf(work: Promise<unknown>): Promise<unknown> {
  try {
    return await work;
  } catch (error) {
    if (!isRefusal(error)) throw error;
    return undefined;
  }
}

beforeAll(openSealed);

describe('hostile bytes between managers', () => {
  test('messages: whatever gets through names the sender that it came from', async () => {
    await fc.assert(
      fc.asyncProperty(fc.constantFrom(...MESSAGES), damages, async (valid, how) => {
        received = [];
        let stream = Buffer.alloc(0);
        const acks = {
          queuedBytes: 0,
          write: ({ stream: name }: { stream?: Uint8Array }): Promise<void> => {
            stream = Buffer.from(name ?? stream);
            return Promise.resolve();
          },
        };
        const batches = async function* batches(): AsyncGenerator<RaftBatch> {
          await Promise.resolve();
          const messages = [Buffer.from(damaged(valid, how))];
          const head = { clusterId: CLUSTER, protocol: RAFT_PROTOCOL, clusterEpoch: 1 };
          yield { ...head, sequence: 1, stream, messages, marks: [] };
        };
        await refusalOf(serviceOf().messages(peer, batches(), acks));
        for (const one of received) expect(one).toMatchObject({ from: PEER, to: SELF });
      }),
      { numRuns: FUZZ_RUNS },
    );
  });

  test('chunks of a snapshot', async () => {
    const { encodeRequest, decodeRequest } = loadWire().Raft.Snapshot;
    // The name that the first stream of such a service gets.
    const stream = seededRandom().bytes(16);
    const head = { clusterId: CLUSTER, protocol: RAFT_PROTOCOL, clusterEpoch: 1, stream };
    const chunks = [
      { ...head, chunk: 0, message: MESSAGES[4] ?? new Uint8Array(0) },
      { ...head, chunk: 1, content: Uint8Array.of(0, 0, 0, 2, 7, 7, 0, 0, 0, 0) },
      { ...head, chunk: 2, last: true, digest: new Uint8Array(32) },
    ].map((chunk) => new Uint8Array(encodeRequest(chunk)));
    await fc.assert(
      fc.asyncProperty(fc.nat(2), damages, async (which, how) => {
        received = [];
        const decoded: SnapshotChunk[] = [];
        for (const [number, bytes] of chunks.entries()) {
          const hostile = number === which ? damaged(bytes, how) : bytes;
          const chunk = decodeHostile(() => decodeRequest(Buffer.from(hostile)), isRefusal);
          if (chunk !== undefined) decoded.push(chunk);
        }
        const acks = { queuedBytes: 0, write: (): Promise<void> => Promise.resolve() };
        await refusalOf(serviceOf().snapshot(peer, streamOf(decoded), acks));
        // The digest of these chunks is wrong: nothing of them reaches consensus.
        expect(received).toEqual([]);
      }),
      { numRuns: FUZZ_RUNS },
    );
  });

  test('results of commands', () => {
    const valid = encodeResult({ ok: false, code: 'CV_SECRET_NOT_FOUND', message: 'm' } as never);
    fc.assert(
      fc.property(damages, fc.uint8Array({ maxLength: 100 }), (how, invented) => {
        decodeHostile(() => decodeResult(damaged(valid, how)), isRefusal);
        decodeHostile(() => decodeResult(invented), isRefusal);
      }),
      { numRuns: FUZZ_RUNS },
    );
  });
});

test('hostile bytes instead of a list of keys', () => {
  const keys = [1, 2].map((fill) => SecretBytes.take(new Uint8Array(32).fill(fill)));
  const valid = packSecrets(keys).use((bytes) => Uint8Array.from(bytes));
  fc.assert(
    fc.property(damages, fc.uint8Array({ maxLength: 100 }), (how, invented) => {
      for (const bytes of [damaged(valid, how), invented]) {
        const packed = SecretBytes.take(Uint8Array.from(bytes));
        decodeHostile(() => unpackSecrets(packed, 2), isRefusal);
        packed.wipe();
      }
    }),
    { numRuns: FUZZ_RUNS },
  );
});
