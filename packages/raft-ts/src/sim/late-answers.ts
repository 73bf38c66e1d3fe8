import type { Message } from '../message-types.js';
import type { NodeId } from '../numbers.js';
import { EVENT } from './events.js';
import type { Prng } from './prng.js';
import type { Micros } from './scheduler.js';
import type { World } from './world.js';

/**
 * Answers of the storage on their way to the node of a member. They may be late, but they come in the
 * order of the writes. Some members have late ones while others have not, so that leaders come and go
 * meanwhile.
 */
export class LateAnswers {
  readonly #id: NodeId;
  readonly #world: World;
  readonly #prng: Prng;
  #queue: (readonly Message[])[] = [];
  #spread: Micros = 0;
  /** When the last one arrives. */
  #at: Micros = 0;

  /**
   * @param id of the member
   * @param world where it lives
   * @param prng of the member
   */
  constructor(id: NodeId, world: World, prng: Prng) {
    this.#id = id;
    this.#world = world;
    this.#prng = prng;
  }

  /** The member starts: what was on its way is gone. */
  begin(): void {
    const { answerMicrosSpread } = this.#world.parameters;
    const areLate = answerMicrosSpread > 0 && this.#prng.chance(0.4);
    this.#spread = areLate ? answerMicrosSpread : 0;
    this.#queue = [];
  }

  /** Puts answers on their way. @returns false: they are there already */
  delay(answers: readonly Message[], life: number): boolean {
    if (this.#spread === 0 || answers.length === 0) return false;
    const { scheduler, isCalm } = this.#world;
    const delay = isCalm ? 0 : this.#prng.below(this.#spread);
    this.#at = Math.max(this.#at, scheduler.now + delay);
    this.#queue.push(answers);
    scheduler.after(this.#at - scheduler.now, EVENT.answered, this.#id).a = life;
    return true;
  }

  /** The oldest ones arrive. */
  take(): readonly Message[] {
    return this.#queue.shift() as readonly Message[];
  }
}
