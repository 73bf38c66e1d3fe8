/** Objects of one page. */
export const PAGE_COUNT_MAX = 256;
/** Bytes of one page by the weight of its objects; one object may have more. */
export const PAGE_BYTES_MAX: number = 512 * 1024;

/** Bytes that a character of a text takes in a message, at most. */
const CHARACTER_BYTES_MAX = 3;
/** Bytes that stand before a text; they also bound how many texts a page has. */
const TEXT_HEAD_BYTES = 10;

/** Bytes that some texts take in a message, at most. */
export function weightOfTexts(...texts: readonly string[]): number {
  let sum = 0;
  for (const text of texts) sum += TEXT_HEAD_BYTES + text.length * CHARACTER_BYTES_MAX;
  return sum;
}

/** Bytes that pairs of texts take in a message, at most. */
export function weightOfPairs(pairs: Readonly<Record<string, string>>): number {
  let sum = 0;
  for (const [key, value] of Object.entries(pairs)) sum += weightOfTexts(key, value);
  return sum;
}

/**
 * The items in groups of at most `PAGE_COUNT_MAX` and, unless one alone is larger, about
 * `PAGE_BYTES_MAX`: a message of its own for each would cost more than the object. Never an empty
 * group.
 */
export function* pagesOf<T>(
  items: Iterable<T>,
  weigh: (item: T) => number,
): Generator<T[], void, undefined> {
  let page: T[] = [];
  let bytes = 0;
  for (const item of items) {
    const weight = weigh(item);
    const isFull = page.length >= PAGE_COUNT_MAX || bytes + weight > PAGE_BYTES_MAX;
    if (isFull && page.length > 0) {
      yield page;
      page = [];
      bytes = 0;
    }
    page.push(item);
    bytes += weight;
  }
  if (page.length > 0) yield page;
}
