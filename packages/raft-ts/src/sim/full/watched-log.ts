import { MemoryStorage } from '../../memory-storage.js';
import type { LoadedLog, LogBatch, LogStore, WriteOptions } from '../../node/index.js';
import type { LogOperation } from '../../node/log-image.js';
import type { Index, Term } from '../../numbers.js';
import type { Entry, HardState, Snapshot } from '../../types.js';
import { SimFailure } from '../failure.js';
import type { DurableLog } from '../subject.js';

const FIRST_STATE: HardState = { term: 0, vote: 0, commit: 0 };

/**
 * Stands between the driver and the log store under test: knows what the store has confirmed as
 * durable, which is what messages are held against, and what it may give back after a crash: what
 * was confirmed, and of the rest the oldest batches, each as a whole or not at all.
 */
export class WatchedLog implements DurableLog {
  readonly storage: MemoryStorage = new MemoryStorage();
  hardState: HardState = FIRST_STATE;
  #applied: Index | undefined;
  /** Not confirmed as durable, oldest first. */
  #pending: LogOperation[] = [];
  readonly #fail: (error: SimFailure) => void;

  /** @param fail is told of broken promises */
  constructor(fail: (error: SimFailure) => void) {
    this.#fail = fail;
  }

  term(index: Index): Term | undefined {
    const term = this.storage.term(index);
    return typeof term === 'number' ? term : undefined;
  }

  /** The store of a life that begins, as the driver gets it. */
  watch(store: LogStore): LogStore {
    let hasFailed = false;
    const guard = async <T>(what: string, act: () => Promise<T>): Promise<T> => {
      if (hasFailed) {
        this.#fail(new SimFailure('6 a failed write is final', `${what} after a failed call`));
      }
      try {
        return await act();
      } catch (error) {
        hasFailed = true;
        throw error;
      }
    };
    return {
      load: () =>
        guard('load', async () => {
          const loaded = await store.load();
          this.#adopt(loaded);
          return loaded;
        }),
      write: (batch, options) => guard('write', () => this.#write(store, batch, options)),
      compact: (index) =>
        guard('compact', async () => {
          this.#pending.push({ kind: 'compact', index });
          await store.compact(index);
        }),
    };
  }

  async #write(store: LogStore, batch: LogBatch, options: WriteOptions): Promise<void> {
    const operation: LogOperation = { kind: 'write', batch };
    this.#pending.push(operation);
    await store.write(batch, options);
    if (!options.sync) return;
    while (this.#pending.length > 0) {
      const oldest = this.#pending.shift() as LogOperation;
      this.#settle(oldest);
      if (oldest === operation) return;
    }
  }

  #settle(operation: LogOperation): void {
    if (operation.kind === 'compact') {
      this.storage.compact(operation.index);
      return;
    }
    const { snapshot, entries, ownSnapshot, hardState, appliedIndex } = operation.batch;
    if (snapshot !== undefined) this.storage.applySnapshot(snapshot);
    this.storage.append(entries);
    if (ownSnapshot !== undefined) {
      const { index, confState } = ownSnapshot.metadata;
      this.storage.createSnapshot(index, confState, ownSnapshot.data);
    }
    this.hardState = hardState ?? this.hardState;
    this.#applied = appliedIndex ?? this.#applied;
  }

  /** What was read back must be one of the states that the writes went through. */
  #adopt(loaded: LoadedLog): void {
    const pending = this.#pending;
    this.#pending = [];
    let problem = this.#difference(loaded);
    const first = problem;
    for (const operation of pending) {
      if (problem === undefined) return;
      this.#settle(operation);
      problem = this.#difference(loaded);
    }
    if (problem === undefined) return;
    const text = `${first} (and with what was under way: ${problem})`;
    this.#fail(new SimFailure('5 nothing withdrawn', `the log store has lost a write: ${text}`));
  }

  #difference(loaded: LoadedLog): string | undefined {
    const { term, vote, commit } = loaded.hardState ?? FIRST_STATE;
    const state = this.hardState;
    if (term !== state.term || vote !== state.vote || commit !== state.commit) {
      return `hard state ${term}/${vote}/${commit}, not ${state.term}/${state.vote}/${state.commit}`;
    }
    const snapshot = this.storage.snapshot();
    if (!isSameSnapshot(loaded.snapshot, snapshot)) {
      return `snapshot ${loaded.snapshot?.metadata.index}, not ${snapshot.metadata.index}`;
    }
    if (loaded.appliedIndex !== undefined && loaded.appliedIndex !== (this.#applied ?? 0)) {
      return `applied index ${loaded.appliedIndex}, not ${this.#applied}`;
    }
    return this.#entriesDifference(loaded.entries, snapshot.metadata.index);
  }

  #entriesDifference(loaded: readonly Entry[], from: Index): string | undefined {
    const entries = loaded.filter(({ index }) => index > from);
    const first = Math.max(from + 1, this.storage.firstIndex());
    const last = this.storage.lastIndex();
    if (from + entries.length !== last) return `${entries.length} entries up to ${last}`;
    if (first > last) return undefined;
    const expected = this.storage.entries(first, last + 1, Infinity);
    if (typeof expected === 'string') return expected;
    const wrong = expected.find((entry, i) => !isSameEntry(entry, entries[i]));
    return wrong === undefined ? undefined : `another entry ${wrong.index}`;
  }
}

function isSameEntry(one: Entry, other: Entry | undefined): boolean {
  return (
    other?.index === one.index &&
    other.term === one.term &&
    other.type === one.type &&
    isSameBytes(one.data, other.data)
  );
}

function isSameSnapshot(one: Snapshot | undefined, other: Snapshot): boolean {
  const { index, term } = other.metadata;
  if (one === undefined) return index === 0;
  return (
    one.metadata.index === index && one.metadata.term === term && isSameBytes(one.data, other.data)
  );
}

function isSameBytes(one: Uint8Array, other: Uint8Array): boolean {
  return one.length === other.length && one.every((byte, i) => byte === other[i]);
}
