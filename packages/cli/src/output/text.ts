// eslint-disable-next-line no-control-regex -- control characters are what is replaced
const CONTROL = /[\u0000-\u001f\u007f-\u009f\u2028\u2029\u202a-\u202e\u2066-\u2069]/g;

/**
 * One line that cannot move the cursor or change colours: text that others wrote (labels,
 * messages, output of tasks) reaches the terminal only through here.
 */
export function oneLine(text: string): string {
  return text.replaceAll(CONTROL, ' ').trimEnd();
}

/** The same for a line whose indentation matters: tabs stay. */
export function harmless(text: string): string {
  return text.replaceAll(CONTROL, (character) => (character === '\t' ? character : '\ufffd'));
}

const STEPS: readonly (readonly [limitMs: number, unitMs: number, unit: string])[] = [
  [120_000, 1_000, 's'],
  [7_200_000, 60_000, 'm'],
  [172_800_000, 3_600_000, 'h'],
  [Number.POSITIVE_INFINITY, 86_400_000, 'd'],
];

/** How long ago `atMs` was, in one unit; `-` for a time that is not set. */
export function age(atMs: number, nowMs: number): string {
  if (atMs === 0) return '-';
  const pastMs = Math.max(0, nowMs - atMs);
  const [, unitMs, unit] = STEPS.find(([limitMs]) => pastMs < limitMs) ?? [0, 1_000, 's'];
  return `${Math.floor(pastMs / Number(unitMs))}${unit} ago`;
}

/** How long until `atMs`, in one unit; `expired` when it has passed. */
export function remaining(atMs: number, nowMs: number): string {
  if (atMs === 0) return '-';
  if (atMs <= nowMs) return 'expired';
  const [, unitMs, unit] = STEPS.find(([limitMs]) => atMs - nowMs < limitMs) ?? [0, 1_000, 's'];
  return `in ${Math.ceil((atMs - nowMs) / Number(unitMs))}${unit}`;
}

/** UTC, seconds exact: `2026-01-31 12:00:00Z`; `-` for a time that is not set. */
export function time(atMs: number): string {
  if (atMs === 0) return '-';
  return `${new Date(atMs).toISOString().slice(0, 19).replace('T', ' ')}Z`;
}

/** `KEY=VALUE` pairs, sorted by key. */
export function pairs(map: Readonly<Record<string, string>>): string {
  return Object.keys(map)
    .toSorted(compareNaturally)
    .map((key) => `${key}=${map[key] ?? ''}`)
    .join(',');
}

const RUNS = /\d+|\D+/g;

/** Orders names as people count: `web-2` before `web-10`; upper and lower case being equal. */
export function compareNaturally(left: string, right: string): number {
  const leftRuns = left.toLowerCase().match(RUNS) ?? [];
  const rightRuns = right.toLowerCase().match(RUNS) ?? [];
  for (let offset = 0; offset < Math.min(leftRuns.length, rightRuns.length); offset += 1) {
    const order = compareRuns(leftRuns[offset] ?? '', rightRuns[offset] ?? '');
    if (order !== 0) return order;
  }
  return leftRuns.length - rightRuns.length || compareText(left, right);
}

function compareText(left: string, right: string): number {
  return left < right ? -1 : Number(left > right);
}

function compareRuns(left: string, right: string): number {
  const areNumbers = /^\d/.test(left) && /^\d/.test(right);
  if (!areNumbers) return compareText(left, right);
  const [leftDigits, rightDigits] = [left, right].map((run) => run.replace(/^0+(?=\d)/, ''));
  const order = (leftDigits?.length ?? 0) - (rightDigits?.length ?? 0);
  return order === 0 ? compareText(leftDigits ?? '', rightDigits ?? '') : order;
}
