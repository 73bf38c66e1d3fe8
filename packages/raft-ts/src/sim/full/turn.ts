import { asSimFailure } from '../simulation.js';
import type { SimFailure } from '../failure.js';

interface Port {
  onmessage: (() => void) | null;
  postMessage(message: null): void;
  close(): void;
}

/** Part of every host with promises; the only thing of the host that simulations use. */
declare const MessageChannel: new () => { readonly port1: Port; readonly port2: Port };

/** Whoever must look at what came of a turn. */
export interface Settler {
  /** All promises that could go on have gone on. */
  settled(): void;
}

/**
 * Lets promises go on between two events. Microtasks run in a fixed order, and every wait of a
 * simulated member is on something simulated: so one macrotask after an event, everything that
 * follows from the event has happened. Events that touch no promise cost nothing.
 */
export class Turn implements Disposable {
  readonly #channel = new MessageChannel();
  readonly #touched = new Set<Settler>();
  #resolve: () => void = () => undefined;
  #failure: SimFailure | undefined;

  constructor() {
    this.#channel.port1.onmessage = (): void => {
      this.#resolve();
    };
  }

  /** Ends the use; an open channel would keep the process alive. */
  [Symbol.dispose](): void {
    this.#channel.port1.close();
  }

  /** Something was done whose consequences need promises. */
  touch(member: Settler): void {
    this.#touched.add(member);
  }

  /** Runs a check where an exception would end up in the driver. */
  check(work: () => void): void {
    try {
      work();
    } catch (error) {
      this.fail(error);
    }
  }

  /** The run has failed; the first one counts. */
  fail(error: unknown): void {
    this.#failure ??= asSimFailure(error);
  }

  /**
   * Ends the turn of an event.
   *
   * @returns undefined if there was nothing to wait for
   * @throws SimFailure that was noted
   */
  end(): Promise<void> | undefined {
    if (this.#failure !== undefined) throw this.#failure;
    return this.#touched.size === 0 ? undefined : this.#drain();
  }

  async #drain(): Promise<void> {
    while (this.#touched.size > 0) {
      const touched = [...this.#touched];
      await new Promise<void>((resolve) => {
        this.#resolve = resolve;
        this.#channel.port2.postMessage(null);
      });
      for (const member of touched) {
        this.#touched.delete(member);
        this.check(() => {
          member.settled();
        });
      }
    }
    if (this.#failure !== undefined) throw this.#failure;
  }
}
