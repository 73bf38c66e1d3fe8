import { ConclaveError, equalBytes, limits } from '@conclave/kernel';
import type { Logger, Random } from '@conclave/kernel';
import { RunningHash } from '@conclave/sealed';
import type { CallContext, Handlers, StreamWriter } from '@conclave/transport';
import type { RaftAckInput, RaftBatch, Services, SnapshotChunk } from '@conclave/wire';
import type { Message, NetworkMessage, Snapshot } from 'raft-ts';
import { decodeMessage } from 'raft-ts/codec';
import type { WriteMarks } from './write-marks.js';

/** The version of the frames that carry Raft messages. */
export const RAFT_PROTOCOL = 1;
/** Batches after which the reader is told how far it got. */
const ACK_EVERY = 64;
/** Bytes that name a stream: nobody meets the name of another one. */
const STREAM_NAME_BYTES = 16;

/** What every frame of a stream says of the place where it belongs. */
type FrameHead = Pick<RaftBatch, 'clusterId' | 'protocol' | 'clusterEpoch' | 'stream'>;

/** What arrives goes to. */
export interface RaftServiceOptions {
  readonly clusterId: string;
  readonly selfRaftId: number;
  /** The epoch of the cluster in committed state; 0 while there is none. */
  readonly clusterEpoch: () => number;
  /** The Raft id of a node by its certificate's id; undefined: not a manager. */
  readonly raftIdOf: (nodeId: string) => number | undefined;
  readonly receive: (message: NetworkMessage) => void;
  /** How often the log of each manager was synced, as far as known here. */
  readonly marks: Pick<WriteMarks, 'current' | 'learn'>;
  /** Stores the content of a snapshot before Raft hears of it. */
  readonly receiveSnapshot: (
    snapshot: Snapshot,
    chunks: AsyncIterable<Uint8Array>,
  ) => Promise<void>;
  readonly random: Random;
  readonly logger: Logger;
}

/**
 * Takes Raft messages of other managers. The claimed sender of each must be the identity of the
 * connection; a stream that breaks a rule ends, and nothing of that batch is used.
 */
export class RaftService implements Handlers<Services['Raft']> {
  readonly #options: RaftServiceOptions;

  constructor(options: RaftServiceOptions) {
    this.#options = options;
  }

  /** Small messages of one manager. */
  messages(
    call: CallContext,
    batches: AsyncIterable<RaftBatch>,
    acks: StreamWriter<RaftAckInput>,
  ): Promise<void> {
    return this.#receiveAll(call, batches, acks);
  }

  /** Large messages of one manager. */
  entries(
    call: CallContext,
    batches: AsyncIterable<RaftBatch>,
    acks: StreamWriter<RaftAckInput>,
  ): Promise<void> {
    return this.#receiveAll(call, batches, acks);
  }

  /** A snapshot in chunks; Raft hears of it when the last one is stored. */
  async snapshot(
    call: CallContext,
    chunks: AsyncIterable<SnapshotChunk>,
    acks: StreamWriter<RaftAckInput>,
  ): Promise<void> {
    const sender = this.#senderOf(call);
    const stream = await this.#nameStream(acks);
    const reader = this.#chunksOf(chunks, stream);
    const first = await reader.next();
    if (first.done === true) throw badSnapshot('it is empty');
    const message = this.#decode(first.value.message, sender);
    if (message.type !== 'MsgSnap') throw badSnapshot('it does not begin with a snapshot message');
    await this.#options.receiveSnapshot(message.snapshot, contentsOf(reader));
    this.#options.receive(message);
    await acks.write({ sequence: 1 });
  }

