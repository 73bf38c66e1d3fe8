import { isIssuedBy } from '@conclave/pki';
import type { TlsIdentity } from '@conclave/transport';
import type { MemberIdentity } from './identity-file.js';

/** What a member presents in TLS, and whom it trusts there. */
export function tlsIdentityOf(member: MemberIdentity, privateKeyPem: Uint8Array): TlsIdentity {
  const { certificateDer, crossDer, rootsDer } = member;
  // Leads who trusts the root before to the one that issued the certificate.
  const isLinked = crossDer.length > 0 && isIssuedBy(certificateDer, crossDer);
  return {
    certificatesDer: isLinked ? [certificateDer, crossDer] : [certificateDer],
    privateKeyPem,
    rootsDer,
  };
}
