import { assert, ConclaveError } from '@conclave/kernel';
import type { Random } from '@conclave/kernel';

import { SecretBytes } from './secret-bytes.js';
import { withScratch } from './sodium.js';

/** How a secret is agreed on with the owner of a public key. The number is part of every key. */
export const RECIPIENT_ALGORITHM = {
  /** X-Wing: X25519 with ML-KEM-768. */
  xwing: 1,
  /** X25519 alone. */
  x25519: 2,
} as const;

/** A number of {@link RECIPIENT_ALGORITHM}. */
export type RecipientAlgorithm = (typeof RECIPIENT_ALGORITHM)[keyof typeof RECIPIENT_ALGORITHM];

/** Bytes of the private key of either algorithm. */
export const RECIPIENT_SEED_BYTES = 32;

const XWING_PUBLIC_KEY_BYTES = 1216;
const XWING_CIPHERTEXT_BYTES = 1120;
const XWING_ENCAPSULATION_SEED_BYTES = 64;
const POINT_BYTES = 32;
const SHARED_BYTES = 32;

const SIZES: Readonly<Record<RecipientAlgorithm, { publicKey: number; ciphertext: number }>> = {
  [RECIPIENT_ALGORITHM.xwing]: {
    publicKey: XWING_PUBLIC_KEY_BYTES,
    ciphertext: XWING_CIPHERTEXT_BYTES,
  },
  [RECIPIENT_ALGORITHM.x25519]: { publicKey: POINT_BYTES, ciphertext: POINT_BYTES },
};

/** A key pair that secrets can be sealed to. */
export interface RecipientKeyPair {
  /** `algorithm u8 | key`; 1217 bytes for X-Wing, 33 for X25519. */
  readonly publicKey: Uint8Array;
  /** 32 bytes; the owner wipes it. */
  readonly privateKey: SecretBytes;
}

/** A new key pair, X-Wing unless told otherwise. */
export function createRecipientKeyPair(
  random: Random,
  algorithm: RecipientAlgorithm = RECIPIENT_ALGORITHM.xwing,
): RecipientKeyPair {
  const privateKey = SecretBytes.random(random, RECIPIENT_SEED_BYTES);
  return { publicKey: recipientPublicKey(privateKey, algorithm), privateKey };
}

/** The public key of a 32-byte private key, such as an unlock key. */
export function recipientPublicKey(
  privateKey: SecretBytes,
  algorithm: RecipientAlgorithm = RECIPIENT_ALGORITHM.xwing,
): Uint8Array {
  assert(privateKey.size === RECIPIENT_SEED_BYTES, 'a recipient key has 32 bytes');
  const size = SIZES[algorithm].publicKey;
  const isDeep = algorithm === RECIPIENT_ALGORITHM.xwing;
  const need = { bytes: size + 2 * RECIPIENT_SEED_BYTES, pieces: 3, isDeep };
  const key = withScratch(need, (scratch, raw) => {
    const output = scratch.reserve(size);
    const seed = scratch.put(privateKey);
    if (isDeep) {
      raw._crypto_kem_xwing_seed_keypair(output, scratch.reserve(RECIPIENT_SEED_BYTES), seed);
    } else {
      raw._crypto_scalarmult_base(output, seed);
    }
    return scratch.copy(output, size);
  });
  const publicKey = new Uint8Array(1 + size);
  publicKey[0] = algorithm;
  publicKey.set(key, 1);
  return publicKey;
}

/** The algorithm of a public key, or undefined when algorithm or length is unknown. */
export function algorithmOfPublicKey(publicKey: Uint8Array): RecipientAlgorithm | undefined {
  const algorithm = toAlgorithm(publicKey[0]);
  if (algorithm === undefined) return undefined;
  return publicKey.length === 1 + SIZES[algorithm].publicKey ? algorithm : undefined;
}

/** Bytes of the ciphertext that carries a shared secret under `algorithm`. */
export function encapsulationBytes(algorithm: RecipientAlgorithm): number {
  return SIZES[algorithm].ciphertext;
}

/** A fresh shared secret and the ciphertext that carries it. */
export interface Encapsulation {
  readonly ciphertext: Uint8Array;
  /** 32 bytes, not yet bound to anything: hash it with a transcript. */
  readonly shared: SecretBytes;
}

