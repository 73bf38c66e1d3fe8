import { ConclaveError, toHex } from '@conclave/kernel';
import type { Logger, Random } from '@conclave/kernel';
import { decodeCommand, restoreState, State } from '@conclave/state';
import type { ChangeBatch, CommandResult } from '@conclave/state';
import type { SnapshotName, SnapshotStore } from '@conclave/store';
import type { Entry, Snapshot } from 'raft-ts';
import type { StateMachine, StateSnapshot } from 'raft-ts/node';
import { SnapshotShelf } from './snapshot-shelf.js';

/** Bytes of randomness in the id of a snapshot. */
const SNAPSHOT_ID_BYTES = 16;

/** What listeners hear: a batch that was applied, or that the whole state was replaced. */
export type StateEvent =
  { readonly kind: 'applied'; readonly batch: ChangeBatch } | { readonly kind: 'replaced' };

/**
 * The tables as a state machine of Raft: committed commands in, results out, snapshots to and from
 * the store. The descriptor that Raft carries is only the name of a snapshot.
 */
export class ReplicatedState implements StateMachine {
  readonly #shelf: SnapshotShelf;
  readonly #random: Random;
  readonly #logger: Logger;
  readonly #listeners = new Set<(event: StateEvent) => void>();
  #state = new State();
  #unwatch: () => void;
  /** Who waits for an index; each has a timer of its own, the calls themselves are bounded. */
  readonly #waiting = new Map<() => void, number>();

  constructor(fields: { snapshots: SnapshotStore; random: Random; logger: Logger }) {
    this.#shelf = new SnapshotShelf(fields);
    this.#random = fields.random;
    this.#logger = fields.logger;
    this.#unwatch = this.#watch(this.#state);
  }

  /** The tables now. Do not keep it over an await: a snapshot from the leader replaces it. */
  get state(): State {
    return this.#state;
  }

  /** Calls `listener` synchronously after each change. Returns the way to stop. */
  listen(listener: (event: StateEvent) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /**
   * Calls back once, when the tables have taken in `index`: at once when they have. Returns the way
   * to stop waiting.
   */
  whenApplied(index: number, callback: () => void): () => void {
    if (this.#state.appliedIndex >= index) callback();
    else this.#waiting.set(callback, index);
    return () => this.#waiting.delete(callback);
  }

  /** @inheritdoc */
  apply(entries: readonly Entry[]): Promise<readonly CommandResult[]> {
    const results = entries.map((entry) => this.#applyOne(entry));
    this.#wakeWaiting();
    return Promise.resolve(results);
  }

  /** @inheritdoc */
  async snapshot(): Promise<StateSnapshot> {
    const view = this.#state.freeze();
    const id = toHex(this.#random.bytes(SNAPSHOT_ID_BYTES));
    // The term is Raft's; the id is random and binds the chunks well enough.
    await this.#shelf.write({ id, index: view.index, term: 0 }, view.chunks());
    this.#logger.info('snapshot.written', { index: view.index });
    return { index: view.index, data: encodeDescriptor({ id, index: view.index, term: 0 }) };
  }

  /** @inheritdoc */
  async restore(snapshot: Snapshot): Promise<void> {
    const name = decodeDescriptor(snapshot.data);
    const chunks: Uint8Array[] = [];
    const content = this.#shelf.open(name);
    try {
      for await (const chunk of content.chunks) chunks.push(chunk);
    } finally {
      content.release();
    }
    const state = restoreState(chunks);
    this.#unwatch();
    this.#state = state;
    this.#unwatch = this.#watch(state);
    // After a restart nobody else says that the log refers to it.
    this.#shelf.stored(name);
    this.#logger.info('snapshot.restored', { index: snapshot.metadata.index });
    for (const listener of this.#listeners) listener({ kind: 'replaced' });
    this.#wakeWaiting();
  }

  /** The content of a snapshot for a member that lags; it stays readable until `release`. */
  openForSending(snapshot: Snapshot): {
    readonly chunks: AsyncIterable<Uint8Array>;
    readonly release: () => void;
  } {
    return this.#shelf.open(decodeDescriptor(snapshot.data));
  }

  /**
   * Stores the content that a leader sends, before Raft hears of it.
   * @throws CV_SNAPSHOT_DAMAGED when the descriptor is not one of ours
   * @throws CV_QUEUE_FULL while the same snapshot is on its way already
   */
  async receive(snapshot: Snapshot, chunks: AsyncIterable<Uint8Array>): Promise<void> {
    await this.#shelf.write(decodeDescriptor(snapshot.data), chunks);
  }

  /** To be called when the log refers to this snapshot: earlier ones are not needed any more. */
  snapshotStored(snapshot: Snapshot): void {
    this.#shelf.stored(decodeDescriptor(snapshot.data));
  }

  #wakeWaiting(): void {
    for (const [callback, index] of this.#waiting) {
      if (index > this.#state.appliedIndex) continue;
      this.#waiting.delete(callback);
      callback();
    }
  }

  #applyOne(entry: Entry): CommandResult {
    // A committed entry that does not decode was written by a newer version: going on would
    // make this manager's state differ from the others'.
    const command = decodeCommand(entry.data);
    const result = this.#state.apply(entry.index, command);
    if (!result.ok && result.code === 'CV_INTERNAL') {
      this.#logger.error('state.apply-failed', { index: entry.index, command: command.kind });
    }
    return result;
  }

  #watch(state: State): () => void {
    return state.watch((batch) => {
      for (const listener of this.#listeners) listener({ kind: 'applied', batch });
    });
  }
}

function encodeDescriptor(name: SnapshotName): Uint8Array {
  return new TextEncoder().encode(JSON.stringify([name.id, name.index, name.term]));
}

function decodeDescriptor(data: Uint8Array): SnapshotName {
  try {
    const [id, index, term] = JSON.parse(new TextDecoder().decode(data)) as unknown[];
    if (typeof id === 'string' && /^[0-9a-f]{32}$/.test(id)) {
      if (Number.isSafeInteger(index) && Number.isSafeInteger(term)) {
        return { id, index: index as number, term: term as number };
      }
    }
  } catch {
    // Falls through to the one error below.
  }
  throw new ConclaveError('CV_SNAPSHOT_DAMAGED', 'the descriptor of a snapshot is malformed');
}
