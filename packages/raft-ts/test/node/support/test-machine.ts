import type { Entry, Snapshot } from '../../../src/index.js';
import type { StateMachine, StateSnapshot } from '../../../src/node/index.js';

/** The state: the commands so far with their indexes. */
export interface Command {
  readonly index: number;
  readonly text: string;
}

const encoder = new TextEncoder();
const decoder = new TextDecoder();

/**
 * A state machine that remembers its history. The state of a snapshot is kept by name at the
 * "host" (`blobs`), the descriptor is the name; the simulated transport copies it.
 */
export class TestMachine implements StateMachine {
  readonly blobs: Map<string, readonly Command[]>;
  readonly name: string;
  commands: Command[] = [];
  index = 0;
  applyCalls = 0;
  snapshotCalls = 0;
  #isBusy = false;
  restoreCalls = 0;
  /** Runs before each call of the same name has an effect. */
  beforeApply: (entries: readonly Entry[]) => Promise<void> | void = () => undefined;
  beforeRestore: () => Promise<void> | void = () => undefined;
  afterCapture: () => Promise<void> | void = () => undefined;

  constructor(name: string, blobs: Map<string, readonly Command[]>) {
    this.name = name;
    this.blobs = blobs;
  }

  async apply(entries: readonly Entry[]): Promise<readonly unknown[]> {
    this.#enter();
    this.applyCalls += 1;
    await this.beforeApply(entries);
    this.#isBusy = false;
    return entries.map(({ index, data }) => {
      if (index <= this.index) throw new Error(`entry ${index} after ${this.index}`);
      this.index = index;
      const text = decoder.decode(data);
      this.commands.push({ index, text });
      return `did ${text}`;
    });
  }

  async snapshot(): Promise<StateSnapshot> {
    this.#enter();
    this.snapshotCalls += 1;
    const { index } = this;
    const state = [...this.commands];
    this.#isBusy = false;
    await this.afterCapture();
    const blob = `${this.name}@${index}`;
    this.blobs.set(blob, state);
    return { data: encoder.encode(blob), index };
  }

  async restore(snapshot: Snapshot): Promise<void> {
    this.#enter();
    this.restoreCalls += 1;
    await this.beforeRestore();
    this.#isBusy = false;
    const state = this.blobs.get(decoder.decode(snapshot.data));
    if (state === undefined) throw new Error('the state of the snapshot is not here');
    this.commands = [...state];
    this.index = snapshot.metadata.index;
  }

  #enter(): void {
    if (this.#isBusy) throw new Error('calls of the state machine overlap');
    this.#isBusy = true;
  }

  /** The texts of all commands. */
  get texts(): string[] {
    return this.commands.map(({ text }) => text);
  }
}

/** The name of the state in a snapshot. */
export function blobName(snapshot: Snapshot): string {
  return decoder.decode(snapshot.data);
}

/** The bytes of a command. */
export function command(text: string): Uint8Array {
  return encoder.encode(text);
}
