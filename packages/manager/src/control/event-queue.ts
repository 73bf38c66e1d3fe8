import { ConclaveError } from '@conclave/kernel';

/** Events that wait for a slow reader before it is cut off. */
export const EVENT_QUEUE_MAX = 10_000;

/** A bounded queue between a writer that never waits and one reader. */
export class EventQueue<Event> {
  #events: Event[] = [];
  #offset = 0;
  #isClosed = false;
  #isOverfull = false;
  #wake: (() => void) | undefined;

  /** Adds events; too many at once mark the queue as overfull, which ends it. */
  push(events: readonly Event[]): void {
    if (this.#isClosed || this.#isOverfull || events.length === 0) return;
    if (this.#events.length - this.#offset + events.length > EVENT_QUEUE_MAX) {
      this.#isOverfull = true;
      this.#events = [];
      this.#offset = 0;
    } else for (const event of events) this.#events.push(event);
    this.#wake?.();
  }

  /** Ends the queue: the reader gets nothing more. */
  close(): void {
    this.#isClosed = true;
    this.#wake?.();
  }

  /**
   * The next event; waits for one; `undefined` once closed.
   * @throws CV_QUEUE_FULL when the reader was too slow
   */
  async next(): Promise<Event | undefined> {
    for (;;) {
      if (this.#isClosed) return undefined;
      if (this.#isOverfull) {
        throw new ConclaveError('CV_QUEUE_FULL', 'the watch is slower than the changes', {
          retryAfterMs: 1_000,
        });
      }
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
