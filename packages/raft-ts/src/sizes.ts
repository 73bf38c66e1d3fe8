import type { Bytes, Index } from './numbers.js';
import type { Entry } from './types.js';

/**
 * Number of bytes of a varint.
 *
 * @param value 0..2^53-1
 */
export function varintSize(value: number): Bytes {
  if (value < 0x80) return 1;
  if (value < 0x4000) return 2;
  let size = 3;
  for (let rest = Math.floor(value / 0x200000); rest > 0; rest = Math.floor(rest / 0x80)) size++;
  return size;
}

/** Size of an entry in its encoded form; decides how messages and Readys are cut. */
export function entrySize(entry: Entry): Bytes {
  const { term, index, data } = entry;
  let size = entry.type === 'EntryNormal' ? 0 : 2;
  if (term > 0) size += 1 + varintSize(term);
  if (index > 0) size += 1 + varintSize(index);
  if (data.length > 0) size += 1 + varintSize(data.length) + data.length;
  return size;
}

/** Sum of the encoded sizes. */
export function entriesSize(entries: readonly Entry[]): Bytes {
  let size = 0;
  for (const entry of entries) size += entrySize(entry);
  return size;
}

/** Sum of the payload sizes; an entry without payload counts nothing. */
export function payloadsSize(entries: readonly Entry[]): Bytes {
  let size = 0;
  for (const entry of entries) size += entry.data.length;
  return size;
}

/**
 * How many entries from the start of a list fit into a size: at least one, if there is any.
 *
 * @param entries contiguous entries
 * @param sizeMax limit for the sum of the encoded sizes
 */
export function fittingCount(entries: readonly Entry[], sizeMax: Bytes): number {
  if (sizeMax === Number.POSITIVE_INFINITY) return entries.length;
  let size = 0;
  for (let i = 0; i < entries.length; i++) {
    size += entrySize(entries[i] as Entry);
    if (i > 0 && size > sizeMax) return i;
  }
  return entries.length;
}

/** The index after the last one of a nonempty list. */
export function endOf(entries: readonly Entry[]): Index {
  return (entries[entries.length - 1] as Entry).index + 1;
}
