const ZERO = 48;
const NINE = 57;

const isDigit = (code: number): boolean => code >= ZERO && code <= NINE;
const fold = (code: number): number => (code >= 65 && code <= 90 ? code + 32 : code);

function runEnd(text: string, start: number): number {
  let end = start;
  while (end < text.length && isDigit(text.charCodeAt(end))) end += 1;
  return end;
}

/** Two runs of digits as numbers of any length; equal numbers: the one with fewer zeros first. */
function compareRuns(left: string, right: string): number {
  const leftDigits = left.replace(/^0+(?=\d)/, '');
  const rightDigits = right.replace(/^0+(?=\d)/, '');
  if (leftDigits.length !== rightDigits.length) return leftDigits.length - rightDigits.length;
  if (leftDigits !== rightDigits) return leftDigits < rightDigits ? -1 : 1;
  return left.length - right.length;
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
      const leftEnd = runEnd(left, i);
      const rightEnd = runEnd(right, j);
      const order = compareRuns(left.slice(i, leftEnd), right.slice(j, rightEnd));
      if (order !== 0) return order;
      i = leftEnd;
      j = rightEnd;
    } else if (a === b) {
      i += 1;
      j += 1;
    } else return a - b;
  }
  return left.length - i - (right.length - j);
}
