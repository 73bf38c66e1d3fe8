import { ConclaveError } from '@conclave/kernel';

/** Events that wait for a slow reader before it is cut off. */
export const EVENT_QUEUE_MAX = 10_000;

/** A bounded queue between a writer that never waits and one reader. */
export class EventQueue<Event> {
  #events: Event[] = [];
  #offset = 0;
  #isClosed = false;
  #failure: ConclaveError | undefined;
  #wake: (() => void) | undefined;

  /** Adds events; too many at once mark the queue as overfull, which ends it. */
  push(events: readonly Event[]): void {
    if (this.#isClosed || this.#failure !== undefined || events.length === 0) return;
    if (this.#events.length - this.#offset + events.length > EVENT_QUEUE_MAX) {
      this.fail(
        new ConclaveError('CV_QUEUE_FULL', 'the watch is slower than the changes', {
          retryAfterMs: 1_000,
        }),
      );
      return;
    }
    for (const event of events) this.#events.push(event);
    this.#wake?.();
  }

  /** Ends the queue with an error; what waits in it is lost. */
  fail(error: ConclaveError): void {
    this.#failure ??= error;
    this.#events = [];
    this.#offset = 0;
    this.#wake?.();
  }

  /** Ends the queue: the reader gets nothing more. */
  close(): void {
    this.#isClosed = true;
    this.#wake?.();
  }

  /**
   * The next event; waits for one; `undefined` once closed.
   * @throws CV_QUEUE_FULL when the reader was too slow, or what {@link fail} was told
   */
  async next(): Promise<Event | undefined> {
    for (;;) {
      if (this.#isClosed) return undefined;
      if (this.#failure !== undefined) throw this.#failure;
      const event = this.#take();
      if (event !== undefined) return event;
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
      this.#wake = undefined;
    }
  }

  #take(): Event | undefined {
    const event = this.#events[this.#offset];
    if (event === undefined) return undefined;
    this.#offset += 1;
    if (this.#offset === this.#events.length) {
      this.#events = [];
      this.#offset = 0;
    }
    return event;
  }
}
