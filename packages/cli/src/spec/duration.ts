import { ConclaveError } from '@conclave/kernel';

const UNIT_MS: ReadonlyMap<string, number> = new Map([
  ['d', 86_400_000],
  ['h', 3_600_000],
  ['m', 60_000],
  ['s', 1_000],
  ['ms', 1],
]);
const WHOLE = /^(?:\d{1,12}(?:ms|[dhms]))+$/;
const PART = /(\d+)(ms|[dhms])/g;

/**
 * Milliseconds of `500ms`, `5s`, `1m`, `2h`, `1d` or several in a row (`1h30m`). A number without
 * a unit is refused, because nobody agrees on what it means.
 * @throws CV_ARGUMENT_INVALID naming `what`
 */
export function parseDuration(what: string, text: string): number {
  let sumMs = 0;
  for (const [, digits = '', unit = ''] of WHOLE.test(text) ? text.matchAll(PART) : []) {
    sumMs += Number(digits) * (UNIT_MS.get(unit) ?? Number.NaN);
  }
  if (!WHOLE.test(text) || !Number.isSafeInteger(sumMs)) {
    throw new ConclaveError(
      'CV_ARGUMENT_INVALID',
      `${what} must be a duration such as 500ms, 5s, 1m, 2h or 1h30m`,
    );
  }
  return sumMs;
}

/** The shortest text that `parseDuration` reads back as `durationMs` (a whole number >= 0). */
export function formatDuration(durationMs: number): string {
  let text = '';
  let leftMs = durationMs;
  for (const [unit, unitMs] of UNIT_MS) {
    const count = Math.floor(leftMs / unitMs);
    if (count > 0) text += `${count}${unit}`;
    leftMs -= count * unitMs;
  }
  return text === '' ? '0s' : text;
}
