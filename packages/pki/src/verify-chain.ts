import { ConclaveError } from '@conclave/kernel';

import { notAccepted, readCertificate } from './certificate.js';
import { readIdentity } from './identity.js';
import type { CertificateIdentity } from './identity.js';
import { readCrossSigned, readRoot } from './root.js';

/** Arguments of {@link verifyChain}. */
export interface ChainRequest {
  readonly leafDer: Uint8Array;
  /** The trusted root; the caller has compared its pin. */
  readonly rootDer: Uint8Array;
  /** The key of a newer root, certified by the trusted one: who issued the leaf. Default: none. */
  readonly crossDer?: Uint8Array | undefined;
  /** Milliseconds since 1970 UTC. */
  readonly now: number;
  /** `server` accepts managers only. */
  readonly usage: 'server' | 'client';
  /** Milliseconds after its end for which a leaf is still accepted; default 0. For recovery. */
  readonly expiredGraceMs?: number;
}

/**
 * Verifies a leaf against the root of its cluster and returns whom it names. It knows nothing of
 * removed nodes: committed state decides whether the serial is still active.
 * @throws CV_CA_MISMATCH when another root issued it, or for another cluster
 * @throws CV_CERTIFICATE_EXPIRED when leaf or root is outside its time
 * @throws CV_UNAUTHENTICATED when a certificate breaks the profile or may not be used so
 */
export function verifyChain(request: ChainRequest): CertificateIdentity {
  const { crossDer, now, usage, expiredGraceMs = 0 } = request;
  const root = readRoot(request.rootDer);
  const issuer = crossDer === undefined ? root : readCrossSigned(crossDer, root);
  const leaf = readCertificate(request.leafDer);
  if (!leaf.checkIssued(issuer.certificate) || !leaf.verify(issuer.certificate.publicKey)) {
    throw new ConclaveError('CV_CA_MISMATCH', 'certificate was issued by another root');
  }
  const identity = readIdentity(leaf);
  if (identity.clusterId !== root.clusterId) {
    throw new ConclaveError('CV_CA_MISMATCH', 'certificate was issued for another cluster');
  }
  checkTime('root certificate', root, now);
  checkTime('root certificate', issuer, now);
  const notAfterMs = identity.notAfterMs + expiredGraceMs;
  checkTime('certificate', { notBeforeMs: identity.notBeforeMs, notAfterMs }, now);
  if (usage === 'server' && identity.role !== 'manager') {
    throw notAccepted('certificate is not that of a manager');
  }
  return identity;
}

/** True when the root, or the certified key of one, issued the leaf. Its time does not matter. */
export function isIssuedBy(leafDer: Uint8Array, issuerDer: Uint8Array): boolean {
  const leaf = readCertificate(leafDer);
  const issuer = readCertificate(issuerDer);
  return leaf.checkIssued(issuer) && leaf.verify(issuer.publicKey);
}

function checkTime(
  what: string,
  span: { readonly notBeforeMs: number; readonly notAfterMs: number },
  now: number,
): void {
  if (now >= span.notBeforeMs && now <= span.notAfterMs) return;
  const problem = now < span.notBeforeMs ? 'is not valid yet' : 'has expired';
  throw new ConclaveError('CV_CERTIFICATE_EXPIRED', `${what} ${problem}`);
}
