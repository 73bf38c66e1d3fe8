import { PURPOSE, storageSeal, storageUnseal } from '@conclave/sealed';
import type { HardState, Snapshot } from 'raft-ts';
import { epochOf } from './cipher.js';
import type { StoreCipher } from './cipher.js';
import { damaged } from './errors.js';

/** Layout: `write counter u64 | envelope`; the counter is bound as associated data. */
const COUNTER_BYTES = 8;
/** Where the envelope begins. */
export const HEAD_ENVELOPE_OFFSET: number = COUNTER_BYTES;
const FORMAT = 1;

/**
 * What the whole store must be, written in the same batch as every change of it. The hashes pin
 * the first and the last entry, so that missing, swapped or foreign records are noticed.
 */
export interface Head {
  /** Grows by one with each batch, for ever. */
  readonly writeCounter: number;
  readonly hardState: HardState | undefined;
  readonly appliedIndex: number;
  readonly snapshot: Snapshot | undefined;
  /** Index before the first stored entry, and the chain up to it. */
  readonly baseIndex: number;
  readonly baseHash: Uint8Array;
  /** Index of the last stored entry (`baseIndex` when there is none), and the chain up to it. */
  readonly lastIndex: number;
  readonly lastHash: Uint8Array;
}

const toBase64 = (bytes: Uint8Array): string => Buffer.from(bytes).toString('base64');
const fromBase64 = (text: string): Uint8Array => Uint8Array.from(Buffer.from(text, 'base64'));

/** Seals the head. */
export function encodeHead(cipher: StoreCipher, head: Head): Uint8Array {
  const { snapshot } = head;
  const plaintext = Buffer.from(
    JSON.stringify({
      format: FORMAT,
      ...head,
      baseHash: toBase64(head.baseHash),
      lastHash: toBase64(head.lastHash),
      snapshot: snapshot && { ...snapshot, data: toBase64(snapshot.data) },
    }),
  );
  const { epoch, key } = cipher.keys.current;
  const envelope = storageSeal({
    purpose: PURPOSE.hardState,
    key,
    keyId: epoch,
    fields: [cipher.clusterId, cipher.nodeId, epoch, head.writeCounter],
    plaintext,
    random: cipher.random,
  });
  const record = new Uint8Array(COUNTER_BYTES + envelope.length);
  new DataView(record.buffer).setBigUint64(0, BigInt(head.writeCounter));
  record.set(envelope, COUNTER_BYTES);
  return record;
}

/**
 * Opens the head.
 * @throws CV_LOG_DAMAGED when any byte differs, or it belongs to another member
 */
export function decodeHead(cipher: StoreCipher, record: Uint8Array): Head {
  if (record.length <= COUNTER_BYTES) throw damaged('the head record is malformed');
  const view = new DataView(record.buffer, record.byteOffset, COUNTER_BYTES);
  const writeCounter = Number(view.getBigUint64(0));
  let text: string;
  try {
    const envelope = record.subarray(COUNTER_BYTES);
    const { epoch, key } = epochOf(cipher, envelope);
    const plaintext = storageUnseal({
      purpose: PURPOSE.hardState,
      key,
      keyId: epoch,
      fields: [cipher.clusterId, cipher.nodeId, epoch, writeCounter],
      envelope,
    });
    text = Buffer.from(plaintext).toString('utf8');
  } catch (cause) {
    throw damaged('the head record does not open', cause);
  }
  const stored = JSON.parse(text) as StoredHead;
  if (stored.format !== FORMAT) throw damaged(`the store has format ${stored.format}`);
  return {
    writeCounter,
    hardState: stored.hardState,
    appliedIndex: stored.appliedIndex,
    baseIndex: stored.baseIndex,
    baseHash: fromBase64(stored.baseHash),
    lastIndex: stored.lastIndex,
    lastHash: fromBase64(stored.lastHash),
    snapshot: stored.snapshot && { ...stored.snapshot, data: fromBase64(stored.snapshot.data) },
  };
}

interface StoredHead {
  readonly format: number;
  readonly hardState?: HardState;
  readonly appliedIndex: number;
  readonly baseIndex: number;
  readonly baseHash: string;
  readonly lastIndex: number;
  readonly lastHash: string;
  readonly snapshot?: Omit<Snapshot, 'data'> & { readonly data: string };
}
