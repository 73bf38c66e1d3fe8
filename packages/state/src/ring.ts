import { noteStep } from './compromise-note.js';
import type { RewrappedVersion } from './commands.js';
import type { ClusterRow, CommandResult, NodeRow, RingRotationRow } from './rows.js';
import type { CommandOf, Scope } from './scope.js';
import { done, refused } from './scope.js';
import { SecretEdit } from './secret-edit.js';
import type { Tables } from './tables.js';

type Phase = RingRotationRow['phase'];

const notCreated = (): CommandResult =>
  refused('CV_NOT_INITIALIZED', 'the cluster does not exist yet');
const overtaken = (): CommandResult =>
  refused('CV_STATE_STALE', 'the rotation of the key ring has gone on meanwhile');

/** The managers that do not hold this generation of the ring yet. */
export function managersWithoutRing(tables: Tables, generation: number): NodeRow[] {
  return [...tables.nodes.values()]
    .filter(({ manager }) => manager !== undefined && manager.membership !== 'removing')
    .filter(({ manager }) => (manager?.ringGeneration ?? 0) < generation);
}

/** Live versions of secrets under another version of the ring than `keyId`, at most `max`. */
export function countOtherKeys(tables: Tables, keyId: number, max: number): number {
  let count = 0;
  for (const { id } of tables.secrets.list('')) {
    for (const stored of tables.secrets.document(id)?.versions ?? []) {
      const info = tables.secrets.versionInfoAt(id, stored);
      if (!info.isDestroyed && info.keyId !== keyId) count += 1;
      if (count >= max) return count;
    }
  }
  return count;
}

/** The cluster and its rotation, when it is in one of the phases and about this version. */
function rotationIn(
  scope: Scope,
  phases: readonly Phase[],
  keyId?: number,
): { readonly cluster: ClusterRow; readonly rotation: RingRotationRow } | undefined {
  const cluster = scope.tables.clusterRow();
  const rotation = cluster?.ringRotation;
  if (cluster === undefined || rotation === undefined) return undefined;
  const isMeant = phases.includes(rotation.phase);
  if (!isMeant || (keyId !== undefined && rotation.keyId !== keyId)) return undefined;
  return { cluster, rotation };
}

function write(scope: Scope, cluster: ClusterRow, change: Partial<ClusterRow>): CommandResult {
  const { journal, tables, index } = scope;
  journal.put(tables.cluster, { ...cluster, ...change, objectVersion: index });
  return done(scope, { id: cluster.id });
}

/** Asks for a new version of the ring. */
export function beginRotation(scope: Scope, command: CommandOf<'ring.rotate'>): CommandResult {
  const cluster = scope.tables.clusterRow();
  if (cluster === undefined) return notCreated();
  if (cluster.ringRotation !== undefined) {
    return refused('CV_ROTATION_RUNNING', 'the key ring is being rotated already');
  }
  if (cluster.rootRotation !== undefined) {
    return refused('CV_ROTATION_RUNNING', 'the root certificate is being replaced');
  }
  const rotation: RingRotationRow = {
    phase: 'offering',
    keyId: 0,
    commitment: new Uint8Array(0),
    generation: 0,
    startedAtMs: command.atMs,
    startedBy: command.by,
  };
  return write(scope, cluster, {
    ringRotation: rotation,
    ...noteStep(scope.tables, cluster, { isRingAsked: true }),
  });
}

/**
 * The version that a leader has made. A later leader that cannot get it from anybody may offer
 * another one as long as nothing is sealed under it.
 */
export function offerVersion(scope: Scope, command: CommandOf<'ring.offer'>): CommandResult {
  const found = rotationIn(scope, ['offering', 'spreading']);
  if (found === undefined) return overtaken();
  const { cluster, rotation } = found;
  if (command.keyId <= Math.max(cluster.ringKeyId, rotation.keyId)) return overtaken();
  const { keyId, commitment } = command;
  const generation = Math.max(cluster.ringGeneration, rotation.generation) + 1;
  const next: RingRotationRow = { ...rotation, phase: 'spreading', keyId, commitment, generation };
  return write(scope, cluster, { ringRotation: next });
}

/** From here on everything new is under the new version, which every manager holds. */
export function activateVersion(scope: Scope, command: CommandOf<'ring.activate'>): CommandResult {
  const found = rotationIn(scope, ['spreading'], command.keyId);
  if (found === undefined) return overtaken();
  const { cluster, rotation } = found;
  if (managersWithoutRing(scope.tables, rotation.generation).length > 0) {
    return refused('CV_STATE_STALE', 'not every manager holds the new version of the key ring');
  }
  return write(scope, cluster, {
    ringKeyId: rotation.keyId,
    ringCommitment: rotation.commitment,
    ringGeneration: rotation.generation,
    ringRotatedAtMs: command.atMs,
    ringRotation: { ...rotation, phase: 'rewrapping' },
  });
}

/** Moves data keys, and perhaps the key of the root, to the new version. Values stay as they are. */
export function rewrapVersions(scope: Scope, command: CommandOf<'ring.rewrap'>): CommandResult {
  const found = rotationIn(scope, ['rewrapping'], command.keyId);
  if (found === undefined) return overtaken();
  const { keyId, rootKeySealed } = command;
  for (const item of command.versions) rewrapVersion(scope, item, keyId);
  if (rootKeySealed === undefined) return done(scope);
  return write(scope, found.cluster, { rootKeySealed, rootKeyId: keyId });
}

function rewrapVersion(scope: Scope, item: RewrappedVersion, keyId: number): void {
  const before = scope.tables.secrets.document(item.secretId);
  if (before === undefined) return;
  const edit = new SecretEdit(scope, before.row, before);
  if (edit.rewrapVersion(item, keyId)) edit.write();
}

/** Nothing may refer to an old version any more: only then are they dropped. */
export function retireVersions(scope: Scope, command: CommandOf<'ring.retire'>): CommandResult {
  const found = rotationIn(scope, ['rewrapping'], command.keyId);
  if (found === undefined) return overtaken();
  const { cluster, rotation } = found;
  const { keyId } = rotation;
  if (cluster.rootKeyId !== keyId || countOtherKeys(scope.tables, keyId, 1) > 0) {
    return refused('CV_STATE_STALE', 'something is sealed under an old version of the key ring');
  }
  const generation = rotation.generation + 1;
  return write(scope, cluster, { ringRotation: { ...rotation, phase: 'retiring', generation } });
}

/** Every manager has dropped the old versions. */
export function finishRotation(scope: Scope, command: CommandOf<'ring.finish'>): CommandResult {
  const found = rotationIn(scope, ['retiring'], command.keyId);
  if (found === undefined) return overtaken();
  const { cluster, rotation } = found;
  if (managersWithoutRing(scope.tables, rotation.generation).length > 0) {
    return refused('CV_STATE_STALE', 'not every manager has dropped the old versions');
  }
  return write(scope, cluster, {
    ringGeneration: rotation.generation,
    ringRotation: undefined,
  });
}
