import { ConclaveError } from '@conclave/kernel';

/** What a certificate is for; the same word stands in its subject. */
export type CertificateRole = 'manager' | 'worker' | 'admin';

/** Safe as a DNS label, as the host of a URI and inside an X.500 name without escaping. */
const LABEL = /^[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?$/;
const SCHEME = 'conclave';

/** True for text that may stand in a certificate as the id of a cluster, node or admin. */
export function isCertificateLabel(text: string): boolean {
  return LABEL.test(text);
}

/**
 * Refuses ids that could be read differently in a DNS name, a URI or a subject.
 * @throws CV_ARGUMENT_INVALID naming the field
 */
export function checkLabel(text: string, field: string): void {
  if (isCertificateLabel(text)) return;
  throw new ConclaveError(
    'CV_ARGUMENT_INVALID',
    `${field} must be 1 to 63 lower-case letters, digits or inner dashes`,
  );
}

/** The DNS name that every manager certificate of a cluster carries; what clients connect to. */
export function managerName(clusterId: string): string {
  return `manager.${clusterId}.internal`;
}

/** The URI that names a node. */
export function nodeUri(clusterId: string, nodeId: string): string {
  return `${SCHEME}://${clusterId}/node/${nodeId}`;
}

/** The URI that names an administrator. */
export function adminUri(clusterId: string, adminId: string): string {
  return `${SCHEME}://${clusterId}/admin/${adminId}`;
}

/** The URI of an identity, by its role. */
export function identityUri(clusterId: string, role: CertificateRole, id: string): string {
  return role === 'admin' ? adminUri(clusterId, id) : nodeUri(clusterId, id);
}
