import type { X509Certificate } from 'node:crypto';

import { notAccepted, readCertificate, spkiOf } from './certificate.js';
import { isCertificateLabel } from './names.js';
import { spkiHashOf } from './public-key.js';

/** A root certificate that was read; whether to trust it, its pin decides. */
export interface RootCertificate {
  readonly certificate: X509Certificate;
  readonly clusterId: string;
  readonly spkiDer: Uint8Array;
  readonly notBeforeMs: number;
  readonly notAfterMs: number;
}

const SUBJECT = /^O=([^\n]+)\nCN=root$/;

/**
 * Reads a root certificate of our profile and checks its own signature.
 * @throws CV_UNAUTHENTICATED when it is not one
 */
export function readRoot(rootDer: Uint8Array): RootCertificate {
  const certificate = readCertificate(rootDer);
  const clusterId = SUBJECT.exec(certificate.subject)?.[1] ?? '';
  const isRoot =
    isCertificateLabel(clusterId) &&
    certificate.ca &&
    certificate.issuer === certificate.subject &&
    certificate.publicKey.asymmetricKeyDetails?.namedCurve === 'secp384r1' &&
    certificate.verify(certificate.publicKey);
  if (!isRoot) throw notAccepted('certificate is not a root of a cluster');
  return {
    certificate,
    clusterId,
    spkiDer: spkiOf(certificate),
    notBeforeMs: Date.parse(certificate.validFrom),
    notAfterMs: Date.parse(certificate.validTo),
  };
}

/**
 * The pin of a root certificate: SHA-256 of its public key info.
 * @throws CV_UNAUTHENTICATED when it is not a root
 */
export function rootPin(rootDer: Uint8Array): Uint8Array {
  return spkiHashOf(readRoot(rootDer).spkiDer);
}
