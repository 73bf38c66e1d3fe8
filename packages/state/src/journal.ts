import type { Change } from './changes.js';
import type { Digest } from './digest.js';
import type { Table } from './table.js';

/**
 * The writes of one entry: each reaches its table at once, is counted in the digest, and can be
 * taken back as long as the entry is not done.
 */
export class Journal {
  readonly changes: Change[] = [];
  readonly #digest: Digest;
  readonly #digestBefore: ReturnType<Digest['save']>;
  readonly #undo: (() => void)[] = [];

  constructor(digest: Digest) {
    this.#digest = digest;
    this.#digestBefore = digest.save();
  }

  /** Creates the row or replaces the one with its key. */
  put<Row extends object>(table: Table<Row>, row: Row): void {
    this.#write(table, table.options.keyOf(row), row);
  }

  /** Takes a row away; one that is not there is no matter. */
  remove<Row extends object>(table: Table<Row>, key: string): void {
    if (table.has(key)) this.#write(table, key, undefined);
  }

  /** How to take back a write that did not go through {@link put} or {@link remove}. */
  note(undo: () => void): void {
    this.#undo.push(undo);
  }

  /** Counts a row in or out; the rows of tables are counted by themselves. */
  count(table: string, row: object, sign: 1 | -1): void {
    this.#digest.count(table, row, sign);
  }

  /** Tells watchers of a change; those of tables are told by themselves. */
  change(change: Change): void {
    this.changes.push(change);
  }

  /** Takes every write back: tables and digest are as before, no change is left. */
  undo(): void {
    for (const step of this.#undo.reverse()) step();
    this.#undo.length = 0;
    this.changes.length = 0;
    this.#digest.restore(this.#digestBefore);
  }

  #write<Row extends object>(table: Table<Row>, key: string, after: Row | undefined): void {
    const { name, changeOf } = table.options;
    const before = table.get(key);
    table.write(key, after);
    this.note(() => {
      table.write(key, before);
    });
    if (before !== undefined) this.count(name, before, -1);
    if (after !== undefined) this.count(name, after, 1);
    if (changeOf === undefined) return;
    const action = before === undefined ? 'created' : after === undefined ? 'removed' : 'updated';
    this.change(changeOf({ action, id: key, before, after }));
  }
}
