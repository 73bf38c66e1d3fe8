import { assert, ConclaveError } from '@conclave/kernel';
import type { Random } from '@conclave/kernel';

import { aeadOpen, aeadSeal, NONCE_BYTES, TAG_BYTES } from './aead.js';
import {
  ALGORITHM_COMMITTING,
  ALGORITHM_PLAIN,
  encodeAssociatedData,
  FORMAT,
} from './associated-data.js';
import type { Field } from './fields.js';
import { readUint32, writeUint32 } from './fields.js';
import { HASH_BYTES, keyedHash } from './hash.js';
import { isCommitting } from './purpose.js';
import type { Purpose } from './purpose.js';
import { equalConstantTime, SecretBytes } from './secret-bytes.js';
import { sizeOf } from './sodium.js';

/**
 * Layout, all numbers big-endian:
 * `"CVEN" | format u8 | alg u8 | key id u32 | nonce(24) | size u32 | [commitment(32)] | ct | tag`
 * where size counts ciphertext and tag, and the commitment is there exactly when alg is 2.
 */
const MAGIC = 0x4356454e;
const KEY_ID_OFFSET = 6;
const NONCE_OFFSET = 10;
const SIZE_OFFSET = NONCE_OFFSET + NONCE_BYTES;
const HEAD_BYTES = SIZE_OFFSET + 4;
const KEY_ID_MAX = 0xffff_ffff;
const COMMIT_LABEL: Uint8Array = new TextEncoder().encode('commit');

/** Where a ciphertext belongs and which key protects it. */
export interface EnvelopePlace {
  readonly purpose: Purpose;
  readonly key: SecretBytes;
  /** The fields that the purpose demands, in their order. */
  readonly fields: readonly Field[];
}

/** Arguments of {@link sealEnvelope}. */
export interface SealRequest extends EnvelopePlace {
  /** Names the key for the reader, 0..2^32-1; 0 when the place names it already. */
  readonly keyId: number;
  readonly plaintext: SecretBytes | Uint8Array;
  readonly random: Random;
}

/** Arguments of {@link unsealEnvelope}. */
export interface UnsealRequest extends EnvelopePlace {
  /** The only key id to accept; without it any, which the associated data still binds. */
  readonly keyId?: number;
  readonly envelope: Uint8Array;
}

/** Bytes that {@link sealEnvelope} adds to a plaintext. */
export function envelopeOverhead(purpose: Purpose): number {
  return HEAD_BYTES + TAG_BYTES + (isCommitting(purpose) ? HASH_BYTES : 0);
}

/**
 * Seals the plaintext for its place with a fresh random nonce. Does not wipe the plaintext.
 * @throws CV_LIMIT_EXCEEDED when it is larger than the scratch memory allows
 */
export function sealEnvelope(request: SealRequest): Uint8Array {
  return sealPadded(request, undefined);
}

/** Like {@link sealEnvelope}, padding the plaintext to `paddedSize` first. */
export function sealPadded(request: SealRequest, paddedSize: number | undefined): Uint8Array {
  const { purpose, key, keyId, fields, plaintext, random } = request;
  assert(Number.isInteger(keyId) && keyId >= 0 && keyId <= KEY_ID_MAX, 'key id is 32 bits');
  const algorithm = algorithmOf(purpose);
  const textBytes = (paddedSize ?? sizeOf(plaintext)) + TAG_BYTES;
  const offset = textOffset(algorithm);
  const envelope = new Uint8Array(offset + textBytes);
  const nonce = random.bytes(NONCE_BYTES);
  writeUint32(envelope, 0, MAGIC);
  envelope[4] = FORMAT;
  envelope[5] = algorithm;
  writeUint32(envelope, KEY_ID_OFFSET, keyId);
  envelope.set(nonce, NONCE_OFFSET);
  writeUint32(envelope, SIZE_OFFSET, textBytes);
  if (algorithm === ALGORITHM_COMMITTING) {
    envelope.set(keyedHash(key, COMMIT_LABEL, nonce), HEAD_BYTES);
  }
  const aad = encodeAssociatedData({ purpose, algorithm, keyId, fields });
  const padding = paddedSize === undefined ? {} : { paddedSize };
  aeadSeal({ key, nonce, aad, plaintext, output: envelope, offset, ...padding });
  return envelope;
}

/**
 * Opens an envelope for secret content.
 * @throws CV_ENVELOPE_FORGED when format, key, place or any byte differs; `details.reason` is
 *   `malformed`, `key` (another key, where the purpose commits to it) or `forged`
 */
export function unsealEnvelope(request: UnsealRequest): SecretBytes {
  return SecretBytes.adopt(unsealPadded(request, false));
}

/** Like {@link unsealEnvelope} for content that is not secret: no wipe to think of. */
export function unsealBytes(request: UnsealRequest): Uint8Array {
  return unsealPadded(request, false);
}

/** Opens what {@link sealPadded} made and takes the padding off. */
export function unsealPadded(request: UnsealRequest, isPadded: boolean): Uint8Array {
  const { purpose, key, fields, envelope } = request;
  const keyId = envelopeKeyId(envelope);
  const algorithm = algorithmOf(purpose);
  const offset = textOffset(algorithm);
  const isExact =
    envelope[5] === algorithm &&
    envelope.length >= offset + TAG_BYTES &&
    readUint32(envelope, SIZE_OFFSET) === envelope.length - offset &&
    (request.keyId === undefined || request.keyId === keyId);
  if (!isExact) throw forged('malformed');
  const nonce = envelope.subarray(NONCE_OFFSET, SIZE_OFFSET);
  if (algorithm === ALGORITHM_COMMITTING) {
    const commitment = envelope.subarray(HEAD_BYTES, offset);
    const expected = keyedHash(key, COMMIT_LABEL, nonce);
    if (!equalConstantTime(commitment, expected)) throw forged('key');
  }
  const aad = encodeAssociatedData({ purpose, algorithm, keyId, fields });
  const sealed = envelope.subarray(offset);
  const plaintext = aeadOpen({ key, nonce, aad, sealed, isPadded });
  if (plaintext === undefined) throw forged('forged');
  return plaintext;
}

/**
 * The key id in the header, to choose a key by. Not yet authenticated.
 * @throws CV_ENVELOPE_FORGED when the bytes do not begin like an envelope
 */
export function envelopeKeyId(envelope: Uint8Array): number {
  const isOurs =
    envelope.length >= HEAD_BYTES + TAG_BYTES &&
    readUint32(envelope, 0) === MAGIC &&
    envelope[4] === FORMAT;
  if (!isOurs) throw forged('malformed');
  return readUint32(envelope, KEY_ID_OFFSET);
}

/** Why sealed bytes were refused. */
export type ForgedReason = 'malformed' | 'key' | 'forged';

const FORGED_TEXT: Readonly<Record<ForgedReason, string>> = {
  malformed: 'sealed bytes have an unknown form',
  key: 'sealed bytes belong to another key',
  forged: 'sealed bytes do not open at this place',
};

/** The error for sealed bytes that do not open. */
export function forged(reason: ForgedReason): ConclaveError {
  return new ConclaveError('CV_ENVELOPE_FORGED', FORGED_TEXT[reason], { details: { reason } });
}

function algorithmOf(purpose: Purpose): number {
  return isCommitting(purpose) ? ALGORITHM_COMMITTING : ALGORITHM_PLAIN;
}

function textOffset(algorithm: number): number {
  return algorithm === ALGORITHM_COMMITTING ? HEAD_BYTES + HASH_BYTES : HEAD_BYTES;
}
