import { createPrivateKey, createPublicKey } from 'node:crypto';

/** The public key info of a private key in PEM. */
export function spkiOfKey(privateKeyPem: Uint8Array): Uint8Array {
  const { buffer, byteOffset, byteLength } = privateKeyPem;
  const key = createPrivateKey({ key: Buffer.from(buffer, byteOffset, byteLength), format: 'pem' });
  return new Uint8Array(createPublicKey(key).export({ type: 'spki', format: 'der' }));
}
