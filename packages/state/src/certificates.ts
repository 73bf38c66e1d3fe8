import type { CertificateRow, CommandResult } from './rows.js';
import { refused } from './scope.js';
import type { Tables } from './tables.js';

const invalid = (rule: string): CommandResult =>
  refused('CV_ARGUMENT_INVALID', `certificate: ${rule}`, { field: 'certificate' });

/** Why `ownerId` cannot have this certificate: no two identities share a key or a serial. */
export function refuseCertificate(
  tables: Tables,
  ownerId: string,
  { publicKeyHash, root, serial }: CertificateRow,
): CommandResult | undefined {
  if (root !== (tables.clusterRow()?.rootGeneration ?? root)) {
    return refused('CV_STATE_STALE', 'the root certificate was replaced meanwhile');
  }
  const { adminsByPublicKey, adminsBySerial, nodesByPublicKey, nodesBySerial } = tables.indexes;
  const isOther = (owner: string): boolean => owner !== ownerId;
  for (const index of [nodesByPublicKey, adminsByPublicKey]) {
    if ([...index.keys(publicKeyHash)].some(isOther)) {
      return invalid('another identity has this public key');
    }
  }
  for (const index of [nodesBySerial, adminsBySerial]) {
    if ([...index.keys(serial)].some(isOther)) return invalid('another identity has this serial');
  }
  return undefined;
}
