import type { TimerHandle, Timers } from '@conclave/kernel';
import type { LaneRules } from './gate-rates.js';
import * as limits from './limits.js';

/** Lets a few handshakes at a time go on, in the order in which they asked. */
export class HandshakeQueue<T> {
  readonly #rules: LaneRules;
  readonly #timers: Timers;
  readonly #start: (item: T) => void;
  readonly #waiting = new Set<T>();
  /** Those whose turn it is, with the end of it. */
  readonly #turns = new Map<T, TimerHandle>();

  constructor(rules: LaneRules, timers: Timers, start: (item: T) => void) {
    this.#rules = rules;
    this.#timers = timers;
    this.#start = start;
  }

  /** Starts the handshake now or later; false when too many wait. After that `end` is owed. */
  add(item: T): boolean {
    if (this.#waiting.size >= this.#rules.waitingCountMax) return false;
    this.#waiting.add(item);
    this.#next();
    return true;
  }

  /** The handshake is over, or will not happen. */
  end(item: T): void {
    this.#waiting.delete(item);
    this.#turns.get(item)?.cancel();
    if (this.#turns.delete(item)) this.#next();
  }

  #next(): void {
    for (const item of this.#waiting) {
      if (this.#turns.size >= this.#rules.handshakeCountMax) return;
      this.#waiting.delete(item);
      const turn = this.#timers.after(limits.HANDSHAKE_TURN_MS, () => this.end(item));
      this.#turns.set(item, turn);
      this.#start(item);
    }
  }
}
