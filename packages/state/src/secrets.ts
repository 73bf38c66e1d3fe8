import { equalBytes } from '@conclave/kernel';
import { exposePointer } from './exposure.js';
import { bindAwaited } from './late-binding.js';
import type { CommandResult, SecretRow } from './rows.js';
import type { CommandOf, Scope } from './scope.js';
import { done, isStale, refused, stale } from './scope.js';
import { eraseSecret, SecretEdit } from './secret-edit.js';
import { inUse, secretUsers } from './secret-users.js';

const notFound = (): CommandResult =>
  refused('CV_SECRET_NOT_FOUND', 'no secret has this name or id');
const versionNotFound = (): CommandResult =>
  refused('CV_VERSION_NOT_FOUND', 'the secret has no such live version');

/**
 * Makes the next version and moves the pointer, or says that the value is the current one. Labels
 * and description count only when the secret is new: later they have their own update.
 */
export function setSecret(scope: Scope, command: CommandOf<'secret.set'>): CommandResult {
  const { secrets } = scope.tables;
  const known = secrets.getByName(command.name);
  const refusal = refuseSet(scope, command, known);
  if (refusal !== undefined) return refusal;
  if (known !== undefined && !command.force) {
    const current = secrets.versionInfo(known.id, known.currentVersion);
    const { compared } = command;
    const isLive = current !== undefined && !current.isDestroyed;
    // Digests compare under one version of the ring only; the current value may have moved on.
    if (isLive && compared?.keyId !== current.keyId) {
      return sealedForAnother(command.secretId, command.version);
    }
    if (isLive && equalBytes(current.digest, compared?.digest ?? new Uint8Array(0))) {
      return done(scope, { id: known.id, version: known.currentVersion, unchanged: true });
    }
  }
  const version = (known?.latestVersion ?? 0) + 1;
  // After the ring was rotated nothing may be left, or come anew, under an old version of it.
  const ringKeyId = scope.tables.clusterRow()?.ringKeyId ?? command.sealed.keyId;
  if (command.version !== version || command.sealed.keyId !== ringKeyId) {
    return sealedForAnother(command.secretId, version);
  }
  putNextVersion(scope, command);
  if (known === undefined) bindAwaited(scope, command);
  else exposePointer(scope, command.secretId);
  const created = known === undefined;
  return done(scope, { id: command.secretId, version, unchanged: false, created });
}

function refuseSet(
  scope: Scope,
  command: CommandOf<'secret.set'>,
  known: SecretRow | undefined,
): CommandResult | undefined {
  if (command.createOnly && known !== undefined) {
    return refused('CV_NAME_TAKEN', 'a secret with this name exists', { id: known.id });
  }
  if (known === undefined && command.objectVersion !== 0) return notFound();
  if (known !== undefined && isStale(command.objectVersion, known.objectVersion)) {
    return stale('the secret', known.objectVersion);
  }
  if (known === undefined && scope.tables.secrets.has(command.newId)) {
    return refused('CV_ARGUMENT_INVALID', 'id: a secret with this id exists', { field: 'id' });
  }
  const secretId = known?.id ?? command.newId;
  // Another id also means another digest key: whether the value is the same cannot be told.
  if (command.secretId === secretId) return undefined;
  return sealedForAnother(secretId, (known?.latestVersion ?? 0) + 1);
}

function sealedForAnother(secretId: string, version: number): CommandResult {
  return refused('CV_VERSION_STALE', 'the value was sealed for another version of the secret', {
    retry: true,
    id: secretId,
    version,
  });
}

function putNextVersion(scope: Scope, command: CommandOf<'secret.set'>): void {
  const { tables, index } = scope;
  const { atMs, version, secretId, name, labels, description } = command;
  const before = tables.secrets.document(secretId);
  const row: SecretRow = {
    ...(before?.row ?? { id: secretId, name, labels, description, createdAtMs: atMs }),
    currentVersion: version,
    previousVersion: before?.row.currentVersion ?? 0,
    latestVersion: version,
    updatedAtMs: atMs,
    objectVersion: index,
  };
  const edit = new SecretEdit(scope, row, before);
  const { sealed, digest, by: createdBy } = command;
  edit.addVersion({ secretId, version, sealed, digest, createdAtMs: atMs, createdBy, index });
  edit.addEvent('set', version);
  edit.collect((old) => pinUsers(scope, secretId, old).length > 0);
  edit.write();
}

