import { oneLine } from './text.js';

/** Spaces between columns. */
const GAP = 3;

/** Characters that a terminal shows for `text`; wide ones count as one. */
const widthOf = (text: string): number =>
  text.replaceAll(/[\ud800-\udbff][\udc00-\udfff]/g, '_').length;

/**
 * Lines of aligned columns. Cells are made harmless first; the last column is not padded, so that
 * no line ends in spaces.
 */
export function formatTable(rows: readonly (readonly string[])[]): string {
  const cells = rows.map((row) => row.map((cell) => oneLine(cell)));
  const widths: number[] = [];
  for (const row of cells) {
    for (const [column, cell] of row.entries()) {
      widths[column] = Math.max(widths[column] ?? 0, widthOf(cell));
    }
  }
  const line = (row: readonly string[]): string =>
    row
      .map((cell, column) => cell + ' '.repeat((widths[column] ?? 0) - widthOf(cell) + GAP))
      .join('')
      .trimEnd();
  return cells.map((row) => `${line(row)}\n`).join('');
}
