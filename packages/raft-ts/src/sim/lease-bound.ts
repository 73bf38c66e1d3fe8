import type { Index } from '../numbers.js';
import type { SimParameters } from './parameters.js';
import type { Micros } from './scheduler.js';

/**
 * How old a read on a lease may be. A leader that is cut off stays in office for up to two election
 * timeouts of its own clock, since it looks once per timeout whether it was answered since the last
 * look; a member that is added counts as active for one more. Answers may be late before that. Somebody
 * else can be elected after one timeout, so that the two overlap also with perfect clocks.
 */
export class LeaseBound {
  readonly #staleness: Micros;
  readonly #times: Micros[] = [];
  readonly #commits: Index[] = [];

  /** @param parameters of the run */
  constructor(parameters: SimParameters) {
    const { electionTick, tickMicros, clockRateMax, backlogMicrosMax } = parameters;
    const { delayMicrosMin, delayMicrosSpread, latenessMicrosMax } = parameters;
    const inOffice = 3 * electionTick * tickMicros * clockRateMax;
    const onTheWay =
      2 * (delayMicrosMin + delayMicrosSpread + latenessMicrosMax) + backlogMicrosMax;
    this.#staleness = inOffice + onTheWay;
  }

  /** A read begins. @returns the index it has to see */
  begin(now: Micros, commit: Index): Index {
    this.#times.push(now);
    this.#commits.push(commit);
    const at = this.#times.findLastIndex((time) => time <= now - this.#staleness);
    return this.#commits[at] ?? 0;
  }
}
