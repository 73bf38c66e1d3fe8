import { createHash, createPublicKey } from 'node:crypto';
import type { KeyObject } from 'node:crypto';

import { ConclaveError } from '@conclave/kernel';

/**
 * The one accepted form of a public key: the DER head of an uncompressed P-256 point. Comparing it
 * byte by byte keeps foreign ASN.1 away from every parser.
 */
const P256_HEAD: Uint8Array = Uint8Array.from(
  Buffer.from('3059301306072a8648ce3d020106082a8648ce3d03010703420004', 'hex'),
);
const P256_SPKI_BYTES = 91;

/**
 * The key object of a P-256 public key.
 * @throws CV_ARGUMENT_INVALID when it has another form or its point is not on the curve
 */
export function readPublicKey(spkiDer: Uint8Array): KeyObject {
  const isCanonical =
    spkiDer.length === P256_SPKI_BYTES &&
    P256_HEAD.every((byte, offset) => spkiDer[offset] === byte);
  if (!isCanonical) throw badPublicKey();
  try {
    return createPublicKey({ key: asBuffer(spkiDer), format: 'der', type: 'spki' });
  } catch (error) {
    throw badPublicKey(error);
  }
}

/** SHA-256 of a public key info. */
export function spkiHashOf(spkiDer: Uint8Array): Uint8Array {
  return new Uint8Array(createHash('sha256').update(spkiDer).digest());
}

/** A view on the same memory; nothing is copied. */
export function asBuffer(bytes: Uint8Array): Buffer {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

function badPublicKey(cause?: unknown): ConclaveError {
  return new ConclaveError('CV_ARGUMENT_INVALID', 'public key is not a plain P-256 key', {
    cause,
  });
}
