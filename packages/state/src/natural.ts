const ZERO = 48;
const NINE = 57;

const isDigit = (code: number): boolean => code >= ZERO && code <= NINE;
const fold = (code: number): number => (code >= 65 && code <= 90 ? code + 32 : code);

function runEnd(text: string, start: number): number {
  let end = start;
  while (end < text.length && isDigit(text.charCodeAt(end))) end += 1;
  return end;
}

interface Run {
  readonly text: string;
  readonly start: number;
  readonly end: number;
}

function pastZeros(run: Run): number {
  let start = run.start;
  while (start < run.end - 1 && run.text.charCodeAt(start) === ZERO) start += 1;
  return start;
}

/** Two runs of digits as numbers of any length; equal numbers: the one with fewer zeros first. */
function compareRuns(left: Run, right: Run): number {
  const leftStart = pastZeros(left);
  const rightStart = pastZeros(right);
  const digits = left.end - leftStart;
  if (digits !== right.end - rightStart) return digits - (right.end - rightStart);
  for (let place = 0; place < digits; place += 1) {
    const order =
      left.text.charCodeAt(leftStart + place) - right.text.charCodeAt(rightStart + place);
    if (order !== 0) return order;
  }
  return left.end - left.start - (right.end - right.start);
}

/**
 * Natural order of ASCII names: digits compare as numbers, upper and lower case are equal.
 * `0` only when the names are equal but for their case, so that it also decides uniqueness.
 * Names with a common prefix that does not end in a digit stand next to each other.
 */
export function compareNatural(left: string, right: string): number {
  let i = 0;
  let j = 0;
  while (i < left.length && j < right.length) {
    const a = fold(left.charCodeAt(i));
    const b = fold(right.charCodeAt(j));
    if (isDigit(a) && isDigit(b)) {
      const leftRun = { text: left, start: i, end: runEnd(left, i) };
      const rightRun = { text: right, start: j, end: runEnd(right, j) };
      const order = compareRuns(leftRun, rightRun);
      if (order !== 0) return order;
      i = leftRun.end;
      j = rightRun.end;
    } else if (a === b) {
      i += 1;
      j += 1;
    } else return a - b;
  }
  return left.length - i - (right.length - j);
}
