import { ConclaveError, equalBytes, required } from '@conclave/kernel';
import { identityOf, isIssuedBy, verifyChain } from '@conclave/pki';
import type { MemberIdentity } from './identity-file.js';

/**
 * Checks the next certificate of a host before it is stored, on which the next start depends: issued
 * under a root of `member`, for the same name and key as the one it has.
 * @throws CV_PROTOCOL, CV_CA_MISMATCH, CV_CERTIFICATE_EXPIRED
 */
export function checkRenewed(
  certificateDer: Uint8Array,
  { certificateDer: own, clusterId, nodeId, rootsDer }: MemberIdentity,
  now: number,
): void {
  const rootDer = rootsDer.find((root) => isIssuedBy(certificateDer, root)) ?? rootsDer[0];
  const leafDer = certificateDer;
  const named = verifyChain({ leafDer, rootDer: required(rootDer, 'root'), now, usage: 'client' });
  const isOurs = named.id === nodeId && named.clusterId === clusterId;
  if (isOurs && equalBytes(named.spkiHash, identityOf(own).spkiHash)) return;
  throw new ConclaveError('CV_PROTOCOL', 'the renewed certificate names somebody else');
}
