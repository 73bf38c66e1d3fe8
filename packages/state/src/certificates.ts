import type { CertificateRow, CommandResult } from './rows.js';
import type { Scope } from './scope.js';
import { refused } from './scope.js';

const invalid = (rule: string): CommandResult =>
  refused('CV_ARGUMENT_INVALID', `certificate: ${rule}`, { field: 'certificate' });

/**
 * Why `ownerId` cannot have this certificate: no two identities share a key or a serial, and one that
 * begins in the future was made by a clock that is ahead: its holder could not use it.
 */
export function refuseCertificate(
  { command, tables }: Pick<Scope, 'command' | 'tables'>,
  ownerId: string,
  { notBeforeMs, publicKeyHash, root, serial }: CertificateRow,
): CommandResult | undefined {
  if (notBeforeMs > command.atMs) {
    return refused(
      'CV_CLOCK_SKEW',
      'the clock of the manager that issued the certificate is ahead',
      {
        aheadMs: notBeforeMs - command.atMs,
      },
    );
  }
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
