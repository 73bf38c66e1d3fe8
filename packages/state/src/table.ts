import type { Change, RowChange } from './changes.js';
import { SortedNames } from './sorted-names.js';

/** A way to find rows that follows every write of its table. */
export interface RowIndex<Row> {
  update(key: string, before: Row | undefined, after: Row | undefined): void;
}

/** What a table needs to know of its rows. */
export interface TableOptions<Row> {
  /** Stands in digests and snapshots. */
  readonly name: string;
  readonly keyOf: (row: Row) => string;
  readonly indexes?: readonly RowIndex<Row>[];
  /** Absent: nobody watches this table. */
  readonly changeOf?: (change: RowChange<Row>) => Change;
  /** Every write moves its row behind the others. */
  readonly isRecencyOrdered?: boolean;
}

/** Immutable rows by key, in the order of their creation, with the indexes that follow them. */
export class Table<Row extends object> {
  readonly options: TableOptions<Row>;
  readonly #rows = new Map<string, Row>();
  #oldest: MapIterator<string> | undefined;

  constructor(options: TableOptions<Row>) {
    this.options = options;
  }

  get size(): number {
    return this.#rows.size;
  }

  get(key: string): Row | undefined {
    return this.#rows.get(key);
  }

  has(key: string): boolean {
    return this.#rows.has(key);
  }

  values(): IterableIterator<Row> {
    return this.#rows.values();
  }

  /** The rows of now as an array that later writes do not touch. */
  freeze(): readonly Row[] {
    return [...this.#rows.values()];
  }

  /**
   * The key of the oldest row, which the caller must remove now. One iterator is kept, because
   * beginning anew each time would walk over all that was removed before.
   */
  takeOldestKey(): string | undefined {
    this.#oldest ??= this.#rows.keys();
    const next = this.#oldest.next();
    if (next.done !== true) return next.value;
    this.#oldest = undefined;
    return this.#rows.keys().next().value;
  }

  /** Puts or (with undefined) takes away a row; journal and restore call it, nobody else. */
  write(key: string, after: Row | undefined): void {
    const before = this.#rows.get(key);
    if (after === undefined || this.options.isRecencyOrdered === true) this.#rows.delete(key);
    if (after !== undefined) this.#rows.set(key, after);
    for (const index of this.options.indexes ?? []) index.update(key, before, after);
  }
}

/** Keys by group. A group of one is kept as the bare key: most groups are that small. */
export class GroupIndex<Row> implements RowIndex<Row> {
  readonly #groups = new Map<string, string | Set<string>>();
  readonly #groupsOf: (row: Row) => readonly string[];

  constructor(groupsOf: (row: Row) => readonly string[]) {
    this.#groupsOf = groupsOf;
  }

  keys(group: string): Iterable<string> {
    const found = this.#groups.get(group);
    if (found === undefined) return [];
    return typeof found === 'string' ? [found] : found;
  }

  count(group: string): number {
    const found = this.#groups.get(group);
    return found === undefined ? 0 : typeof found === 'string' ? 1 : found.size;
  }

  update(key: string, before: Row | undefined, after: Row | undefined): void {
    const old = before === undefined ? [] : this.#groupsOf(before);
    const now = after === undefined ? [] : this.#groupsOf(after);
    if (old.length === now.length && old.every((group, place) => group === now[place])) return;
    this.#drop(key, old);
    this.#add(key, now);
  }

  #add(key: string, groups: readonly string[]): void {
    for (const group of groups) {
      const found = this.#groups.get(group);
      if (found === undefined) this.#groups.set(group, key);
      else if (typeof found !== 'string') found.add(key);
      else if (found !== key) this.#groups.set(group, new Set([found, key]));
    }
  }

  #drop(key: string, groups: readonly string[]): void {
    for (const group of groups) {
      const found = this.#groups.get(group);
      if (found === key) this.#groups.delete(group);
      else if (found !== undefined && typeof found !== 'string') {
        found.delete(key);
        if (found.size === 0) this.#groups.delete(group);
      }
    }
  }
}

/** Keys by name, in natural order, upper and lower case being equal. */
export class NameIndex<Row> implements RowIndex<Row> {
  readonly names: SortedNames<{ readonly name: string; readonly id: string }> = new SortedNames();
  readonly #nameOf: (row: Row) => string;

  constructor(nameOf: (row: Row) => string) {
    this.#nameOf = nameOf;
  }

  update(key: string, before: Row | undefined, after: Row | undefined): void {
    const old = before === undefined ? undefined : this.#nameOf(before);
    const now = after === undefined ? undefined : this.#nameOf(after);
    if (old === now) return;
    if (old !== undefined) this.names.remove(old);
    if (now !== undefined) this.names.add({ name: now, id: key });
  }
}
