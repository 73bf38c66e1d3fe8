import type { RaftCore } from '../../core.js';
import type { NetworkMessage } from '../../message-types.js';
import type { Node } from '../../node/index.js';
import type { StateType } from '../../types.js';
import { SimFailure } from '../failure.js';
import type { FullParameters } from './parameters.js';

/** A leader whose disk does not answer must hand over, or fall silent. */
export class StuckWatch {
  readonly #timeoutMs: number;
  readonly #ticksMax: number;
  /** Ticks since the member leads although one and the same write is older than a timeout. */
  #ticks = 0;
  /** When the oldest write was queued, by the clock of the member. */
  #queuedAtMs = 0;

  /** @param parameters of the run */
  constructor({ electionTick, tickMicros }: FullParameters) {
    this.#timeoutMs = (electionTick * tickMicros) / 1000;
    // One election timeout for the transfer that is tried first, one for whatever comes between.
    this.#ticksMax = 2 * electionTick + 4;
  }

  /** A tick is over. */
  tick(role: StateType, node: Node, nowMs: number): void {
    const queuedAtMs = nowMs - node.driverStatus().oldestWriteAgeMs;
    // Slow, but not stuck: it went on since the last tick.
    if (queuedAtMs > this.#queuedAtMs + 0.001) this.#ticks = 0;
    this.#queuedAtMs = queuedAtMs;
    this.#ticks = role === 'StateLeader' && this.#isOld(node) ? this.#ticks + 1 : 0;
  }

  /** A message leaves. @throws SimFailure if it must not */
  check({ role, id, tracker }: RaftCore, node: Node, { type }: NetworkMessage): void {
    if (this.#ticks <= this.#ticksMax || role !== 'StateLeader') return;
    if (!this.#isOld(node)) {
      this.#ticks = 0;
      return;
    }
    if (tracker.voterIds.length === 1) return;
    throw new SimFailure('12 stuck disk', `${id} leads and sends ${type} with a stuck disk`);
  }

  #isOld(node: Node): boolean {
    return node.driverStatus().oldestWriteAgeMs > this.#timeoutMs;
  }
}
