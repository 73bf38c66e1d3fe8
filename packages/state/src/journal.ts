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
    this.#undo.push(() => {
      table.write(key, before);
    });
    if (before !== undefined) this.#digest.count(name, before, -1);
    if (after !== undefined) this.#digest.count(name, after, 1);
    if (changeOf === undefined) return;
    const action = before === undefined ? 'created' : after === undefined ? 'removed' : 'updated';
    this.changes.push(changeOf({ action, id: key, before, after }));
  }
}
