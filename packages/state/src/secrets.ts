import { equalBytes, limits } from '@conclave/kernel';
import { exposePointer } from './exposure.js';
import type { CommandResult, SecretEventRow, SecretRow } from './rows.js';
import type { CommandOf, Scope } from './scope.js';
import { done, isStale, refused, stale } from './scope.js';
import { inUse, secretUsers } from './secret-users.js';
import { rowsOf, versionKey } from './tables.js';

const notFound = (): CommandResult => refused('CV_SECRET_NOT_FOUND', 'no secret has this id');
const versionNotFound = (): CommandResult =>
  refused('CV_VERSION_NOT_FOUND', 'the secret has no such live version');

/**
 * Makes the next version and moves the pointer, or says that the value is the current one. Labels
 * and description count only when the secret is new: later they have their own update.
 */
export function setSecret(scope: Scope, command: CommandOf<'secret.set'>): CommandResult {
  const { tables } = scope;
  const known = tables.secretByName(command.name);
  const refusal = refuseSet(scope, command, known);
  if (refusal !== undefined) return refusal;
  if (known !== undefined && !command.force) {
    const current = tables.version(known.id, known.currentVersion);
    if (current?.sealed !== undefined && equalBytes(current.digest, command.digest)) {
      return done(scope, { id: known.id, version: known.currentVersion, unchanged: true });
    }
  }
  const secretId = known?.id ?? command.newId;
  const version = (known?.latestVersion ?? 0) + 1;
  if (command.version !== version) return sealedForAnother(secretId, version);
  const row = putNextVersion(scope, command, known);
  addEvent(scope, row.id, { what: 'set', version });
  exposePointer(scope, row.id);
  return done(scope, { id: row.id, version, unchanged: false, created: known === undefined });
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

function putNextVersion(
  scope: Scope,
  command: CommandOf<'secret.set'>,
  known: SecretRow | undefined,
): SecretRow {
  const { tables, journal, index } = scope;
  const { atMs, version, secretId } = command;
  const pointer = {
    currentVersion: version,
    previousVersion: known?.currentVersion ?? 0,
    latestVersion: version,
    updatedAtMs: atMs,
    objectVersion: index,
  };
  const { name, labels, description } = command;
  const row: SecretRow =
    known === undefined
      ? { id: secretId, name, labels, description, createdAtMs: atMs, ...pointer }
      : { ...known, ...pointer };
  journal.put(tables.secrets, row);
  journal.put(tables.versions, {
    secretId,
    version,
    sealed: command.sealed,
    digest: command.digest,
    createdAtMs: atMs,
    createdBy: command.by,
    index,
  });
  return row;
}

/** Replaces labels and description; versions are not touched. */
export function updateSecret(scope: Scope, command: CommandOf<'secret.update'>): CommandResult {
  const { tables, journal, index } = scope;
  const row = tables.secrets.get(command.id);
  if (row === undefined) return notFound();
  if (isStale(command.objectVersion, row.objectVersion)) {
    return stale('the secret', row.objectVersion);
  }
  const { labels, description, atMs } = command;
  journal.put(tables.secrets, {
    ...row,
    labels,
    description,
    updatedAtMs: atMs,
    objectVersion: index,
  });
  addEvent(scope, row.id, { what: 'update', version: row.currentVersion });
  return done(scope, { id: row.id });
}

/** Moves the pointer to another live version: a new revision of the history, no new version. */
export function rollbackSecret(scope: Scope, command: CommandOf<'secret.rollback'>): CommandResult {
  const { tables, journal, index } = scope;
  const row = tables.secrets.get(command.id);
  if (row === undefined) return notFound();
  const version = command.version === 0 ? row.previousVersion : command.version;
  if (tables.version(row.id, version)?.sealed === undefined) return versionNotFound();
  if (version === row.currentVersion) return done(scope, { id: row.id, version, unchanged: true });
  journal.put(tables.secrets, {
    ...row,
    currentVersion: version,
    previousVersion: row.currentVersion,
    updatedAtMs: command.atMs,
    objectVersion: index,
  });
  addEvent(scope, row.id, { what: 'rollback', version });
  exposePointer(scope, row.id);
  return done(scope, { id: row.id, version, unchanged: false });
}

/** Drops key and ciphertext of a version; refused while it is current, pinned or followed. */
export function destroyVersion(
  scope: Scope,
  command: CommandOf<'secret.destroy-version'>,
): CommandResult {
  const { tables, journal, index } = scope;
  const { version } = command;
  const row = tables.secrets.get(command.id);
  if (row === undefined) return notFound();
  const live = tables.version(row.id, version);
  if (live?.sealed === undefined) return versionNotFound();
  if (!command.force) {
    const isCurrent = row.currentVersion === version;
    const users = secretUsers(
      tables,
      row.id,
      (binding) => binding.version === version || (isCurrent && binding.version === 0),
    );
    const pointer = isCurrent ? [`the pointer of secret ${row.name}`] : [];
    if (isCurrent || users.length > 0) {
      return inUse(`version ${version}`, row, [...pointer, ...users]);
    }
  }
  journal.put(tables.versions, { ...live, sealed: undefined });
  const previousVersion = row.previousVersion === version ? 0 : row.previousVersion;
  journal.put(tables.secrets, {
    ...row,
    previousVersion,
    updatedAtMs: command.atMs,
    objectVersion: index,
  });
  addEvent(scope, row.id, { what: 'destroy', version });
  return done(scope, { id: row.id, version });
}

/** Removes a secret with its versions and history; refused while anybody binds it. */
export function removeSecret(scope: Scope, command: CommandOf<'secret.remove'>): CommandResult {
  const { tables, journal } = scope;
  const row = tables.secrets.get(command.id);
  if (row === undefined) return notFound();
  const users = secretUsers(tables, row.id, () => true);
  if (users.length > 0) return inUse('the secret', row, users);
  const { versionsBySecret, eventsBySecret } = tables.indexes;
  for (const key of [...versionsBySecret.keys(row.id)]) journal.remove(tables.versions, key);
  for (const key of [...eventsBySecret.keys(row.id)]) journal.remove(tables.events, key);
  journal.remove(tables.secrets, row.id);
  return done(scope, { id: row.id });
}

/** Appends a line to the history; past its bound the oldest goes, with the version if destroyed. */
function addEvent(
  scope: Scope,
  secretId: string,
  event: Pick<SecretEventRow, 'what' | 'version'>,
): void {
  const { tables, journal, index, command } = scope;
  const { atMs, by } = command;
  const past = rowsOf(tables.events, tables.indexes.eventsBySecret.keys(secretId));
  const revision = past.reduce((highest, row) => Math.max(highest, row.revision), 0) + 1;
  journal.put(tables.events, { secretId, revision, ...event, atMs, by, index });
  const oldest = past.find((row) => row.revision === revision - limits.SECRET_HISTORY_COUNT_MAX);
  if (oldest === undefined) return;
  journal.remove(tables.events, tables.events.options.keyOf(oldest));
  const { version } = oldest;
  if (oldest.what === 'set' && tables.version(secretId, version)?.sealed === undefined) {
    journal.remove(tables.versions, versionKey(secretId, version));
  }
}