  async *#chunksOf(
    chunks: AsyncIterable<SnapshotChunk>,
    stream: Uint8Array,
  ): AsyncGenerator<SnapshotChunk, void, undefined> {
    for await (const chunk of chunks) {
      this.#checkHead(chunk, stream);
      yield chunk;
    }
  }

  /** Gives a stream a name that was never used before. */
  async #nameStream(acks: StreamWriter<RaftAckInput>): Promise<Uint8Array> {
    const stream = this.#options.random.bytes(STREAM_NAME_BYTES);
    await acks.write({ sequence: 0, stream, marks: this.#options.marks.current() });
    return stream;
  }

  async #receiveAll(
    call: CallContext,
    batches: AsyncIterable<RaftBatch>,
    acks: StreamWriter<RaftAckInput>,
  ): Promise<void> {
    const sender = this.#senderOf(call);
    const stream = await this.#nameStream(acks);
    let sequence = 0;
    for await (const batch of batches) {
      sequence += 1;
      this.#checkHead(batch, stream);
      if (batch.sequence !== sequence) {
        throw new ConclaveError('CV_PROTOCOL', 'a batch of messages is missing or was repeated');
      }
      // Before its messages: whoever asks for a vote may know that this disk has forgotten one.
      this.#options.marks.learn(batch.marks);
      const messages = batch.messages.map((bytes) => this.#decode(bytes, sender));
      for (const message of messages) this.#options.receive(message);
      if (sequence % ACK_EVERY === 1) {
        await acks.write({ sequence, marks: this.#options.marks.current() });
      }
    }
  }

  /** What was recorded elsewhere, or is of an older time, ends the stream. */
  #checkHead(head: FrameHead, stream: Uint8Array): void {
    const { clusterId, clusterEpoch } = this.#options;
    if (head.clusterId !== clusterId) {
      throw new ConclaveError('CV_PROTOCOL', 'the messages belong to another cluster');
    }
    if (head.protocol !== RAFT_PROTOCOL) {
      throw new ConclaveError('CV_PROTOCOL', `this manager speaks protocol ${RAFT_PROTOCOL} only`);
    }
    if (head.clusterEpoch !== 0 && head.clusterEpoch < clusterEpoch()) {
      throw new ConclaveError(
        'CV_PROTOCOL',
        'the messages are from before the cluster was renewed',
      );
    }
    if (!equalBytes(head.stream, stream)) {
      throw new ConclaveError('CV_PROTOCOL', 'the messages belong to another stream');
    }
  }

  #senderOf(call: CallContext): number {
    const { peer } = call;
    const raftId =
      peer.kind === 'certificate' ? this.#options.raftIdOf(peer.identity.id) : undefined;
    if (raftId !== undefined) return raftId;
    throw new ConclaveError('CV_ROLE_FORBIDDEN', 'only managers send consensus messages');
  }

  #decode(bytes: Uint8Array, sender: number): NetworkMessage {
    let message: Message;
    try {
      message = decodeMessage(bytes);
    } catch (cause) {
      throw new ConclaveError('CV_PROTOCOL', 'a consensus message is malformed', { cause });
    }
    if (message.from !== sender) {
      this.#options.logger.warn('raft.forged-sender', { claimed: message.from, sender });
      throw new ConclaveError('CV_ROLE_FORBIDDEN', 'a consensus message names another sender');
    }
    if (message.to !== this.#options.selfRaftId) {
      throw new ConclaveError('CV_PROTOCOL', 'a consensus message is for another manager');
    }
    return message as NetworkMessage;
  }
}

/** The chunks of the store inside the chunks of the wire, checked for order, size and digest. */
async function* contentsOf(reader: AsyncIterator<SnapshotChunk>): AsyncGenerator<Uint8Array> {
  const whole = new RunningHash();
  for (let expected = 1; ; expected += 1) {
    const next = await reader.next();
    if (next.done === true) throw badSnapshot('it ends too early');
    const { chunk, content, last, digest } = next.value;
    if (chunk !== expected) throw badSnapshot('a chunk is out of order');
    if (content.length > limits.SNAPSHOT_CHUNK_BYTES_MAX + 4) {
      throw new ConclaveError('CV_LIMIT_EXCEEDED', 'a chunk of a snapshot is too large');
    }
    if (last) {
      if (!equalBytes(whole.digest(), digest)) throw badSnapshot('its digest does not fit');
      return;
    }
    whole.update(content);
    yield* splitGroup(content);
  }
}

function* splitGroup(group: Uint8Array): Generator<Uint8Array> {
  const view = new DataView(group.buffer, group.byteOffset, group.length);
  let offset = 0;
  while (offset < group.length) {
    if (offset + 4 > group.length) throw badSnapshot('a chunk is cut off');
    const size = view.getUint32(offset);
    if (offset + 4 + size > group.length) throw badSnapshot('a chunk is cut off');
    yield group.subarray(offset + 4, offset + 4 + size);
    offset += 4 + size;
  }
}

const badSnapshot = (reason: string): ConclaveError =>
  new ConclaveError('CV_SNAPSHOT_DAMAGED', `the snapshot was refused: ${reason}`);
