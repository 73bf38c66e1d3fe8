import { ConclaveError } from '@conclave/kernel';
import type { Random } from '@conclave/kernel';

import { ALGORITHM_COMMITTING, encodeAssociatedData } from './associated-data.js';
import { algorithmOfPublicKey } from './encapsulation.js';
import type { RecipientKeyPair } from './encapsulation.js';
import { forged } from './envelope.js';
import { readUint32, writeUint32 } from './fields.js';
import { PURPOSE } from './purpose.js';
import { openFromRecipient, sealToRecipient } from './recipient.js';
import type { SecretBytes } from './secret-bytes.js';

/** Both the public key and the sealed value begin with the version of the ring. */
const KEY_ID_BYTES = 4;

/** Arguments of {@link sealIntake}. */
export interface IntakeSealRequest {
  /** What `KeyRing.intakePublicKey` of an unlocked manager gave out. */
  readonly publicKey: Uint8Array;
  readonly clusterId: string;
  /** Binds the value to one request, for instance to the name of the secret. */
  readonly context: Uint8Array;
  readonly value: SecretBytes;
  readonly random: Random;
}

/**
 * Seals a value for the managers of a cluster before it leaves the client, padded so that its
 * length is hidden too. Does not wipe the value.
 * @throws CV_ARGUMENT_INVALID when the public key is malformed
 */
export function sealIntake(request: IntakeSealRequest): Uint8Array {
  const { clusterId, context, value, random } = request;
  const recipient = request.publicKey.subarray(KEY_ID_BYTES);
  if (algorithmOfPublicKey(recipient) === undefined) {
    throw new ConclaveError('CV_ARGUMENT_INVALID', 'intake public key is malformed');
  }
  const keyId = readUint32(request.publicKey, 0);
  const sealed = sealToRecipient({
    publicKey: recipient,
    context: intakeContext({ clusterId, context, keyId }),
    plaintext: value,
    random,
    isPadded: true,
  });
  return prefix(keyId, sealed);
}

/** The public key of one version of the ring as clients receive it. */
export function encodeIntakePublicKey(keyId: number, publicKey: Uint8Array): Uint8Array {
  return prefix(keyId, publicKey);
}

/**
 * The version of the ring that a sealed intake names.
 * @throws CV_ENVELOPE_FORGED when it is too short
 */
export function intakeKeyId(sealed: Uint8Array): number {
  if (sealed.length <= KEY_ID_BYTES) throw forged('malformed');
  return readUint32(sealed, 0);
}

/** Arguments of {@link openIntakeWith}. */
export interface IntakeOpenRequest {
  readonly keyPair: RecipientKeyPair;
  readonly clusterId: string;
  readonly context: Uint8Array;
  readonly sealed: Uint8Array;
}

/** Opens a sealed intake with the key pair of the version that it names. */
export function openIntakeWith(request: IntakeOpenRequest): SecretBytes {
  const { keyPair, clusterId, context, sealed } = request;
  return openFromRecipient({
    keyPair,
    context: intakeContext({ clusterId, context, keyId: intakeKeyId(sealed) }),
    sealed: sealed.subarray(KEY_ID_BYTES),
    isPadded: true,
  });
}

function intakeContext(place: {
  clusterId: string;
  context: Uint8Array;
  keyId: number;
}): Uint8Array {
  return encodeAssociatedData({
    purpose: PURPOSE.intake,
    algorithm: ALGORITHM_COMMITTING,
    keyId: place.keyId,
    fields: [place.clusterId, place.context],
  });
}

function prefix(keyId: number, bytes: Uint8Array): Uint8Array {
  const whole = new Uint8Array(KEY_ID_BYTES + bytes.length);
  writeUint32(whole, 0, keyId);
  whole.set(bytes, KEY_ID_BYTES);
  return whole;
}
