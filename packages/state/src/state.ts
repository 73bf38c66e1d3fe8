import { assert, limits } from '@conclave/kernel';
import { applyCommand } from './apply.js';
import { assignmentsOf } from './assignments.js';
import type { NodeAssignments } from './assignments.js';
import type { ChangeBatch } from './changes.js';
import type { Command } from './commands.js';
import { Digest } from './digest.js';
import { Journal } from './journal.js';
import { isLackOfRoom } from './lack-of-memory.js';
import { Queries } from './queries.js';
import { recallRequest, rememberRequest } from './requests.js';
import type { CommandResult } from './rows.js';
import type { Scope } from './scope.js';
import { refused } from './scope.js';
import { SnapshotReader } from './snapshot-reader.js';
import { freezeTables } from './snapshot.js';
import type { SnapshotView } from './snapshot.js';
import { Tables } from './tables.js';
import type { WatchListener } from './watch.js';
import { Watchers } from './watch.js';

/** Options of a {@link State}. */
export interface StateOptions {
  /** Changes kept for watchers that resume; default 10 000, 0: none. */
  readonly watchHistoryMax?: number;
}

/** What a state begins with; only restore has one. */
interface Origin {
  readonly tables: Tables;
  readonly digest: Digest;
  readonly index: number;
}

/**
 * The replicated state machine. Changed by applying log entries and by nothing else; two states
 * that applied the same entries are the same, whatever happened to the managers in between.
 */
export class State extends Queries {
  readonly #tables: Tables;
  readonly #digest: Digest;
  readonly #watchers: Watchers;
  #appliedIndex: number;
  #isApplying = false;

  constructor(options: StateOptions = {}, origin?: Origin) {
    const tables = origin?.tables ?? new Tables();
    super(tables);
    this.#tables = tables;
    this.#digest = origin?.digest ?? new Digest();
    this.#appliedIndex = origin?.index ?? 0;
    const historyMax = options.watchHistoryMax ?? limits.WATCH_HISTORY_MAX;
    this.#watchers = new Watchers(historyMax, this.#appliedIndex);
  }

  /** Log index of the last entry that this state has taken in; 0: none. */
  get appliedIndex(): number {
    return this.#appliedIndex;
  }

  /**
   * Applies a committed command. A refused one changes nothing but the applied index; a defect of a
   * handler is taken back and answered with CV_INTERNAL, so that no entry can stop a cluster.
   * @param index above the applied index; gaps are entries without a command
   */
  apply(index: number, command: Command): CommandResult {
    this.#begin(index);
    const known = recallRequest(this.#tables, command.request);
    if (known !== undefined) return known;
    const journal = new Journal(this.#digest);
    const scope: Scope = { tables: this.#tables, journal, index, command };
    const result = this.#carryOut(scope);
    if (!result.ok) journal.undo();
    this.#tables.secrets.settle();
    if (!result.ok) return result;
    if (journal.changes.length > 0) this.#publish({ index, changes: journal.changes });
    return result;
  }

  /** Takes in an entry that has no command: an empty one, or a change of the configuration. */
  skip(index: number): void {
    this.#begin(index);
  }

  /**
   * Takes in an entry whose bytes are no command of this format, as every other manager does that
   * finds the same: one such entry must not stop them all for good.
   */
  applyUnreadable(index: number): CommandResult {
    this.#begin(index);
    return refused('CV_INTERNAL', 'internal error', { kind: 'unreadable' });
  }

  #begin(index: number): void {
    assert(!this.#isApplying, 'a watcher applied a command');
    assert(index > this.#appliedIndex, 'an entry was applied twice or out of order');
    this.#appliedIndex = index;
  }

  #carryOut(scope: Scope): CommandResult {
    try {
      const result = applyCommand(scope);
      rememberRequest(scope, result);
      return result;
    } catch (error) {
      if (isLackOfRoom(error)) throw error;
      return refused('CV_INTERNAL', 'internal error', { kind: scope.command.kind });
    }
  }

  #publish(batch: ChangeBatch): void {
    this.#isApplying = true;
    try {
      this.#watchers.publish(batch);
    } finally {
      this.#isApplying = false;
    }
  }

  /** Calls `listener` with every later batch, in order; the answer stops it. */
  watch(listener: WatchListener): () => void {
    return this.#watchers.watch(listener);
  }

  /** The batches after `index`; `compacted` when some are not kept any more. */
  changesSince(index: number): ChangeBatch[] | 'compacted' {
    return this.#watchers.changesSince(index);
  }

  /** What a node has to hold now, by committed state. */
  assignments(nodeId: string): NodeAssignments {
    return assignmentsOf(this.#tables, nodeId);
  }

  /** The state of now, safe while writes go on; costs one array of references per table. */
  freeze(): SnapshotView {
    return freezeTables(this.#tables, { index: this.#appliedIndex, digest: this.digest() });
  }

  /** 16 hexadecimal digits over all rows: equal states at equal indexes have equal ones. */
  digest(): string {
    return this.#digest.text();
  }
}

/** See {@link State.digest}. */
export function stateDigest(state: State): string {
  return state.digest();
}

/** See {@link State.assignments}. */
export function desiredAssignments(state: State, nodeId: string): NodeAssignments {
  return state.assignments(nodeId);
}

/** Makes a state from chunks that come one by one. */
export class StateRestorer {
  readonly #tables: Tables = new Tables();
  readonly #digest: Digest = new Digest();
  readonly #reader: SnapshotReader = new SnapshotReader(this.#tables, this.#digest);
  readonly #options: StateOptions;

  constructor(options: StateOptions = {}) {
    this.#options = options;
  }

  /**
   * Takes the next chunk, in order; the bytes may be reused afterwards.
   * @throws CV_SNAPSHOT_DAMAGED; the restorer is of no use then
   */
  push(chunk: Uint8Array): void {
    this.#reader.push(chunk);
  }

  /**
   * The state, once every chunk was pushed. Its watchers cannot resume from before it.
   * @throws CV_SNAPSHOT_DAMAGED when something is missing
   */
  finish(): State {
    const index = this.#reader.finish();
    return new State(this.#options, { tables: this.#tables, digest: this.#digest, index });
  }
}

/**
 * Makes a state from the chunks of a {@link SnapshotView}.
 * @throws CV_SNAPSHOT_DAMAGED
 */
export function restoreState(chunks: Iterable<Uint8Array>, options: StateOptions = {}): State {
  const restorer = new StateRestorer(options);
  for (const chunk of chunks) restorer.push(chunk);
  return restorer.finish();
}
