import { ConclaveError, fromHex, isConclaveError, toHex } from '@conclave/kernel';
import type { Logger, Random } from '@conclave/kernel';
import { decodeCommand, isOwnFormat, State, StateRestorer } from '@conclave/state';
import type { ChangeBatch, Command, CommandResult } from '@conclave/state';
import type { SnapshotName, SnapshotStore } from '@conclave/store';
import type { Entry, Snapshot } from 'raft-ts';
import type { StateMachine, StateSnapshot } from 'raft-ts/node';
import { SnapshotShelf } from './snapshot-shelf.js';
import { StateMarks } from './state-marks.js';
import type { StateMark } from './state-marks.js';

/** Bytes of randomness in the id of a snapshot. */
const SNAPSHOT_ID_BYTES = 16;
/** The term is Raft's; the id is random and binds the chunks well enough. */
const SNAPSHOT_TERM = 0;

/** What Raft carries of a snapshot: its name, and what its content must come to. */
interface Descriptor {
  readonly name: SnapshotName;
  readonly mark: StateMark;
}

/** What listeners hear: a batch that was applied, or that the whole state was replaced. */
export type StateEvent =
  { readonly kind: 'applied'; readonly batch: ChangeBatch } | { readonly kind: 'replaced' };

/**
 * The tables as a state machine of Raft: committed commands in, results out, snapshots to and from
 * the store. The descriptor that Raft carries is the name of a snapshot and what it comes to.
 */
export class ReplicatedState implements StateMachine {
  /** What was applied comes to, for managers to compare. */
  readonly marks: StateMarks = new StateMarks();
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
    const { chain } = this.marks.newest;
    const id = toHex(this.#random.bytes(SNAPSHOT_ID_BYTES));
    const { index, digest } = view;
    const name = { id, index, term: SNAPSHOT_TERM };
    await this.#shelf.write(name, view.chunks());
    this.#logger.info('snapshot.written', { index });
    return { index, data: encodeDescriptor({ name, mark: { index, chain, digest } }) };
  }

  /** @inheritdoc */
  async restore(snapshot: Snapshot): Promise<void> {
    const { name, mark } = decodeDescriptor(snapshot.data);
    const restorer = new StateRestorer();
    const content = this.#shelf.open(name);
    try {
      for await (const chunk of content.chunks) restorer.push(chunk);
    } finally {
      content.release();
    }
    const state = finished(restorer, mark);
    this.marks.restart(mark);
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
    return this.#shelf.open(decodeDescriptor(snapshot.data).name);
  }

  /**
   * Stores the content that a leader sends, before Raft hears of it: what does not come to what its
   * descriptor says must never be what the log refers to.
   * @throws CV_SNAPSHOT_DAMAGED when descriptor or content is not one of ours
   * @throws CV_QUEUE_FULL while the same snapshot is on its way already
   */
  async receive(snapshot: Snapshot, chunks: AsyncIterable<Uint8Array>): Promise<void> {
    const { name, mark } = decodeDescriptor(snapshot.data);
    await this.#shelf.write(name, checked(chunks, mark));
  }

  /** To be called when the log refers to this snapshot: earlier ones are not needed any more. */
  snapshotStored(snapshot: Snapshot): void {
    this.#shelf.stored(decodeDescriptor(snapshot.data).name);
  }

  #wakeWaiting(): void {
    for (const [callback, index] of this.#waiting) {
      if (index > this.#state.appliedIndex) continue;
      this.#waiting.delete(callback);
      callback();
    }
  }

  #applyOne(entry: Entry): CommandResult {
    const command = readCommand(entry.data);
    const result =
      command === undefined
        ? this.#state.applyUnreadable(entry.index)
        : this.#state.apply(entry.index, command);
    this.marks.add(entry, this.#state.digest());
    if (!result.ok && result.code === 'CV_INTERNAL') {
      const kind = command?.kind ?? 'unreadable';
      this.#logger.error('state.apply-failed', { index: entry.index, command: kind });
    }
    return result;
  }

  #watch(state: State): () => void {
    return state.watch((batch) => {
      for (const listener of this.#listeners) listener({ kind: 'applied', batch });
    });
  }
}

/**
 * The command of a committed entry; undefined when it is of this format and yet none, which every
 * manager finds. What a newer version wrote stops this one: it would part from the others.
 * @throws CV_PROTOCOL for an entry of another format
 */
function readCommand(data: Uint8Array): Command | undefined {
  try {
    return decodeCommand(data);
  } catch (error) {
    if (isConclaveError(error) && isOwnFormat(data)) return undefined;
    throw error;
  }
}

/** The state, when it is what the descriptor says. @throws CV_SNAPSHOT_DAMAGED */
function finished(restorer: StateRestorer, { index, digest }: StateMark): State {
  const state = restorer.finish();
  if (state.appliedIndex === index && state.digest() === digest) return state;
  throw new ConclaveError('CV_SNAPSHOT_DAMAGED', 'a snapshot is not what its descriptor says');
}

/** The same chunks; ends with an error when they are not the state that they ought to be. */
async function* checked(
  chunks: AsyncIterable<Uint8Array>,
  mark: StateMark,
): AsyncGenerator<Uint8Array> {
  const restorer = new StateRestorer({ watchHistoryMax: 0 });
  for await (const chunk of chunks) {
    restorer.push(chunk);
    yield chunk;
  }
  finished(restorer, mark);
}

function encodeDescriptor({ name, mark }: Descriptor): Uint8Array {
  const { id, index, term } = name;
  return new TextEncoder().encode(
    JSON.stringify([id, index, term, toHex(mark.chain), mark.digest]),
  );
}

function decodeDescriptor(data: Uint8Array): Descriptor {
  try {
    const [id, index, term, chain, digest] = JSON.parse(
      new TextDecoder().decode(data),
    ) as unknown[];
    const isNumbered = Number.isSafeInteger(index) && Number.isSafeInteger(term);
    if (isNumbered && isHex(id, 32) && isHex(chain, 64) && isHex(digest, 16)) {
      const name = { id, index: index as number, term: term as number };
      return { name, mark: { index: name.index, chain: fromHex(chain), digest } };
    }
  } catch {
    // Falls through to the one error below.
  }
  throw new ConclaveError('CV_SNAPSHOT_DAMAGED', 'the descriptor of a snapshot is malformed');
}

function isHex(value: unknown, length: number): value is string {
  return typeof value === 'string' && value.length === length && /^[0-9a-f]+$/.test(value);
}