function pinUsers(scope: Scope, secretId: string, version: number): string[] {
  return secretUsers(scope.tables, secretId, (binding) => binding.version === version);
}

/** Replaces labels and description; versions are not touched. */
export function updateSecret(scope: Scope, command: CommandOf<'secret.update'>): CommandResult {
  const before = scope.tables.secrets.document(command.id);
  if (before === undefined) return notFound();
  const { row } = before;
  if (isStale(command.objectVersion, row.objectVersion)) {
    return stale('the secret', row.objectVersion);
  }
  const { labels, description, atMs } = command;
  const changed = { ...row, labels, description, updatedAtMs: atMs, objectVersion: scope.index };
  const edit = new SecretEdit(scope, changed, before);
  edit.addEvent('update', row.currentVersion);
  edit.write();
  return done(scope, { id: row.id });
}

/** Moves the pointer to another live version: a new revision of the history, no new version. */
export function rollbackSecret(scope: Scope, command: CommandOf<'secret.rollback'>): CommandResult {
  const { secrets } = scope.tables;
  const before = secrets.document(command.id);
  if (before === undefined) return notFound();
  const { row } = before;
  const version = command.version === 0 ? row.previousVersion : command.version;
  if (secrets.versionInfo(row.id, version)?.isDestroyed !== false) return versionNotFound();
  if (version === row.currentVersion) return done(scope, { id: row.id, version, unchanged: true });
  const moved: SecretRow = {
    ...row,
    currentVersion: version,
    previousVersion: row.currentVersion,
    updatedAtMs: command.atMs,
    objectVersion: scope.index,
  };
  const edit = new SecretEdit(scope, moved, before);
  edit.addEvent('rollback', version);
  edit.write();
  exposePointer(scope, row.id);
  return done(scope, { id: row.id, version, unchanged: false });
}

/** Drops key and ciphertext of a version; refused while it is current, pinned or followed. */
export function destroyVersion(
  scope: Scope,
  command: CommandOf<'secret.destroy-version'>,
): CommandResult {
  const { secrets } = scope.tables;
  const { version } = command;
  const before = secrets.document(command.id);
  if (before === undefined) return notFound();
  const { row } = before;
  if (secrets.versionInfo(row.id, version)?.isDestroyed !== false) return versionNotFound();
  const refusal = command.force ? undefined : refuseDestroy(scope, row, version);
  if (refusal !== undefined) return refusal;
  const changed = { ...row, updatedAtMs: command.atMs, objectVersion: scope.index };
  const edit = new SecretEdit(scope, changed, before);
  edit.destroyVersion(version);
  edit.addEvent('destroy', version);
  edit.write();
  return done(scope, { id: row.id, version });
}

function refuseDestroy(scope: Scope, row: SecretRow, version: number): CommandResult | undefined {
  const isCurrent = row.currentVersion === version;
  const users = secretUsers(
    scope.tables,
    row.id,
    (binding) => binding.version === version || (isCurrent && binding.version === 0),
  );
  const pointer = isCurrent ? [`the pointer of secret ${row.name}`] : [];
  const all = [...pointer, ...users];
  return all.length === 0 ? undefined : inUse(`version ${version}`, row, all);
}

/** Removes a secret with its versions and history; refused while anybody binds it. */
export function removeSecret(scope: Scope, command: CommandOf<'secret.remove'>): CommandResult {
  const before = scope.tables.secrets.document(command.id);
  if (before === undefined) return notFound();
  const users = secretUsers(scope.tables, before.row.id, () => true);
  if (users.length > 0) return inUse('the secret', before.row, users);
  eraseSecret(scope, before);
  return done(scope, { id: before.row.id });
}
