import type { X509Certificate } from 'node:crypto';

import { notAccepted, readCertificate, spkiOf } from './certificate.js';
import { identityUri, isCertificateLabel, managerName } from './names.js';
import type { CertificateRole } from './names.js';
import { KEY_PURPOSE } from './key-purpose.js';
import { spkiHashOf } from './public-key.js';

/** Whom a certificate names. Only `verifyChain` tells whether to believe it. */
export interface CertificateIdentity {
  readonly clusterId: string;
  readonly kind: 'node' | 'admin';
  readonly id: string;
  readonly role: CertificateRole;
  /** 32 lower-case hexadecimal digits. */
  readonly serial: string;
  readonly notBeforeMs: number;
  readonly notAfterMs: number;
  /** SHA-256 of the public key info. */
  readonly spkiHash: Uint8Array;
}

const SUBJECT = /^O=([^\n]+)\nOU=(manager|worker|admin)\nCN=([^\n]+)$/;
const SERIAL_DIGITS = 32;

/**
 * Reads a leaf certificate of our profile. Checks its form, not its signature or its time.
 * @throws CV_UNAUTHENTICATED when the certificate breaks the profile
 */
export function identityOf(certificateDer: Uint8Array): CertificateIdentity {
  return readIdentity(readCertificate(certificateDer));
}

/** Like {@link identityOf} for a certificate that was read already. */
export function readIdentity(certificate: X509Certificate): CertificateIdentity {
  const [, clusterId = '', role = '', id = ''] = SUBJECT.exec(certificate.subject) ?? [];
  const isNamed = isCertificateLabel(clusterId) && isCertificateLabel(id) && isRole(role);
  if (!isNamed || certificate.ca) throw notAccepted('certificate has a foreign subject');
  if (certificate.subjectAltName !== namesOf(clusterId, role, id)) {
    throw notAccepted('certificate has foreign names');
  }
  if (certificate.publicKey.asymmetricKeyDetails?.namedCurve !== 'prime256v1') {
    throw notAccepted('certificate has a foreign kind of key');
  }
  const purposes =
    role === 'manager' ? [KEY_PURPOSE.server, KEY_PURPOSE.client] : [KEY_PURPOSE.client];
  if (certificate.keyUsage?.join() !== purposes.join()) {
    throw notAccepted('certificate has a foreign key usage');
  }
  return {
    clusterId,
    kind: role === 'admin' ? 'admin' : 'node',
    id,
    role,
    serial: certificate.serialNumber.toLowerCase().padStart(SERIAL_DIGITS, '0'),
    notBeforeMs: Date.parse(certificate.validFrom),
    notAfterMs: Date.parse(certificate.validTo),
    spkiHash: spkiHashOf(spkiOf(certificate)),
  };
}

/** The alternative names in the order of our profile, as OpenSSL prints them. */
function namesOf(clusterId: string, role: CertificateRole, id: string): string {
  const uri = `URI:${identityUri(clusterId, role, id)}`;
  return role === 'manager' ? `${uri}, DNS:${managerName(clusterId)}` : uri;
}

function isRole(text: string): text is CertificateRole {
  return text === 'manager' || text === 'worker' || text === 'admin';
}
