import { assert } from '@conclave/kernel';
import type { Random } from '@conclave/kernel';

import { SecretBytes } from './secret-bytes.js';
import { withScratch } from './sodium.js';

/** Bytes of an Ed25519 seed; the private key of this package is the seed. */
export const SIGNING_SEED_BYTES = 32;
/** Bytes of an Ed25519 public key. */
export const SIGNING_PUBLIC_KEY_BYTES = 32;
/** Bytes of an Ed25519 signature. */
export const SIGNATURE_BYTES = 64;

const EXPANDED_BYTES = 64;

/** An Ed25519 key pair. */
export interface SigningKey {
  readonly publicKey: Uint8Array;
  /** The 32-byte seed; the owner wipes it. */
  readonly privateKey: SecretBytes;
}

/** A new Ed25519 key pair. */
export function createSigningKey(random: Random): SigningKey {
  const privateKey = SecretBytes.random(random, SIGNING_SEED_BYTES);
  return { publicKey: signingPublicKey(privateKey), privateKey };
}

/** The public half of a 32-byte seed. */
export function signingPublicKey(privateKey: SecretBytes): Uint8Array {
  checkSeed(privateKey);
  const bytes = SIGNING_PUBLIC_KEY_BYTES + EXPANDED_BYTES + SIGNING_SEED_BYTES;
  return withScratch({ bytes, pieces: 3 }, (scratch, raw) => {
    const publicKey = scratch.reserve(SIGNING_PUBLIC_KEY_BYTES);
    const expanded = scratch.reserve(EXPANDED_BYTES);
    raw._crypto_sign_seed_keypair(publicKey, expanded, scratch.put(privateKey));
    return scratch.copy(publicKey, SIGNING_PUBLIC_KEY_BYTES);
  });
}

/** The Ed25519 signature of `message` (64 bytes, deterministic). */
export function sign(privateKey: SecretBytes, message: Uint8Array): Uint8Array {
  checkSeed(privateKey);
  const bytes = SIGNING_PUBLIC_KEY_BYTES + EXPANDED_BYTES + SIGNING_SEED_BYTES + SIGNATURE_BYTES;
  return withScratch({ bytes: bytes + message.length, pieces: 5 }, (scratch, raw) => {
    const publicKey = scratch.reserve(SIGNING_PUBLIC_KEY_BYTES);
    const expanded = scratch.reserve(EXPANDED_BYTES);
    raw._crypto_sign_seed_keypair(publicKey, expanded, scratch.put(privateKey));
    const signature = scratch.reserve(SIGNATURE_BYTES);
    const messageAt = scratch.put(message);
    raw._crypto_sign_detached(signature, 0, messageAt, message.length, 0, expanded);
    return scratch.copy(signature, SIGNATURE_BYTES);
  });
}

/** True when `signature` is one of `message` under `publicKey`; false for wrong lengths too. */
export function verify(publicKey: Uint8Array, message: Uint8Array, signature: Uint8Array): boolean {
  if (publicKey.length !== SIGNING_PUBLIC_KEY_BYTES) return false;
  if (signature.length !== SIGNATURE_BYTES) return false;
  const bytes = SIGNING_PUBLIC_KEY_BYTES + SIGNATURE_BYTES + message.length;
  return withScratch({ bytes, pieces: 3 }, (scratch, raw) => {
    const signatureAt = scratch.put(signature);
    const messageAt = scratch.put(message);
    const keyAt = scratch.put(publicKey);
    const status = raw._crypto_sign_verify_detached(
      signatureAt,
      messageAt,
      message.length,
      0,
      keyAt,
    );
    return status === 0;
  });
}

function checkSeed(privateKey: SecretBytes): void {
  assert(privateKey.size === SIGNING_SEED_BYTES, 'a signing seed has 32 bytes');
}
