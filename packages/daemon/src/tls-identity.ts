import { ReplaceableIdentity } from '@conclave/transport';
import type { TlsIdentity } from '@conclave/transport';
import type { MemberIdentity } from './identity-file.js';

/** What a member presents in TLS. */
export function tlsIdentityOf(member: MemberIdentity, privateKeyPem: Uint8Array): TlsIdentity {
  return {
    certificatesDer: [member.certificateDer],
    privateKeyPem,
    rootsDer: [member.rootDer],
  };
}

/** A source of it that renewals replace. */
export function identitySource(
  member: MemberIdentity,
  privateKeyPem: Uint8Array,
): ReplaceableIdentity {
  return new ReplaceableIdentity(tlsIdentityOf(member, privateKeyPem));
}
