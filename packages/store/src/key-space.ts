import { toHex } from '@conclave/kernel';
import { hash } from '@conclave/sealed';

/**
 * Keys of the database: one kind letter, then a position. No name and no id in the clear; numbers
 * are big-endian so that the order of keys is the order of the log.
 */
const KIND = { head: 0x68, entry: 0x65, chunk: 0x63 } as const;

const SNAPSHOT_KEY_BYTES = 16;

/** The one record that says what the rest must be. */
export const HEAD_KEY: Uint8Array = Uint8Array.of(KIND.head);

/** The record of the entry at `index`. */
export function entryKey(index: number): Uint8Array {
  const key = new Uint8Array(9);
  key[0] = KIND.entry;
  new DataView(key.buffer).setBigUint64(1, BigInt(index));
  return key;
}

/** Range of all entries. */
export const ENTRY_RANGE: { gte: Uint8Array; lt: Uint8Array } = {
  gte: Uint8Array.of(KIND.entry),
  lt: Uint8Array.of(KIND.entry + 1),
};

/** The index that an entry key names. */
export function indexOfKey(key: Uint8Array): number {
  return Number(new DataView(key.buffer, key.byteOffset, key.length).getBigUint64(1));
}

function snapshotPrefix(id: string): Uint8Array {
  const prefix = new Uint8Array(1 + SNAPSHOT_KEY_BYTES);
  prefix[0] = KIND.chunk;
  prefix.set(hash(new TextEncoder().encode(id)).subarray(0, SNAPSHOT_KEY_BYTES), 1);
  return prefix;
}

/** Chunk `number` of the snapshot `id`. */
export function chunkKey(id: string, number: number): Uint8Array {
  const prefix = snapshotPrefix(id);
  const key = new Uint8Array(prefix.length + 4);
  key.set(prefix);
  new DataView(key.buffer).setUint32(prefix.length, number);
  return key;
}

/** Range of all chunks of all snapshots. */
export const CHUNK_RANGE: { gte: Uint8Array; lt: Uint8Array } = {
  gte: Uint8Array.of(KIND.chunk),
  lt: Uint8Array.of(KIND.chunk + 1),
};

/** Tells whose chunk a key is, without naming the snapshot. */
export function snapshotTagOfKey(key: Uint8Array): string {
  return toHex(key.subarray(1, 1 + SNAPSHOT_KEY_BYTES));
}

/** True for the key of the first chunk of a snapshot. */
export function isFirstChunk(key: Uint8Array): boolean {
  return key.subarray(1 + SNAPSHOT_KEY_BYTES).every((byte) => byte === 0);
}

/** The tag of the snapshot `id`, to compare with {@link snapshotTagOfKey}. */
export function snapshotTag(id: string): string {
  return toHex(snapshotPrefix(id).subarray(1));
}
