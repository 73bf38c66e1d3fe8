import { createHash, createPrivateKey, createPublicKey } from 'node:crypto';

/** The public key info of a private key in PEM. */
export function spkiOfKey(privateKeyPem: Uint8Array): Uint8Array {
  const { buffer, byteOffset, byteLength } = privateKeyPem;
  const key = createPrivateKey({ key: Buffer.from(buffer, byteOffset, byteLength), format: 'pem' });
  return new Uint8Array(createPublicKey(key).export({ type: 'spki', format: 'der' }));
}

/** SHA-256 of a public key info, as certificates name it. */
export function spkiHashOf(spkiDer: Uint8Array): Uint8Array {
  return new Uint8Array(createHash('sha256').update(spkiDer).digest());
}
