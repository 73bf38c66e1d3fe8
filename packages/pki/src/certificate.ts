import { X509Certificate } from 'node:crypto';

import { ConclaveError, equalBytes } from '@conclave/kernel';

import { asBuffer } from './public-key.js';

/** Ours have about 900 bytes; nothing near this reaches the parser. */
const CERTIFICATE_BYTES_MAX = 8 * 1024;

/**
 * Reads one certificate in DER, without bytes behind it.
 * @throws CV_UNAUTHENTICATED when it is anything else
 */
export function readCertificate(der: Uint8Array): X509Certificate {
  if (der.length > CERTIFICATE_BYTES_MAX) throw notAccepted('certificate is too large');
  let certificate: X509Certificate;
  try {
    certificate = new X509Certificate(asBuffer(der));
    // Decoded when it is asked for, and then it may fail: its curve may be none.
    void certificate.publicKey;
  } catch (error) {
    throw new ConclaveError('CV_UNAUTHENTICATED', 'certificate cannot be read', { cause: error });
  }
  // The parser also takes PEM, and DER followed by more.
  if (!equalBytes(certificate.raw, der)) throw notAccepted('certificate has bytes behind it');
  return certificate;
}

/** The public key info of a certificate in DER. */
export function spkiOf(certificate: X509Certificate): Uint8Array {
  return new Uint8Array(certificate.publicKey.export({ type: 'spki', format: 'der' }));
}

/**
 * The public key info in a certificate.
 * @throws CV_UNAUTHENTICATED when it is none
 */
export function publicKeyOf(certificateDer: Uint8Array): Uint8Array {
  return spkiOf(readCertificate(certificateDer));
}

/** The error for a certificate that breaks our profile. */
export function notAccepted(message: string): ConclaveError {
  return new ConclaveError('CV_UNAUTHENTICATED', message);
}
