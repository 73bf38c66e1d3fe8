import type { X509Certificate } from 'node:crypto';

import { ConclaveError, equalBytes, isConclaveError } from '@conclave/kernel';

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
  const root = readIssuer(rootDer);
  if (root.certificate.verify(root.certificate.publicKey)) return root;
  throw notAccepted('certificate is not a root of a cluster');
}

/**
 * Reads the key of a root that another root of its cluster has certified, and checks that it did.
 * @throws CV_UNAUTHENTICATED when it is anything else
 * @throws CV_CA_MISMATCH when another root certified it
 */
export function readCrossSigned(crossDer: Uint8Array, by: RootCertificate): RootCertificate {
  const cross = readIssuer(crossDer);
  if (cross.clusterId === by.clusterId && cross.certificate.verify(by.certificate.publicKey)) {
    return cross;
  }
  throw new ConclaveError('CV_CA_MISMATCH', 'the root was certified by another root');
}

function readIssuer(rootDer: Uint8Array): RootCertificate {
  const certificate = readCertificate(rootDer);
  const clusterId = SUBJECT.exec(certificate.subject)?.[1] ?? '';
  const isRoot =
    isCertificateLabel(clusterId) &&
    certificate.ca &&
    certificate.issuer === certificate.subject &&
    certificate.publicKey.asymmetricKeyDetails?.namedCurve === 'secp384r1';
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

/**
 * Those of the offered roots whose keys this host may trust: it knows them, or cross certificates
 * lead to them, each certified by a key that was reached before. Anything else is left out.
 * @throws CV_UNAUTHENTICATED when an offered or known one is not a root
 */
export function reachedRoots(
  knownDer: readonly Uint8Array[],
  offered: { readonly rootsDer: readonly Uint8Array[]; readonly crossesDer: readonly Uint8Array[] },
): Uint8Array[] {
  const reached = knownDer.map(readRoot);
  for (const crossDer of offered.crossesDer) {
    const next = reached.map((by) => certifiedBy(crossDer, by)).find((key) => key !== undefined);
    if (next !== undefined) reached.push(next);
  }
  return offered.rootsDer.filter((rootDer) => {
    const { spkiDer } = readRoot(rootDer);
    return reached.some((key) => equalBytes(key.spkiDer, spkiDer));
  });
}

function certifiedBy(crossDer: Uint8Array, by: RootCertificate): RootCertificate | undefined {
  try {
    return readCrossSigned(crossDer, by);
  } catch (error) {
    if (isConclaveError(error)) return undefined;
    throw error;
  }
}

/** True when `crossDer` certifies the key of `rootDer` under `byDer`. False for anything else. */
export function isCrossSigned(
  crossDer: Uint8Array,
  byDer: Uint8Array,
  rootDer: Uint8Array,
): boolean {
  try {
    const key = certifiedBy(crossDer, readRoot(byDer));
    return key !== undefined && equalBytes(key.spkiDer, readRoot(rootDer).spkiDer);
  } catch (error) {
    if (isConclaveError(error)) return false;
    throw error;
  }
}
