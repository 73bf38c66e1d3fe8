/** One column of a table. */
export interface Column<Row> {
  /** Upper case. */
  readonly title: string;
  readonly cell: (row: Row, nowMs: number) => string;
}

/** How a kind of object is shown. */
export interface View<Row> {
  /** Names of the fields of `-o json`, in order. Stable: others build on them. */
  readonly fields: readonly (keyof Row & string)[];
  readonly columns: readonly Column<Row>[];
  /** What `-o name` prints, and what lists are sorted by. */
  readonly nameOf: (row: Row) => string;
  /** What `-q` prints. */
  readonly idOf: (row: Row) => string;
  /** What lists are sorted by, when it is not the name. */
  readonly sortKey?: (row: Row) => string;
}

/** The part of `row` that programs may see: the fields of the view, in its order. */
export function project<Row>(view: View<Row>, row: Row): Readonly<Record<string, unknown>> {
  return Object.fromEntries(view.fields.map((field) => [field, row[field]]));
}
