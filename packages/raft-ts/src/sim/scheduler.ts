import type { Message } from '../message-types.js';

/** Virtual time, in microseconds since the start of a simulation. */
export type Micros = number;

/** Something that happens at a time. What `target`, `a` and `b` mean depends on the kind. */
export interface SimEvent {
  time: Micros;
  sequence: number;
  kind: number;
  target: number;
  a: number;
  b: number;
  message: Message | undefined;
}

/**
 * Virtual time and what is to happen: a binary heap ordered by (time, sequence number), so that
 * ties are broken by the order in which events were scheduled. Event objects are reused.
 */
export class Scheduler {
  /** Time of the event taken last. */
  now: Micros = 0;
  readonly #heap: SimEvent[] = [];
  readonly #free: SimEvent[] = [];
  #sequence = 0;

  /** How many events wait. */
  get length(): number {
    return this.#heap.length;
  }

  /**
   * Schedules an event without a message.
   *
   * @param delay microseconds from now, at least 0
   */
  after(delay: Micros, kind: number, target: number): SimEvent {
    return this.#push(this.now + delay, kind, target);
  }

  /** Schedules the delivery of a message to a member. */
  deliver(time: Micros, kind: number, message: Message): void {
    this.#push(time, kind, message.to).message = message;
  }

  /**
   * Takes the next event and moves the time to it. The object is valid until `release`.
   *
   * @returns undefined if nothing waits
   */
  next(): SimEvent | undefined {
    const heap = this.#heap;
    const first = heap[0];
    if (first === undefined) return undefined;
    const last = heap.pop() as SimEvent;
    if (heap.length > 0) this.#sinkFromTop(last);
    this.now = first.time;
    return first;
  }

  /** Gives an event object back. */
  release(event: SimEvent): void {
    event.message = undefined;
    this.#free.push(event);
  }

  /** Schedules the same event once more, for a later time. */
  defer(event: SimEvent, time: Micros): void {
    const copy = this.#push(time, event.kind, event.target);
    copy.a = event.a;
    copy.b = event.b;
    copy.message = event.message;
  }

  #push(time: Micros, kind: number, target: number): SimEvent {
    const event = this.#free.pop() ?? {
      time: 0,
      sequence: 0,
      kind: 0,
      target: 0,
      a: 0,
      b: 0,
      message: undefined,
    };
    event.time = time;
    event.sequence = this.#sequence++;
    event.kind = kind;
    event.target = target;
    event.a = 0;
    event.b = 0;
    this.#rise(event);
    return event;
  }

  #rise(event: SimEvent): void {
    const heap = this.#heap;
    let at = heap.length;
    heap.push(event);
    while (at > 0) {
      const above = (at - 1) >> 1;
      const parent = heap[above] as SimEvent;
      // The new event has the highest sequence number: a tie leaves it below.
      if (parent.time <= event.time) break;
      heap[at] = parent;
      at = above;
    }
    heap[at] = event;
  }

  #sinkFromTop(event: SimEvent): void {
    const heap = this.#heap;
    const { length } = heap;
    let at = 0;
    for (;;) {
      let below = 2 * at + 1;
      if (below >= length) break;
      let child = heap[below] as SimEvent;
      if (below + 1 < length) {
        const other = heap[below + 1] as SimEvent;
        if (isBefore(other, child)) {
          child = other;
          below++;
        }
      }
      if (!isBefore(child, event)) break;
      heap[at] = child;
      at = below;
    }
    heap[at] = event;
  }
}

function isBefore(one: SimEvent, other: SimEvent): boolean {
  return one.time < other.time || (one.time === other.time && one.sequence < other.sequence);
}
