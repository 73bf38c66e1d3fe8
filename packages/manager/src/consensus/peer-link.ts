import { delay, jitter, toConclaveError } from '@conclave/kernel';
import type { ConclaveError, Logger, Random, Timers } from '@conclave/kernel';
import type { BidiCall } from '@conclave/transport';
import type { RaftAck, RaftBatchInput } from '@conclave/wire';
import type { WriteMark } from './write-marks.js';

/** Messages over this size travel on a stream of their own, so that heartbeats never queue. */
export const LARGE_MESSAGE_BYTES: number = 64 * 1024;
/** Messages waiting for one stream; the oldest are dropped, Raft sends again. */
const WAITING_COUNT_MAX = 4_096;
/** Bytes waiting for one stream. */
const WAITING_BYTES_MAX: number = 16 * 1024 * 1024;
/** Bytes put into one batch. */
const BATCH_BYTES: number = 512 * 1024;
/** Milliseconds between two attempts to open a stream. */
const RETRY_MS = 150;

/** What the frames of a stream say besides the messages. */
export interface BatchHead {
  readonly clusterId: string;
  readonly protocol: number;
  readonly clusterEpoch: number;
  /** How often the log of each manager was synced. */
  readonly marks: WriteMark[];
}

/** How a link reaches the other manager. */
export interface PeerLinkOptions {
  readonly open: () => BidiCall<RaftBatchInput, RaftAck>;
  readonly head: () => BatchHead;
  /** Takes what the peer knows of the logs of all managers; what it throws breaks the stream. */
  readonly learn: (marks: readonly WriteMark[]) => void;
  /** Called once per burst of failures. */
  readonly onUnreachable: () => void;
  readonly timers: Timers;
  readonly random: Random;
  readonly logger: Logger;
}

/**
 * One direction of one stream to one manager: a bounded queue of encoded messages, sent in batches
 * as fast as the reader takes them, reopened when it breaks. What does not fit is dropped.
 */
export class PeerLink {
  readonly #options: PeerLinkOptions;
  readonly #end = new AbortController();
  #waiting: Uint8Array[] = [];
  #waitingBytes = 0;
  #wake: () => void = () => undefined;
  #failure: ConclaveError | undefined;

  constructor(options: PeerLinkOptions) {
    this.#options = options;
    void this.#run();
  }

  /** Why the last attempt to send failed; undefined once the peer answered again. */
  get failure(): ConclaveError | undefined {
    return this.#failure;
  }

  /** Queues a message. Never blocks, never throws. */
  send(message: Uint8Array): void {
    this.#waiting.push(message);
    this.#waitingBytes += message.length;
    while (
      this.#waiting.length > WAITING_COUNT_MAX ||
      (this.#waitingBytes > WAITING_BYTES_MAX && this.#waiting.length > 1)
    ) {
      this.#waitingBytes -= this.#waiting.shift()?.length ?? 0;
    }
    this.#wake();
  }

  /** Ends the stream for good. */
  close(): void {
    this.#end.abort();
    this.#wake();
  }

  async #run(): Promise<void> {
    const { onUnreachable, logger, timers, random } = this.#options;
    while (!this.#end.signal.aborted) {
      if (this.#waiting.length === 0) {
        await this.#untilWoken();
        continue;
      }
      try {
        await this.#pump(() => {
          this.#failure = undefined;
        });
      } catch (error) {
        if (this.#end.signal.aborted) return;
        const failure = toConclaveError(error);
        if (this.#failure === undefined) logger.info('raft.peer-unreachable', { error: failure });
        this.#failure = failure;
        this.#drop();
        onUnreachable();
        await delay(timers, jitter(random, RETRY_MS, 0.3), this.#end.signal);
      }
    }
  }

  /** Sends until the stream breaks; begins when the reader has named the stream. */
  async #pump(onOpen: () => void): Promise<void> {
    const call = this.#options.open();
    const onEnd = (): void => call.cancel();
    this.#end.signal.addEventListener('abort', onEnd, { once: true });
    const reader: { stream?: Uint8Array; failure?: unknown } = {};
    const broken = this.#readAcks(call, (ack) => {
      reader.stream ??= ack.stream;
      onOpen();
      this.#wake();
    });
    broken.catch((error: unknown) => {
      reader.failure = error ?? new Error('the stream ended');
      this.#wake();
    });
    try {
      for (let sequence = 1; !this.#end.signal.aborted;) {
        if (reader.failure !== undefined) throw toConclaveError(reader.failure);
        if (reader.stream === undefined || this.#waiting.length === 0) {
          await this.#untilWoken();
          continue;
        }
        const head = { ...this.#options.head(), stream: reader.stream, sequence };
        await call.requests.write({ ...head, messages: this.#take() });
        sequence += 1;
      }
    } finally {
      this.#end.signal.removeEventListener('abort', onEnd);
      call.cancel();
    }
  }

  async #readAcks(
    call: BidiCall<RaftBatchInput, RaftAck>,
    onAck: (ack: RaftAck) => void,
  ): Promise<never> {
    for await (const ack of call.responses) {
      this.#options.learn(ack.marks);
      onAck(ack);
    }
    throw new Error('the peer ended the stream');
  }

  #take(): Uint8Array[] {
    let size = 0;
    let count = 0;
    for (const message of this.#waiting) {
      if (count > 0 && size + message.length > BATCH_BYTES) break;
      size += message.length;
      count += 1;
    }
    this.#waitingBytes -= size;
    return this.#waiting.splice(0, count);
  }

  #drop(): void {
    this.#waiting = [];
    this.#waitingBytes = 0;
  }

  #untilWoken(): Promise<void> {
    return new Promise((resolve) => {
      this.#wake = resolve;
    });
  }
}
