import { ConclaveError, equalBytes, limits } from '@conclave/kernel';
import { encodeFields, hash, HASH_BYTES } from '@conclave/sealed';
import { splitFields } from './split-fields.js';

/** What opens a slot. The word is part of what the slot is bound to. */
export const SLOT_KINDS = ['recovery', 'host', 'command'] as const;
/** One of {@link SLOT_KINDS}. */
export type SlotKind = (typeof SLOT_KINDS)[number];

/**
 * One way to the local key: it is sealed to the public key of the slot, whose private half is with
 * the operator (`recovery`), with this host (`host`), or with a command (`command`).
 */
export interface Slot {
  /** 128 random bits in base32, never used again. */
  readonly id: string;
  readonly kind: SlotKind;
  readonly createdAtMs: number;
  /** For people and for the opener: what sort of host slot, or the path of the command. */
  readonly detail: string;
  readonly publicKey: Uint8Array;
  /** What the opener needs to give the private half; empty where it needs nothing. */
  readonly data: Uint8Array;
  /** The local key, sealed. */
  readonly sealed: Uint8Array;
}

/** Layout: `"CVSF" | format u8 | 7 fields per slot, each with its length | BLAKE2b-256 of it all` */
const MAGIC: Uint8Array = new TextEncoder().encode('CVSF');
const FORMAT = 1;
const HEAD_BYTES = MAGIC.length + 1;
const FIELDS_PER_SLOT = 7;
const TIME_BYTES = 8;
const decoder = new TextDecoder('utf-8', { fatal: true });

/** The bytes of the slot file. */
export function encodeSlots(slots: readonly Slot[]): Uint8Array {
  const fields = slots.flatMap(({ id, kind, createdAtMs, detail, publicKey, data, sealed }) => [
    id,
    kind,
    createdAtMs,
    detail,
    publicKey,
    data,
    sealed,
  ]);
  const body = new Uint8Array([...MAGIC, FORMAT, ...encodeFields(fields)]);
  return new Uint8Array([...body, ...hash(body)]);
}

/**
 * Reads what {@link encodeSlots} wrote.
 * @throws CV_LOG_DAMAGED for anything else
 */
export function decodeSlots(file: Uint8Array): readonly Slot[] {
  const end = file.length - HASH_BYTES;
  const isWhole =
    end >= HEAD_BYTES &&
    equalBytes(file.subarray(0, MAGIC.length), MAGIC) &&
    file[MAGIC.length] === FORMAT &&
    equalBytes(hash(file.subarray(0, end)), file.subarray(end));
  if (!isWhole) throw damaged();
  const fieldsMax = limits.KEY_SLOT_COUNT_MAX * FIELDS_PER_SLOT;
  const fields = splitFields(file.subarray(HEAD_BYTES, end), fieldsMax);
  if (fields === undefined || fields.length % FIELDS_PER_SLOT !== 0) throw damaged();
  const slots: Slot[] = [];
  for (let first = 0; first < fields.length; first += FIELDS_PER_SLOT) {
    slots.push(slotOf(fields.slice(first, first + FIELDS_PER_SLOT)));
  }
  return slots;
}

function slotOf(fields: readonly Uint8Array[]): Slot {
  const [id, kind, time, detail, publicKey, data, sealed] = fields as [
    Uint8Array,
    Uint8Array,
    Uint8Array,
    Uint8Array,
    Uint8Array,
    Uint8Array,
    Uint8Array,
  ];
  const word = textOf(kind);
  const known = SLOT_KINDS.find((candidate) => candidate === word);
  if (known === undefined || time.length !== TIME_BYTES) throw damaged();
  const createdAtMs = Number(new DataView(time.buffer, time.byteOffset).getBigUint64(0));
  if (!Number.isSafeInteger(createdAtMs)) throw damaged();
  return {
    id: textOf(id),
    kind: known,
    createdAtMs,
    detail: textOf(detail),
    publicKey,
    data,
    sealed,
  };
}

function textOf(bytes: Uint8Array): string {
  try {
    return decoder.decode(bytes);
  } catch {
    throw damaged();
  }
}

function damaged(): ConclaveError {
  return new ConclaveError('CV_LOG_DAMAGED', 'the key file keys/slots is not what was written', {
    hint: 'Restore the data folder, or remove this manager from the cluster and join it again.',
  });
}
