import type { StateMachine, StateSnapshot } from '../../node/index.js';
import type { Index } from '../../numbers.js';
import type { ConfState, Entry, Snapshot } from '../../types.js';
import { SimFailure } from '../failure.js';
import type { SimStateMachine } from '../machine.js';

/** What a state machine in virtual time needs of its member. */
export interface MachineHost {
  readonly machine: SimStateMachine;
  applied: Index;
  confState: ConfState;
  /** Calls back when the state machine has time. */
  schedule(): void;
  /** An entry is about to be applied, and was applied. */
  applying(entry: Entry): void;
  appliedEntry(entry: Entry, result: number): void;
  restored(snapshot: Snapshot): void;
  /** A promise was broken. */
  fail(error: unknown): void;
}

const ID_SIZE = 16;

/**
 * The state machine of the driver, with delays. It holds what it is given against what the core
 * has handed out: each entry once and in order; empty ones, which the driver leaves out, are seen
 * as applied as soon as the driver is past them.
 */
export class HostMachine implements StateMachine {
  readonly #host: MachineHost;
  readonly #handed: Entry[] = [];
  readonly #jobs: (() => void)[] = [];
  #isStarting = true;
  #lastCommand: Index = 0;

  /** @param host the member */
  constructor(host: MachineHost) {
    this.#host = host;
  }

  /** The start is over: from now on everything takes time. */
  begin(): void {
    this.#isStarting = false;
  }

  /** The core has handed out committed entries. */
  handOut(entries: readonly Entry[]): void {
    for (const entry of entries) this.#handed.push(entry);
  }

  /** There is time for the oldest piece of work. */
  next(): void {
    this.#jobs.shift()?.();
  }

  apply(entries: readonly Entry[]): Promise<readonly unknown[]> {
    return this.#later(() => entries.map((entry) => this.#applyOne(entry)));
  }

  snapshot(): Promise<StateSnapshot> {
    const captured = { data: this.#host.machine.snapshot(), index: this.#lastCommand };
    return this.#later(() => captured);
  }

  restore(snapshot: Snapshot): Promise<void> {
    if (this.#isStarting) {
      this.#restoreNow(snapshot);
      return Promise.resolve();
    }
    return this.#later(() => {
      this.#restoreNow(snapshot);
      this.#host.restored(snapshot);
    });
  }

  /** A configuration has taken effect; the change is the next entry. */
  confChanged(index: Index, confState: ConfState): void {
    this.advance(index - 1);
    const entry = this.#take(index);
    this.#host.applying(entry);
    this.#host.confState = confState;
    this.#host.applied = index;
    this.#host.appliedEntry(entry, 0);
  }

  /** The driver says that everything up to an index is applied. */
  advance(index: Index): void {
    while (this.#host.applied < index) {
      const entry = this.#take(this.#host.applied + 1);
      if (entry.type !== 'EntryNormal' || entry.data.length > 0) {
        throw new SimFailure('4 applied once', `the driver has left out entry ${entry.index}`);
      }
      this.#host.applying(entry);
      this.#host.applied = entry.index;
      this.#host.appliedEntry(entry, 0);
    }
  }

  /** @throws SimFailure unless everything up to an index is applied */
  checkReadable(index: Index): void {
    if (this.#host.applied >= index) return;
    const text = `a read of ${index} is let go at ${this.#host.applied}`;
    throw new SimFailure('9 reads do not go back', text);
  }

  #applyOne(entry: Entry): number {
    this.advance(entry.index - 1);
    const handed = this.#take(entry.index);
    const payload = handed.data.subarray(ID_SIZE);
    if (handed.term !== entry.term || payload.some((byte, i) => byte !== entry.data[i])) {
      throw new SimFailure('4 applied once', `the driver applies another entry ${entry.index}`);
    }
    this.#host.applying(handed);
    const result = this.#host.machine.apply(entry);
    this.#lastCommand = entry.index;
    this.#host.applied = entry.index;
    this.#host.appliedEntry(entry, result);
    return result;
  }

  #take(index: Index): Entry {
    const entry = this.#handed.shift();
    if (entry?.index === index) return entry;
    throw new SimFailure('4 applied once', `entry ${index} is applied, due is ${entry?.index}`);
  }

  #restoreNow(snapshot: Snapshot): void {
    const { index, confState } = snapshot.metadata;
    this.#host.machine.restore(snapshot.data);
    this.#host.applied = index;
    this.#host.confState = confState;
    this.#lastCommand = index;
    while ((this.#handed[0]?.index ?? Infinity) <= index) this.#handed.shift();
  }

  #later<T>(effect: () => T): Promise<T> {
    return new Promise((resolve, reject) => {
      this.#jobs.push(() => {
        try {
          resolve(effect());
        } catch (error) {
          this.#host.fail(error);
          reject(error as Error);
        }
      });
      this.#host.schedule();
    });
  }
}