/**
 * A fresh shared secret for the owner of `publicKey`.
 * @throws CV_ARGUMENT_INVALID when the public key is malformed
 */
export function encapsulate(publicKey: Uint8Array, random: Random): Encapsulation {
  const algorithm = algorithmOfPublicKey(publicKey);
  if (algorithm === undefined) throw badPublicKey();
  const result =
    algorithm === RECIPIENT_ALGORITHM.xwing
      ? encapsulateXwing(publicKey.subarray(1), random)
      : encapsulateX25519(publicKey.subarray(1), random);
  if (result === undefined) throw badPublicKey();
  return result;
}

/** The shared secret out of `ciphertext`, or undefined when lengths or points are impossible. */
export function decapsulate(
  keyPair: RecipientKeyPair,
  ciphertext: Uint8Array,
): SecretBytes | undefined {
  const algorithm = algorithmOfPublicKey(keyPair.publicKey);
  assert(algorithm !== undefined, 'the public key of a pair is well-formed');
  if (ciphertext.length !== SIZES[algorithm].ciphertext) return undefined;
  const isDeep = algorithm === RECIPIENT_ALGORITHM.xwing;
  const bytes = SHARED_BYTES + ciphertext.length + RECIPIENT_SEED_BYTES;
  return withScratch({ bytes, pieces: 3, isDeep }, (scratch, raw) => {
    const shared = scratch.reserve(SHARED_BYTES);
    const ciphertextAt = scratch.put(ciphertext);
    const seed = scratch.put(keyPair.privateKey);
    const status = isDeep
      ? raw._crypto_kem_xwing_dec(shared, ciphertextAt, seed)
      : raw._crypto_scalarmult(shared, seed, ciphertextAt);
    return status === 0 ? scratch.takeSecret(shared, SHARED_BYTES) : undefined;
  });
}

function encapsulateXwing(key: Uint8Array, random: Random): Encapsulation | undefined {
  const seed = SecretBytes.random(random, XWING_ENCAPSULATION_SEED_BYTES);
  const bytes = XWING_CIPHERTEXT_BYTES + SHARED_BYTES + key.length + seed.size;
  try {
    return withScratch({ bytes, pieces: 4, isDeep: true }, (scratch, raw) => {
      const ciphertext = scratch.reserve(XWING_CIPHERTEXT_BYTES);
      const shared = scratch.reserve(SHARED_BYTES);
      const keyAt = scratch.put(key);
      const status = raw._crypto_kem_xwing_enc_deterministic(
        ciphertext,
        shared,
        keyAt,
        scratch.put(seed),
      );
      if (status !== 0) return undefined;
      return {
        ciphertext: scratch.copy(ciphertext, XWING_CIPHERTEXT_BYTES),
        shared: scratch.takeSecret(shared, SHARED_BYTES),
      };
    });
  } finally {
    seed.wipe();
  }
}

function encapsulateX25519(key: Uint8Array, random: Random): Encapsulation | undefined {
  const ephemeral = SecretBytes.random(random, RECIPIENT_SEED_BYTES);
  const bytes = POINT_BYTES + SHARED_BYTES + key.length + ephemeral.size;
  try {
    return withScratch({ bytes, pieces: 4 }, (scratch, raw) => {
      const ciphertext = scratch.reserve(POINT_BYTES);
      const shared = scratch.reserve(SHARED_BYTES);
      const scalar = scratch.put(ephemeral);
      raw._crypto_scalarmult_base(ciphertext, scalar);
      // Refuses points of small order, whose product would be a constant.
      if (raw._crypto_scalarmult(shared, scalar, scratch.put(key)) !== 0) return undefined;
      return {
        ciphertext: scratch.copy(ciphertext, POINT_BYTES),
        shared: scratch.takeSecret(shared, SHARED_BYTES),
      };
    });
  } finally {
    ephemeral.wipe();
  }
}

function toAlgorithm(number: number | undefined): RecipientAlgorithm | undefined {
  return number === 1 || number === 2 ? number : undefined;
}

function badPublicKey(): ConclaveError {
  return new ConclaveError('CV_ARGUMENT_INVALID', 'recipient public key is malformed');
}
