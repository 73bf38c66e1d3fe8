import type { Random } from '@conclave/kernel';

import {
  algorithmOfPublicKey,
  decapsulate,
  encapsulate,
  encapsulationBytes,
} from './encapsulation.js';
import type { RecipientAlgorithm, RecipientKeyPair } from './encapsulation.js';
import { forged, sealPadded, unsealPadded } from './envelope.js';
import { encodeFields, readUint32, writeUint32 } from './fields.js';
import { deriveByHash } from './hash.js';
import { paddedSizeOf } from './padding.js';
import { PURPOSE } from './purpose.js';
import { SecretBytes, spend } from './secret-bytes.js';
import { sizeOf } from './sodium.js';

/** Layout: `"CVRS" | format u8 | alg u8 | KEM ciphertext | envelope`. */
const MAGIC = 0x43565253;
const FORMAT = 1;
const HEAD_BYTES = 6;
const LABEL = 'CV-SEAL-1';

/** Arguments of {@link sealToRecipient}. */
export interface RecipientSealRequest {
  readonly publicKey: Uint8Array;
  /** What it is for and where it belongs; the opener must present the same bytes. */
  readonly context: Uint8Array;
  readonly plaintext: SecretBytes;
  readonly random: Random;
  /** True to hide the size of the plaintext; the opener must know. Default false. */
  readonly isPadded?: boolean;
}

/** Arguments of {@link openFromRecipient}. */
export interface RecipientOpenRequest {
  readonly keyPair: RecipientKeyPair;
  readonly context: Uint8Array;
  readonly sealed: Uint8Array;
  readonly isPadded?: boolean;
}

/**
 * Seals to the owner of a public key. The sender stays anonymous; the key of the envelope binds
 * algorithm, public key, KEM ciphertext and context. Does not wipe the plaintext.
 * @throws CV_ARGUMENT_INVALID when the public key is malformed
 */
export function sealToRecipient(request: RecipientSealRequest): Uint8Array {
  const { publicKey, context, plaintext, random } = request;
  const { ciphertext, shared } = encapsulate(publicKey, random);
  const key = spend(shared, () => bindKey({ shared, publicKey, ciphertext, context }));
  const paddedSize = request.isPadded === true ? paddedSizeOf(sizeOf(plaintext)) : undefined;
  const place = { purpose: PURPOSE.recipient, key, keyId: 0, fields: [context] };
  const envelope = spend(key, () => sealPadded({ ...place, plaintext, random }, paddedSize));
  const sealed = new Uint8Array(HEAD_BYTES + ciphertext.length + envelope.length);
  writeUint32(sealed, 0, MAGIC);
  sealed[4] = FORMAT;
  sealed[5] = publicKey[0] ?? 0;
  sealed.set(ciphertext, HEAD_BYTES);
  sealed.set(envelope, HEAD_BYTES + ciphertext.length);
  return sealed;
}

/**
 * Opens what was sealed to this key pair.
 * @throws CV_ENVELOPE_FORGED when it was sealed to another key, for another context, or changed
 */
export function openFromRecipient(request: RecipientOpenRequest): SecretBytes {
  const { keyPair, context, sealed } = request;
  const { publicKey } = keyPair;
  const algorithm = algorithmOfPublicKey(publicKey);
  const isOurs =
    algorithm !== undefined &&
    sealed.length > HEAD_BYTES &&
    readUint32(sealed, 0) === MAGIC &&
    sealed[4] === FORMAT &&
    sealed[5] === algorithm;
  if (!isOurs) throw forged('malformed');
  const [ciphertext, envelope] = split(sealed, algorithm);
  const shared = decapsulate(keyPair, ciphertext);
  if (shared === undefined) throw forged('malformed');
  const key = spend(shared, () => bindKey({ shared, publicKey, ciphertext, context }));
  const place = { purpose: PURPOSE.recipient, key, keyId: 0, fields: [context], envelope };
  return spend(key, () => SecretBytes.adopt(unsealPadded(place, request.isPadded === true)));
}

interface KeyParts {
  readonly shared: SecretBytes;
  readonly publicKey: Uint8Array;
  readonly ciphertext: Uint8Array;
  readonly context: Uint8Array;
}

function bindKey({ shared, publicKey, ciphertext, context }: KeyParts): SecretBytes {
  return deriveByHash(shared, encodeFields([LABEL, publicKey, ciphertext, context]));
}

function split(sealed: Uint8Array, algorithm: RecipientAlgorithm): [Uint8Array, Uint8Array] {
  const end = HEAD_BYTES + encapsulationBytes(algorithm);
  return [sealed.subarray(HEAD_BYTES, end), sealed.subarray(end)];
}
