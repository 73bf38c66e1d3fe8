import { NO_BYTES } from '../messages.js';
import { entrySize } from '../sizes.js';
import type { Entry, EntryType } from '../types.js';
import { ENTRY_TYPES, nameOf, numberOf } from './enums.js';
import type { DecodeLimits } from './limits.js';
import { checkSize, limitsOf } from './limits.js';
import { Reader } from './reader.js';
import { BackwardWriter } from './writer.js';

/**
 * Encodes an entry in `entrySize(entry)` bytes.
 *
 * @throws RaftCodecError for an unknown type, or a number that is not in 0..2^53-1
 */
export function encodeEntry(entry: Entry): Uint8Array {
  const writer = new BackwardWriter(entrySize(entry));
  writeEntry(writer, entry);
  return writer.finish();
}

/**
 * Decodes an entry. The payload is a view of `bytes`, which must not be modified later.
 *
 * @throws RaftCodecError
 */
export function decodeEntry(bytes: Uint8Array, limits: DecodeLimits = {}): Entry {
  checkSize(bytes.length, limitsOf(limits).sizeMax);
  return readEntry(new Reader(bytes));
}

/** Writes the fields of an entry. */
export function writeEntry(writer: BackwardWriter, entry: Entry): void {
  writer.bytes(4, entry.data);
  writer.uint(3, entry.index);
  writer.uint(2, entry.term);
  writer.uint(1, numberOf(ENTRY_TYPES, entry.type));
}

/** Reads the fields of an entry. */
export function readEntry(reader: Reader): Entry {
  let type: EntryType = 'EntryNormal';
  let term = 0;
  let index = 0;
  let data = NO_BYTES;
  for (let field = reader.next(); field !== 0; field = reader.next()) {
    if (field === 1) type = nameOf(ENTRY_TYPES, reader.uint());
    else if (field === 2) term = reader.uint();
    else if (field === 3) index = reader.uint();
    else if (field === 4) data = reader.bytes();
    else reader.skip();
  }
  return { term, index, type, data };
}
