import { toHex } from '@conclave/kernel';
import type { SecretRow, SecretVersionInfo, State } from '@conclave/state';
import type { SecretInput, SecretVersionInput } from '@conclave/wire';

/** A secret as it is told, without anything that a value could be computed from. */
export function secretMessage(
  state: State,
  row: SecretRow,
  versions: readonly SecretVersionInfo[],
): SecretInput {
  return {
    id: row.id,
    name: row.name,
    objectVersion: row.objectVersion,
    currentVersion: row.currentVersion,
    versions: versions.map(versionMessage),
    labels: { ...row.labels },
    description: row.description,
    createdAtMs: row.createdAtMs,
    updatedAtMs: row.updatedAtMs,
    usedBy: state.servicesUsingSecret(row.id).map((service) => service.spec.name),
  };
}

function versionMessage(row: SecretVersionInfo): SecretVersionInput {
  return {
    version: row.version,
    createdAtMs: row.createdAtMs,
    createdBy: row.createdBy,
    index: row.index,
    digest: toHex(row.digest),
    destroyed: row.isDestroyed,
  };
}
