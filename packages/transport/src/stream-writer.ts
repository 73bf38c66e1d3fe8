import { ConclaveError } from '@conclave/kernel';
import type { CancelSignal, TimerHandle, Timers } from '@conclave/kernel';
import * as limits from './limits.js';

/** Where the messages of one direction of a stream go. */
export interface StreamWriter<T> {
  /** Bytes that the peer has not taken yet. */
  readonly queuedBytes: number;
  /**
   * Sends a message; resolves when there is room for another one, so a writer that awaits it goes
   * as fast as the reader. Rejects once the stream is over.
   * @throws CV_QUEUE_FULL when the writer did not wait and `STREAM_QUEUE_BYTES_MAX` are on their
   *   way; the stream is over then.
   */
  write(message: T): Promise<void>;
}

/** What a {@link BoundedWriter} writes into. */
export interface WriterOptions<T> {
  readonly encode: (message: T) => Buffer;
  /** Calls back when the bytes have left; never, when the stream ends before. */
  readonly send: (bytes: Buffer, onSent: () => void) => void;
  /** Ends the stream with this error. */
  readonly fail: (error: ConclaveError) => void;
  readonly signal: CancelSignal & { readonly reason: unknown };
  readonly timers: Timers;
}

interface Waiter {
  readonly resolve: () => void;
  readonly reject: (error: unknown) => void;
}

/**
 * A writer whose queue is bounded: it makes writers wait from `STREAM_WINDOW_BYTES` on, and ends
 * the stream when a reader takes nothing for `STREAM_STALL_MS_MAX`.
 */
export class BoundedWriter<T> implements StreamWriter<T> {
  readonly #options: WriterOptions<T>;
  readonly #waiters = new Set<Waiter>();
  #queuedBytes = 0;
  #sentCount = 0;
  #stall: TimerHandle | undefined;

  constructor(options: WriterOptions<T>) {
    this.#options = options;
    const onAbort = (): void => this.#stop();
    options.signal.addEventListener('abort', onAbort, { once: true });
  }

  get queuedBytes(): number {
    return this.#queuedBytes;
  }

  // Not an async function: a message has to leave before the caller's next statement.
  // oxlint-disable-next-line typescript/promise-function-async
  write(message: T): Promise<void> {
    const { signal, encode, fail, send } = this.#options;
    if (signal.aborted) return Promise.reject(signal.reason as Error);
    const bytes = encode(message);
    const isFull = this.#queuedBytes + bytes.length > limits.STREAM_QUEUE_BYTES_MAX;
    // Whoever waited for room may send one message of any size: it is bounded on its own.
    if (isFull && this.#queuedBytes > limits.STREAM_WINDOW_BYTES) {
      const error = new ConclaveError('CV_QUEUE_FULL', 'the reader of the stream is too slow');
      fail(error);
      return Promise.reject(error);
    }
    this.#queuedBytes += bytes.length;
    this.#watchForStall();
    send(bytes, () => this.#sent(bytes.length));
    return this.#room();
  }

  #room(): Promise<void> {
    if (this.#queuedBytes <= limits.STREAM_WINDOW_BYTES) return Promise.resolve();
    return new Promise((resolve, reject) => {
      this.#waiters.add({ resolve, reject });
    });
  }

  #sent(size: number): void {
    this.#queuedBytes -= size;
    this.#sentCount += 1;
    if (this.#queuedBytes > limits.STREAM_WINDOW_BYTES) return;
    for (const waiter of this.#waiters) waiter.resolve();
    this.#waiters.clear();
  }

  /** One timer per period, not one per message: it looks whether anything left meanwhile. */
  #watchForStall(): void {
    if (this.#stall !== undefined) return;
    const sentBefore = this.#sentCount;
    this.#stall = this.#options.timers.after(limits.STREAM_STALL_MS_MAX, () => {
      this.#stall = undefined;
      if (this.#queuedBytes === 0) return;
      if (this.#sentCount === sentBefore) {
        const error = new ConclaveError('CV_DEADLINE', 'the reader of the stream takes nothing');
        this.#options.fail(error);
        return;
      }
      this.#watchForStall();
    });
  }

  #stop(): void {
    this.#stall?.cancel();
    for (const waiter of this.#waiters) waiter.reject(this.#options.signal.reason);
    this.#waiters.clear();
  }
}
