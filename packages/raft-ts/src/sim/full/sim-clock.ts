import type { Clock } from '../../node/index.js';
import type { Micros, Scheduler } from '../scheduler.js';

/** The clock of one host, which may run fast or slowly, and the one timer of the driver. */
export class SimClock implements Clock {
  readonly #scheduler: Scheduler;
  readonly #nominal: Micros;
  readonly #onInterval: () => void;
  #tickMicros: Micros;
  #since: Micros;
  #localMicros: Micros = 0;
  #interval: (() => void) | undefined;

  /**
   * @param scheduler the true time
   * @param nominal true time between two ticks at the right rate
   * @param onInterval the driver has asked for ticks
   */
  constructor(scheduler: Scheduler, nominal: Micros, onInterval: () => void) {
    this.#scheduler = scheduler;
    this.#nominal = nominal;
    this.#tickMicros = nominal;
    this.#since = scheduler.now;
    this.#onInterval = onInterval;
  }

  /** True time between two ticks. */
  get tickMicros(): Micros {
    return this.#tickMicros;
  }

  set tickMicros(value: Micros) {
    this.#localMicros = this.#local();
    this.#since = this.#scheduler.now;
    this.#tickMicros = value;
  }

  now(): number {
    return this.#local() / 1000;
  }

  setInterval(f: () => void): Disposable {
    this.#interval = f;
    this.#onInterval();
    return {
      [Symbol.dispose]: (): void => {
        if (this.#interval === f) this.#interval = undefined;
      },
    };
  }

  /** The timer fires. @returns false: it was ended */
  fire(): boolean {
    this.#interval?.();
    return this.#interval !== undefined;
  }

  /** The process has ended, and its timer with it. */
  stop(): void {
    this.#interval = undefined;
  }

  #local(): Micros {
    const passed = this.#scheduler.now - this.#since;
    return this.#localMicros + (passed * this.#nominal) / this.#tickMicros;
  }
}
