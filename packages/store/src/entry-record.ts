import { PURPOSE, hash, storageSeal, storageUnseal } from '@conclave/sealed';
import type { Entry, EntryType } from 'raft-ts';
import { epochOf } from './cipher.js';
import type { StoreCipher } from './cipher.js';
import { damaged } from './errors.js';

/** Layout: `term u64 | type u8 | envelope`, big-endian; both are bound as associated data. */
const HEADER_BYTES = 9;
/** Where the envelope begins. */
export const ENTRY_ENVELOPE_OFFSET: number = HEADER_BYTES;
const TYPES: readonly EntryType[] = ['EntryNormal', 'EntryConfChange', 'EntryConfChangeV2'];

/** The chain before the first entry of a new log. */
export const CHAIN_START: Uint8Array = new Uint8Array(32);

/**
 * The hash of the log up to and including `entry`: the one before it, then index, term, type and
 * payload. Two logs with the same hash at an index are the same log.
 */
export function chainHash(previous: Uint8Array, entry: Entry): Uint8Array {
  const position = new Uint8Array(17);
  const view = new DataView(position.buffer);
  view.setBigUint64(0, BigInt(entry.index));
  view.setBigUint64(8, BigInt(entry.term));
  position[16] = TYPES.indexOf(entry.type);
  return hash(previous, position, entry.data);
}

/** Seals one entry for its place after `previous`. */
export function encodeEntryRecord(
  cipher: StoreCipher,
  entry: Entry,
  previous: Uint8Array,
): Uint8Array {
  const { epoch, key } = cipher.keys.current;
  const envelope = storageSeal({
    purpose: PURPOSE.storageEntry,
    key,
    keyId: epoch,
    fields: [cipher.clusterId, cipher.nodeId, epoch, ...placeOf(entry, previous)],
    plaintext: entry.data,
    random: cipher.random,
  });
  const record = new Uint8Array(HEADER_BYTES + envelope.length);
  new DataView(record.buffer).setBigUint64(0, BigInt(entry.term));
  record[8] = TYPES.indexOf(entry.type);
  record.set(envelope, HEADER_BYTES);
  return record;
}

/**
 * Opens the record at `index`.
 * @throws CV_LOG_DAMAGED when any byte differs, or it was written for another place
 */
export function decodeEntryRecord(
  cipher: StoreCipher,
  index: number,
  record: Uint8Array,
  previous: Uint8Array,
): Entry {
  const type = TYPES[record[8] ?? TYPES.length];
  if (record.length < HEADER_BYTES || type === undefined) {
    throw damaged(`the record of entry ${index} is malformed`);
  }
  const term = Number(new DataView(record.buffer, record.byteOffset, 8).getBigUint64(0));
  try {
    const envelope = record.subarray(HEADER_BYTES);
    const { epoch, key } = epochOf(cipher, envelope);
    const place = placeOf({ index, term, type }, previous);
    const data = storageUnseal({
      purpose: PURPOSE.storageEntry,
      key,
      keyId: epoch,
      fields: [cipher.clusterId, cipher.nodeId, epoch, ...place],
      envelope,
    });
    return { index, term, type, data };
  } catch (cause) {
    throw damaged(`the record of entry ${index} does not open`, cause);
  }
}

function placeOf(
  entry: Omit<Entry, 'data'>,
  previous: Uint8Array,
): readonly [index: number, term: number, type: string, previous: Uint8Array] {
  return [entry.index, entry.term, entry.type, previous];
}
