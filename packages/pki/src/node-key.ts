import { createPrivateKey, generateKeyPairSync, sign, verify, X509Certificate } from 'node:crypto';
import type { KeyObject } from 'node:crypto';

import { ConclaveError } from '@conclave/kernel';

import { toPem } from './pem.js';
import { asBuffer, readPublicKey } from './public-key.js';

/** Separates these signatures from every other use of the key. */
const PROOF_LABEL: Uint8Array = new TextEncoder().encode('CV-KEY-PROOF-1\n');
const PROOF_BYTES = 64;
const SIGNATURE_FORM = { dsaEncoding: 'ieee-p1363' } as const;

/** A P-256 key pair of a node or administrator. */
export interface NodeKey {
  /** PKCS #8 in PEM; secret, the caller wipes it. */
  readonly privateKeyPem: Uint8Array;
  readonly spkiDer: Uint8Array;
}

/** A new P-256 key pair out of OpenSSL's own randomness. */
export function generateNodeKey(): NodeKey {
  const pair = generateKeyPairSync('ec', {
    namedCurve: 'P-256',
    privateKeyEncoding: { type: 'pkcs8', format: 'der' },
    publicKeyEncoding: { type: 'spki', format: 'der' },
  });
  const privateKeyPem = toPem('PRIVATE KEY', pair.privateKey);
  pair.privateKey.fill(0);
  return { privateKeyPem, spkiDer: new Uint8Array(pair.publicKey) };
}

/**
 * A signature (64 bytes, ECDSA with SHA-256) that proves possession of the private key. The message
 * must contain a challenge of the verifier.
 * @throws CV_ARGUMENT_INVALID when the private key cannot be read
 */
export function proveKey(privateKeyPem: Uint8Array, message: Uint8Array): Uint8Array {
  const key = readPrivateKey(privateKeyPem);
  return new Uint8Array(sign('sha256', labelled(message), { key, ...SIGNATURE_FORM }));
}

/**
 * True when `proof` was made by `proveKey` with the private half of `spkiDer`.
 * @throws CV_ARGUMENT_INVALID when the public key is not a plain P-256 key
 */
export function verifyKeyProof(
  spkiDer: Uint8Array,
  message: Uint8Array,
  proof: Uint8Array,
): boolean {
  const key = readPublicKey(spkiDer);
  if (proof.length !== PROOF_BYTES) return false;
  return verify('sha256', labelled(message), { key, ...SIGNATURE_FORM }, proof);
}

/** True when this is a private key and the certificate is for its public half. */
export function isKeyOf(privateKeyPem: Uint8Array, certificateDer: Uint8Array): boolean {
  try {
    const key = readPrivateKey(privateKeyPem);
    return new X509Certificate(asBuffer(certificateDer)).checkPrivateKey(key);
  } catch {
    return false; // one of them is something else
  }
}

function readPrivateKey(pem: Uint8Array): KeyObject {
  try {
    return createPrivateKey({ key: asBuffer(pem), format: 'pem' });
  } catch {
    // The cause could quote key material.
    throw new ConclaveError('CV_ARGUMENT_INVALID', 'private key cannot be read');
  }
}

function labelled(message: Uint8Array): Uint8Array {
  const bytes = new Uint8Array(PROOF_LABEL.length + message.length);
  bytes.set(PROOF_LABEL);
  bytes.set(message, PROOF_LABEL.length);
  return bytes;
}
