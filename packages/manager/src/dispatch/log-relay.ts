import { byteLength, ConclaveError } from '@conclave/kernel';
import type { CancelSignal } from '@conclave/kernel';
import type { LogReply, LogReplyInput, LogRequestInput } from '@conclave/wire';
import {
  LOG_BYTES_WAITING_MAX,
  LOG_PIECE_BYTES_MAX,
  LOG_REPLIES_WAITING_MAX,
  LOG_REQUESTS_MAX,
  LOG_WORD_BYTES_MAX,
} from './limits.js';

/** Whose output, and how much of it. */
export type LogQuery = Omit<LogRequestInput, 'request' | 'cancel'>;

interface OpenRequest {
  readonly replies: LogReply[];
  wake: () => void;
  isOver: boolean;
  failure: ConclaveError | undefined;
}

/** Requests for task output that are open at one session, answered over its stream. */
export class LogRelay {
  readonly #send: (request: LogRequestInput) => void;
  readonly #open = new Map<number, OpenRequest>();
  /** Bytes that wait for all readers. */
  #size = 0;
  #next = 1;
  #isClosed = false;

  constructor(send: (request: LogRequestInput) => void) {
    this.#send = send;
  }

  /**
   * Asks the agent; yields its replies until it says that there are no more, or `signal` fires: a
   * reader that waits for output cannot be told to stop in another way.
   * @throws CV_PEER_UNREACHABLE when the session is over
   * @throws CV_QUEUE_FULL for too many readers, or one that is too slow
   */
  async *request(query: LogQuery, signal?: CancelSignal): AsyncGenerator<LogReplyInput> {
    if (this.#isClosed) throw sessionLost();
    if (this.#open.size >= LOG_REQUESTS_MAX) {
      throw new ConclaveError('CV_QUEUE_FULL', 'too many readers of output on this node');
    }
    const number = this.#next;
    this.#next += 1;
    const open: OpenRequest = {
      replies: [],
      wake: () => undefined,
      isOver: false,
      failure: undefined,
    };
    this.#open.set(number, open);
    const onAbort = (): void => open.wake();
    signal?.addEventListener('abort', onAbort, { once: true });
    try {
      this.#send({ ...query, request: number });
      for (;;) {
        const reply = open.replies.shift();
        if (reply !== undefined) {
          this.#size -= sizeOf(reply);
          yield reply;
          if (reply.end) return;
          continue;
        }
        if (open.failure !== undefined) throw open.failure;
        if (open.isOver || signal?.aborted === true) return;
        await new Promise<void>((resolve) => {
          open.wake = resolve;
        });
      }
    } finally {
      signal?.removeEventListener('abort', onAbort);
      this.#open.delete(number);
      for (const reply of open.replies) this.#size -= sizeOf(reply);
      if (!open.isOver) this.#send({ request: number, cancel: true });
    }
  }

  /** A reply of the agent. @throws CV_LIMIT_EXCEEDED for more than a piece: no agent sends that */
  receive(reply: LogReply): void {
    const words = byteLength(reply.stream) + byteLength(reply.error);
    if (reply.output.length > LOG_PIECE_BYTES_MAX || words > LOG_WORD_BYTES_MAX) {
      throw new ConclaveError(
        'CV_LIMIT_EXCEEDED',
        `a reply has at most ${LOG_PIECE_BYTES_MAX} bytes of output`,
      );
    }
    const open = this.#open.get(reply.request);
    // What comes after the end, or for a reader that was given up, has no place to wait.
    if (open === undefined || open.isOver || open.failure !== undefined) return;
    open.replies.push(reply);
    this.#size += sizeOf(reply);
    if (reply.end) open.isOver = true;
    if (open.replies.length > LOG_REPLIES_WAITING_MAX || this.#size > LOG_BYTES_WAITING_MAX) {
      open.failure = new ConclaveError('CV_QUEUE_FULL', 'the reader of the output is too slow');
    }
    open.wake();
  }

  /** The session is over. */
  close(): void {
    this.#isClosed = true;
    for (const open of this.#open.values()) {
      open.failure = sessionLost();
      open.wake();
    }
  }
}

const sizeOf = ({ error, output, stream }: LogReply): number =>
  output.length + byteLength(stream) + byteLength(error);

const sessionLost = (): ConclaveError =>
  new ConclaveError('CV_PEER_UNREACHABLE', 'the node lost its session');
