import { PURPOSE, hash, storageSeal, storageUnseal } from '@conclave/sealed';
import type { Entry, EntryType } from 'raft-ts';
import type { StoreCipher } from './cipher.js';
import { damaged } from './errors.js';

/** Layout: `term u64 | type u8 | envelope`, big-endian; both are bound as associated data. */
const HEADER_BYTES = 9;
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
  const envelope = storageSeal({
    purpose: PURPOSE.storageEntry,
    key: cipher.key,
    keyId: cipher.epoch,
    fields: placeOf(cipher, entry, previous),
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
    const data = storageUnseal({
      purpose: PURPOSE.storageEntry,
      key: cipher.key,
      keyId: cipher.epoch,
      fields: placeOf(cipher, { index, term, type }, previous),
      envelope: record.subarray(HEADER_BYTES),
    });
    return { index, term, type, data };
  } catch (cause) {
    throw damaged(`the record of entry ${index} does not open`, cause);
  }
}

function placeOf(
  cipher: StoreCipher,
  entry: Omit<Entry, 'data'>,
  previous: Uint8Array,
): readonly (string | number | Uint8Array)[] {
  const { clusterId, nodeId, epoch } = cipher;
  return [clusterId, nodeId, epoch, entry.index, entry.term, entry.type, previous];
}
