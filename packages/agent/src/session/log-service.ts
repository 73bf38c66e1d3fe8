import { toConclaveError } from '@conclave/kernel';
import type { AgentMessageInput, LogRequest } from '@conclave/wire';

import type { Executor } from '../executors/executor.js';
import { LOG_READERS_MAX } from '../limits.js';

type Send = (message: AgentMessageInput) => Promise<void>;

/** Answers a session's requests for the output of tasks, as fast as the manager takes it. */
export class LogService {
  readonly #executorOf: (taskId: string) => Executor | undefined;
  readonly #send: Send;
  readonly #readers = new Map<number, AbortController>();

  constructor(executorOf: (taskId: string) => Executor | undefined, send: Send) {
    this.#executorOf = executorOf;
    this.#send = send;
  }

  /** Takes a request; the answer is sent in the background. */
  receive(query: LogRequest): void {
    const known = this.#readers.get(query.request);
    if (query.cancel) {
      known?.abort();
      return;
    }
    if (known !== undefined) return;
    if (this.#readers.size >= LOG_READERS_MAX) {
      this.#fail(query.request, 'too many readers of output on this node');
      return;
    }
    const reader = new AbortController();
    this.#readers.set(query.request, reader);
    void this.#answer(query, reader);
  }

  /** The session is over. */
  close(): void {
    for (const reader of this.#readers.values()) reader.abort();
    this.#readers.clear();
  }

  async #answer(query: LogRequest, { signal }: AbortController): Promise<void> {
    const { request, taskId, tailLines, follow } = query;
    try {
      const executor = this.#executorOf(taskId);
      if (executor === undefined) {
        this.#fail(request, 'this node has no output of the task');
        return;
      }
      for await (const piece of executor.logs(taskId, { tailLines, follow, signal })) {
        await this.#send({ logReply: { request, stream: piece.stream, output: piece.bytes } });
      }
      if (!signal.aborted) await this.#send({ logReply: { request, end: true } });
    } catch (error) {
      if (!signal.aborted) this.#fail(request, toConclaveError(error).message);
    } finally {
      this.#readers.delete(request);
    }
  }

  #fail(request: number, error: string): void {
    // A stream that is over is noticed by the session.
    this.#send({ logReply: { request, end: true, error } }).catch(() => undefined);
  }
}
