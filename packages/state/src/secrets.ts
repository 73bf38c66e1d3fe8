import { equalBytes, limits } from '@conclave/kernel';
import { exposePointer } from './exposure.js';
import type { CommandResult, SecretEventRow, SecretRow } from './rows.js';
import type { CommandOf, Scope } from './scope.js';
import { done, isStale, refused, stale } from './scope.js';
import { writeSecret } from './secret-journal.js';
import type { SecretDocument, StoredVersion } from './secret-packing.js';
import { inUse, secretUsers } from './secret-users.js';

const notFound = (): CommandResult => refused('CV_SECRET_NOT_FOUND', 'no secret has this id');
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
    const isLive = current !== undefined && !current.isDestroyed;
    if (isLive && equalBytes(current.digest, command.digest)) {
      return done(scope, { id: known.id, version: known.currentVersion, unchanged: true });
    }
  }
  const version = (known?.latestVersion ?? 0) + 1;
  if (command.version !== version) return sealedForAnother(command.secretId, version);
  putNextVersion(scope, command);
  exposePointer(scope, command.secretId);
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
  const stored = tables.secrets.storeVersion({
    secretId,
    version,
    sealed: command.sealed,
    digest: command.digest,
    createdAtMs: atMs,
    createdBy: command.by,
    index,
  });
  const row: SecretRow = {
    ...(before?.row ?? { id: secretId, name, labels, description, createdAtMs: atMs }),
    currentVersion: version,
    previousVersion: before?.row.currentVersion ?? 0,
    latestVersion: version,
    updatedAtMs: atMs,
    objectVersion: index,
  };
  const versions = [...(before?.versions ?? []), stored];
  const after = { row, versions, events: before?.events ?? [] };
  writeSecret(scope, before, withEvent(scope, after, { what: 'set', version }));
}

/** Appends to the history; past its bound the oldest line goes, with the version if destroyed. */
function withEvent(
  scope: Scope,
  document: SecretDocument,
  event: Pick<SecretEventRow, 'what' | 'version'>,
): SecretDocument {
  const { tables, index, command } = scope;
  const { atMs, by } = command;
  const { row, events, versions } = document;
  const revision = (events.at(-1)?.revision ?? 0) + 1;
  const appended = [...events, { secretId: row.id, revision, ...event, atMs, by, index }];
  const oldest = events[0];
  if (oldest === undefined || appended.length <= limits.SECRET_HISTORY_COUNT_MAX) {
    return { row, versions, events: appended };
  }
  const isForgotten = (stored: StoredVersion): boolean =>
    oldest.what === 'set' &&
    stored.version === oldest.version &&
    tables.secrets.versionInfoAt(row.id, stored).isDestroyed;
  const kept = versions.filter((stored) => !isForgotten(stored));
  return { row, versions: kept, events: appended.slice(1) };
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
  const event = { what: 'update', version: row.currentVersion } as const;
  writeSecret(scope, before, withEvent(scope, { ...before, row: changed }, event));
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
  const after = withEvent(scope, { ...before, row: moved }, { what: 'rollback', version });
  writeSecret(scope, before, after);
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
  const live = secrets.version(row.id, version);
  if (live?.sealed === undefined) return versionNotFound();
  const refusal = command.force ? undefined : refuseDestroy(scope, row, version);
  if (refusal !== undefined) return refusal;
  const isRemembered = before.events.some(
    (event) => event.what === 'set' && event.version === version,
  );
  const left = isRemembered ? [secrets.storeVersion({ ...live, sealed: undefined })] : [];
  const versions = before.versions.flatMap((stored) =>
    stored.version === version ? left : [stored],
  );
  const changed: SecretRow = {
    ...row,
    previousVersion: row.previousVersion === version ? 0 : row.previousVersion,
    updatedAtMs: command.atMs,
    objectVersion: scope.index,
  };
  const after = { ...before, row: changed, versions };
  writeSecret(scope, before, withEvent(scope, after, { what: 'destroy', version }));
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
  writeSecret(scope, before, undefined);
  return done(scope, { id: before.row.id });
}
