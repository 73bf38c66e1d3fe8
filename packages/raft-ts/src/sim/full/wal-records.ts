import {
  decodeEntry,
  decodeHardState,
  decodeSnapshot,
  encodeEntry,
  encodeHardState,
  encodeSnapshot,
} from '../../codec/index.js';
import { DriverError } from '../../node/index.js';
import type { LoadedLog, LogBatch } from '../../node/index.js';
import type { LogImage } from '../../node/log-image.js';
import type { Entry } from '../../types.js';
import { SECTOR_SIZE } from './sim-files.js';

/** One record: a batch, a compaction, or all there is. */
export type WalRecord =
  | { readonly kind: 'write'; readonly batch: LogBatch }
  | { readonly kind: 'compact'; readonly index: number }
  | { readonly kind: 'whole'; readonly image: LoadedLog };

const FIELD = {
  write: 1,
  compact: 2,
  whole: 3,
  entry: 4,
  hardState: 5,
  snapshot: 6,
  ownSnapshot: 7,
  applied: 8,
} as const;

/** Length with a check of its own, then the checksum; never across two sectors. */
const HEADER_SIZE = 8;
const ALIGNMENT = 8;
const LENGTH_BITS = 24;
/** Payloads are masked, so that no part of a record is zero: zeroes are what was never written. */
const MASK = 0x5a;

/** The record in bytes, and the checksum that the next one continues. */
export function encodeRecord(
  record: WalRecord,
  previous: number,
): { readonly bytes: Uint8Array; readonly checksum: number } {
  const payload = encodePayload(record);
  const size = Math.ceil((HEADER_SIZE + payload.length) / ALIGNMENT) * ALIGNMENT;
  const bytes = new Uint8Array(size).fill(MASK);
  for (let i = 0; i < payload.length; i++) bytes[HEADER_SIZE + i] = (payload[i] as number) ^ MASK;
  const checksum = checksumOf(bytes.subarray(HEADER_SIZE), previous);
  const view = new DataView(bytes.buffer);
  view.setUint32(0, withCheck(payload.length));
  view.setUint32(4, checksum);
  return { bytes, checksum };
}

/**
 * Reads records up to the first that is torn: one that ends in sectors that were never written.
 *
 * @throws DriverError STORE_FAILED for a record that is damaged in any other way
 */
export function* readRecords(
  file: Uint8Array,
): Generator<{ readonly record: WalRecord; readonly end: number; readonly checksum: number }> {
  const view = new DataView(file.buffer, file.byteOffset, file.length);
  let checksum = 0;
  for (let at = 0; at + HEADER_SIZE <= file.length;) {
    const header = view.getUint32(at);
    const stored = view.getUint32(at + 4);
    if (header === 0 && stored === 0) return;
    const length = header % 2 ** LENGTH_BITS;
    if (withCheck(length) !== header) throw damaged(at);
    const end = at + Math.ceil((HEADER_SIZE + length) / ALIGNMENT) * ALIGNMENT;
    const body = file.subarray(at + HEADER_SIZE, end);
    const isWhole = end <= file.length;
    if (!isWhole || checksumOf(body, checksum) !== stored) {
      if (isWhole && !hasGap(file, at, end)) throw damaged(at);
      return;
    }
    checksum = stored;
    const payload = body.subarray(0, length).map((byte) => byte ^ MASK);
    yield { record: decodePayload(payload), end, checksum };
    at = end;
  }
}

/** Whether one of the sectors of a record was never written. */
function hasGap(file: Uint8Array, from: number, to: number): boolean {
  for (let at = from; at < to;) {
    const end = Math.min(to, (Math.floor(at / SECTOR_SIZE) + 1) * SECTOR_SIZE);
    if (file.subarray(at, end).every((byte) => byte === 0)) return true;
    at = end;
  }
  return false;
}

function withCheck(length: number): number {
  const check = 1 + ((Math.imul(length + 1, 0x9e37_79b1) >>> 24) % 255);
  return length + check * 2 ** LENGTH_BITS;
}

function checksumOf(bytes: Uint8Array, previous: number): number {
  let hash = previous ^ 0x811c_9dc5;
  for (let i = 0; i < bytes.length; i++) hash = Math.imul(hash ^ (bytes[i] as number), 0x0100_0193);
  return (hash ^ (hash >>> 15)) >>> 0 || 1;
}

function encodePayload(record: WalRecord): Uint8Array {
  const fields: [number, Uint8Array][] = [[FIELD[record.kind], new Uint8Array(0)]];
  if (record.kind === 'compact') {
    fields.push([FIELD.applied, number(record.index)]);
  } else {
    const { hardState, snapshot, appliedIndex, entries } =
      record.kind === 'write' ? record.batch : record.image;
    const ownSnapshot = record.kind === 'write' ? record.batch.ownSnapshot : undefined;
    if (snapshot !== undefined) fields.push([FIELD.snapshot, encodeSnapshot(snapshot)]);
    for (const entry of entries) fields.push([FIELD.entry, encodeEntry(entry)]);
    if (ownSnapshot !== undefined) fields.push([FIELD.ownSnapshot, encodeSnapshot(ownSnapshot)]);
    if (hardState !== undefined) fields.push([FIELD.hardState, encodeHardState(hardState)]);
    if (appliedIndex !== undefined) fields.push([FIELD.applied, number(appliedIndex)]);
  }
  const bytes = new Uint8Array(fields.reduce((sum, [, value]) => sum + 4 + value.length, 0));
  const view = new DataView(bytes.buffer);
  let at = 0;
  for (const [kind, value] of fields) {
    view.setUint32(at, value.length + kind * 2 ** LENGTH_BITS);
    bytes.set(value, at + 4);
    at += 4 + value.length;
  }
  return bytes;
}

function decodePayload(bytes: Uint8Array): WalRecord {
  const view = new DataView(bytes.buffer);
  const entries: Entry[] = [];
  const batch: { -readonly [K in keyof LogBatch]: LogBatch[K] } = { entries };
  let kind = 0;
  for (let at = 0; at < bytes.length;) {
    const header = view.getUint32(at);
    const end = at + 4 + (header % 2 ** LENGTH_BITS);
    const value = bytes.subarray(at + 4, end);
    const field = Math.floor(header / 2 ** LENGTH_BITS);
    if (field === FIELD.entry) entries.push(decodeEntry(value));
    else if (field === FIELD.hardState) batch.hardState = decodeHardState(value);
    else if (field === FIELD.snapshot) batch.snapshot = decodeSnapshot(value);
    else if (field === FIELD.ownSnapshot) batch.ownSnapshot = decodeSnapshot(value);
    else if (field === FIELD.applied) batch.appliedIndex = view.getFloat64(at + 4);
    else kind = field;
    at = end;
  }
  if (kind === FIELD.compact) return { kind: 'compact', index: batch.appliedIndex ?? 0 };
  if (kind === FIELD.write) return { kind: 'write', batch };
  const { hardState, snapshot, appliedIndex } = batch;
  return {
    kind: 'whole',
    image: { hardState, snapshot, entries, appliedIndex: appliedIndex ?? 0 },
  };
}

/** Brings an image to where it is after a record. */
export function replay(image: LogImage, record: WalRecord): void {
  if (record.kind === 'whole') Object.assign(image, record.image);
  else image.change(record);
}

function number(value: number): Uint8Array {
  const bytes = new Uint8Array(8);
  new DataView(bytes.buffer).setFloat64(0, value);
  return bytes;
}

function damaged(at: number): DriverError {
  return new DriverError('STORE_FAILED', `the record at byte ${at} is damaged`, {
    reason: 'damaged',
  });
}
