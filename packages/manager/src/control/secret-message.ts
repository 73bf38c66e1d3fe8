import { toHex } from '@conclave/kernel';
import type { SecretRow, SecretVersionInfo, State } from '@conclave/state';
import type { SecretInput, SecretVersionInput } from '@conclave/wire';
import { weightOfPairs, weightOfTexts } from './pages.js';

/** Everything but the texts that users choose. */
const FIXED_BYTES_MAX = 400;

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

/** Bytes that the message of a secret with one version takes, at most. */
export function weightOfSecret(secret: SecretInput): number {
  const { name = '', description = '', labels = {}, usedBy = [] } = secret;
  return FIXED_BYTES_MAX + weightOfTexts(name, description, ...usedBy) + weightOfPairs(labels);
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
