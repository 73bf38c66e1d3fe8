/** One measured thing, several rounds of it. */
export interface Figure {
  readonly id: string;
  readonly what: string;
  readonly unit: string;
  readonly rounds: readonly number[];
  readonly note?: string;
}

/** The middle of a list, the lower one of two. */
export function median(values: readonly number[]): number {
  const sorted = [...values].sort((left, right) => left - right);
  return sorted[Math.floor((sorted.length - 1) / 2)] ?? Number.NaN;
}

/** The value that `share` (0..1) of the list does not exceed. */
export function quantile(values: readonly number[], share: number): number {
  const sorted = [...values].sort((left, right) => left - right);
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? Number.NaN;
}

const short = (value: number): string =>
  value >= 100 ? value.toFixed(0) : value >= 10 ? value.toFixed(1) : value.toFixed(2);

/** A table for people; `--json` is for programs. */
export function printFigures(figures: readonly Figure[], isJson: boolean): void {
  if (isJson) {
    const rows = figures.map((figure) => ({ ...figure, median: median(figure.rounds) }));
    process.stdout.write(`${JSON.stringify(rows, undefined, 2)}\n`);
    return;
  }
  for (const { id, what, unit, rounds, note } of figures) {
    const range = `${short(Math.min(...rounds))} to ${short(Math.max(...rounds))}`;
    const line = `${id.padEnd(4)} ${what.padEnd(62)} ${short(median(rounds)).padStart(8)} ${unit}`;
    process.stdout.write(`${line}  (${rounds.length} rounds, ${range})\n`);
    if (note !== undefined) process.stdout.write(`     ${note}\n`);
  }
}
