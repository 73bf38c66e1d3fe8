import type { ConclaveError, Logger, Random, Timers } from '@conclave/kernel';
import { concatBytes } from '@conclave/kernel';
import { RunningHash } from '@conclave/sealed';
import type { Channel } from '@conclave/transport';
import { loadWire } from '@conclave/wire';
import type { RaftAck, SnapshotChunkInput } from '@conclave/wire';
import type { NetworkMessage, Snapshot } from 'raft-ts';
import { encodeMessage } from 'raft-ts/codec';
import type { Transport } from 'raft-ts/node';
import { LARGE_MESSAGE_BYTES, PeerLink } from './peer-link.js';
import type { BatchHead, PeerLinkOptions } from './peer-link.js';
import type { WriteMark } from './write-marks.js';

/** Bytes of one chunk on the wire: several chunks of the store travel together. */
const SEND_CHUNK_BYTES = 512 * 1024;
/** Milliseconds that one snapshot may take. */
const SNAPSHOT_MS_MAX = 10 * 60_000;

/** How messages reach other managers. */
export interface RaftLinksOptions {
  /** The channel to a member; undefined when nobody knows its address. */
  readonly channelOf: (raftId: number) => Channel | undefined;
  readonly head: () => BatchHead;
  /** Takes what another manager knows of the logs of all. */
  readonly learn: (marks: readonly WriteMark[]) => void;
  /** The content of a snapshot, and how to say that it is not needed any more. */
  readonly openSnapshot: (snapshot: Snapshot) => {
    readonly chunks: AsyncIterable<Uint8Array>;
    readonly release: () => void;
  };
  readonly onUnreachable: (raftId: number) => void;
  readonly onSnapshotSent: (raftId: number, status: 'finish' | 'failure') => void;
  readonly timers: Timers;
  readonly random: Random;
  readonly logger: Logger;
}

interface Peer {
  readonly channel: Channel;
  readonly small: PeerLink;
  readonly large: PeerLink;
}

/** Sends Raft messages: small ones, large ones and snapshots each on a way of their own. */
export class RaftLinks implements Transport {
  readonly #options: RaftLinksOptions;
  readonly #peers = new Map<number, Peer>();
  readonly #raft = loadWire().Raft;
  #isClosed = false;

  constructor(options: RaftLinksOptions) {
    this.#options = options;
  }

  /** @inheritdoc */
  send(messages: readonly NetworkMessage[]): void {
    if (this.#isClosed) return;
    for (const message of messages) {
      if (message.type === 'MsgSnap') {
        void this.#sendSnapshot(message.to, message.snapshot, encodeMessage(message));
        continue;
      }
      const peer = this.#peer(message.to);
      if (peer === undefined) continue;
      const encoded = encodeMessage(message);
      const link = encoded.length > LARGE_MESSAGE_BYTES ? peer.large : peer.small;
      link.send(encoded);
    }
  }

  /** Why the last small message did not reach a member; undefined when it may have. */
  failureTo(raftId: number): ConclaveError | undefined {
    return this.#peers.get(raftId)?.small.failure;
  }

  /** True when every member that answers says that this one was removed. */
  get isRefused(): boolean {
    const codes = [...this.#peers.values()].map(({ small }) => small.failure?.code);
    const answers = codes.filter((code) => code !== 'CV_PEER_UNREACHABLE');
    return answers.length > 0 && answers.every((code) => code === 'CV_NODE_REMOVED');
  }

  /** Ends the links to members that are not there any more. */
  keepOnly(raftIds: ReadonlySet<number>): void {
    for (const [raftId, peer] of this.#peers) {
      if (raftIds.has(raftId)) continue;
      this.#peers.delete(raftId);
      closePeer(peer);
    }
  }

  /** Ends everything. */
  close(): void {
    this.#isClosed = true;
    this.keepOnly(new Set());
  }

  #peer(raftId: number): Peer | undefined {
    const channel = this.#options.channelOf(raftId);
    if (channel === undefined) return undefined;
    const known = this.#peers.get(raftId);
    if (known?.channel === channel) return known;
    // The address of the member has changed: the links to the old one end.
    if (known !== undefined) closePeer(known);
    const shared: Omit<PeerLinkOptions, 'open'> = {
      head: this.#options.head,
      learn: this.#options.learn,
      onUnreachable: () => this.#options.onUnreachable(raftId),
      timers: this.#options.timers,
      random: this.#options.random,
      logger: this.#options.logger,
    };
    const peer: Peer = {
      channel,
      small: new PeerLink({ ...shared, open: () => channel.bidi(this.#raft.Messages) }),
      large: new PeerLink({ ...shared, open: () => channel.bidi(this.#raft.Entries) }),
    };
    this.#peers.set(raftId, peer);
    return peer;
  }

  async #sendSnapshot(raftId: number, snapshot: Snapshot, message: Uint8Array): Promise<void> {
    const { logger, onSnapshotSent, openSnapshot, channelOf, head } = this.#options;
    let status: 'finish' | 'failure' = 'failure';
    const content = openSnapshot(snapshot);
    const channel = channelOf(raftId);
    const call = channel?.bidi(this.#raft.Snapshot, { timeoutMs: SNAPSHOT_MS_MAX });
    try {
      if (call === undefined) return;
      const acks = call.responses[Symbol.asyncIterator]();
      const { stream } = await this.#nextAck(acks);
      let chunk = 0;
      const write = async (part: SnapshotChunkInput): Promise<void> => {
        const { clusterId, protocol, clusterEpoch } = head();
        await call.requests.write({ clusterId, protocol, clusterEpoch, stream, chunk, ...part });
        chunk += 1;
      };
      const whole = new RunningHash();
      await write({ message });
      for await (const piece of grouped(content.chunks)) {
        whole.update(piece);
        await write({ content: piece });
      }
      await write({ last: true, digest: whole.digest() });
      call.end();
      await this.#nextAck(acks);
      status = 'finish';
      logger.info('snapshot.sent', { index: snapshot.metadata.index });
    } catch (error) {
      // Also one of this side, reading its own file: the other must not wait for the rest.
      call?.cancel();
      logger.warn('snapshot.send-failed', { error });
    } finally {
      content.release();
      if (!this.#isClosed) onSnapshotSent(raftId, status);
    }
  }

  async #nextAck(acks: AsyncIterator<RaftAck>): Promise<RaftAck> {
    const next = await acks.next();
    if (next.done === true) throw new Error('the peer ended the stream');
    this.#options.learn(next.value.marks);
    return next.value;
  }
}

function closePeer(peer: Peer): void {
  peer.small.close();
  peer.large.close();
}

/** Each chunk with its size in front, several together up to the size of a message. */
async function* grouped(chunks: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
  let parts: Uint8Array[] = [];
  let size = 0;
  for await (const chunk of chunks) {
    const header = new Uint8Array(4);
    new DataView(header.buffer).setUint32(0, chunk.length);
    if (size > 0 && size + chunk.length > SEND_CHUNK_BYTES) {
      yield concatBytes(...parts);
      parts = [];
      size = 0;
    }
    parts.push(header, chunk);
    size += header.length + chunk.length;
  }
  if (size > 0) yield concatBytes(...parts);
}
