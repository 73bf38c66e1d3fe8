import { limits } from '@conclave/kernel';
import type { ChangeAction } from './changes.js';
import type { RewrappedVersion } from './commands.js';
import type { Actor, SecretEventRow, SecretRow, SecretVersionRow } from './rows.js';
import type { Scope } from './scope.js';
import { EMPTY_HISTORY } from './secret-packing.js';
import type { SecretDocument, StoredVersion } from './secret-packing.js';
import { versionKey } from './tables.js';

/**
 * A change of one secret in the making. Versions and lines of the history are counted in the digest
 * as they come and go; {@link write} puts the whole where readers see it.
 */
export class SecretEdit {
  readonly #scope: Scope;
  readonly #before: SecretDocument | undefined;
  #row: SecretRow;
  #versions: readonly StoredVersion[];
  #history: SecretDocument['history'];

  /** @param row the row as it will be; `before` is undefined for a new secret */
  constructor(scope: Scope, row: SecretRow, before: SecretDocument | undefined) {
    this.#scope = scope;
    this.#before = before;
    this.#row = row;
    this.#versions = before?.versions ?? [];
    this.#history = before?.history ?? EMPTY_HISTORY;
  }

  addVersion(row: SecretVersionRow): void {
    const stored = this.#scope.tables.secrets.storeVersion(row);
    this.#versions = [...this.#versions, stored];
    this.#scope.journal.count('version', row, 1);
    this.#tell(undefined, stored);
  }

  /** Drops the sealed bytes; the rest stays while the version is among the newest. */
  destroyVersion(version: number): void {
    const { journal, tables } = this.#scope;
    const old = this.#versions.find((stored) => stored.version === version);
    if (old === undefined) return;
    const row = tables.secrets.versionAt(this.#row.id, old);
    journal.count('version', row, -1);
    const isKept = version > this.#row.latestVersion - limits.SECRET_VERSIONS_KEPT;
    const now = isKept ? tables.secrets.storeVersion({ ...row, sealed: undefined }) : undefined;
    if (isKept) journal.count('version', { ...row, sealed: undefined }, 1);
    this.#versions = this.#versions.flatMap((stored) => {
      if (stored !== old) return [stored];
      return now === undefined ? [] : [now];
    });
    if (this.#row.previousVersion === version) this.#row = { ...this.#row, previousVersion: 0 };
    this.#tell(old, now);
  }

  /**
   * Puts the data key of a live version under another version of the key ring; false when there is
   * nothing to do.
   */
  rewrapVersion({ version, wrappedDek, digest }: RewrappedVersion, keyId: number): boolean {
    const { journal, tables } = this.#scope;
    const old = this.#versions.find((stored) => stored.version === version);
    if (old === undefined) return false;
    const row = tables.secrets.versionAt(this.#row.id, old);
    if (row.sealed === undefined || row.sealed.keyId === keyId) return false;
    const moved = { ...row, digest, sealed: { ...row.sealed, keyId, wrappedDek } };
    const now = tables.secrets.storeVersion(moved);
    journal.count('version', row, -1);
    journal.count('version', moved, 1);
    this.#versions = this.#versions.map((stored) => (stored === old ? now : stored));
    this.#tell(old, now);
    return true;
  }

  /** Collects versions that are not among the newest, but for those that `isHeld`. */
  collect(isHeld: (version: number) => boolean): void {
    const { currentVersion, previousVersion, latestVersion, id } = this.#row;
    const newest = latestVersion - limits.SECRET_VERSIONS_KEPT;
    for (const stored of this.#versions) {
      const { version } = stored;
      if (version > newest) return;
      const { isDestroyed } = this.#scope.tables.secrets.versionInfoAt(id, stored);
      const isPointer = version === currentVersion || version === previousVersion;
      if (!isDestroyed && (isPointer || isHeld(version))) continue;
      this.destroyVersion(version);
      if (!isDestroyed) this.addEvent('destroy', version, { kind: 'system', id: 'retention' });
    }
  }

  /** Appends to the history; past its bound the oldest line goes. */
  addEvent(what: SecretEventRow['what'], version: number, by?: Actor): void {
    const { tables, journal, index, command } = this.#scope;
    const { id } = this.#row;
    const { secrets } = tables;
    const revision = this.#history.firstRevision + this.#history.count;
    const line = { what, version, atMs: command.atMs, by: by ?? command.by, index };
    const event: SecretEventRow = { secretId: id, revision, ...line };
    journal.count('event', event, 1);
    this.#history = secrets.appendEvent(this.#history, event);
    if (this.#history.count <= limits.SECRET_HISTORY_COUNT_MAX) return;
    const oldest = secrets.shiftEvent(id, this.#history);
    journal.count('event', oldest.event, -1);
    this.#history = oldest.rest;
  }

  /** Makes the change visible. */
  write(): void {
    const row = this.#row;
    putDocument(this.#scope, this.#before, {
      row,
      versions: this.#versions,
      history: this.#history,
    });
  }

  #tell(old: StoredVersion | undefined, now: StoredVersion | undefined): void {
    tellVersion(this.#scope, this.#row.id, { old, now });
  }
}

/** Removes a secret with its versions and its history. */
export function eraseSecret(scope: Scope, before: SecretDocument): void {
  const { journal, tables } = scope;
  const { id } = before.row;
  for (const old of before.versions) {
    journal.count('version', tables.secrets.versionAt(id, old), -1);
    tellVersion(scope, id, { old, now: undefined });
  }
  for (const event of tables.secrets.events(id, before.history)) journal.count('event', event, -1);
  putDocument(scope, before, undefined);
}

function putDocument(
  scope: Scope,
  before: SecretDocument | undefined,
  after: SecretDocument | undefined,
): void {
  const { journal, tables } = scope;
  tables.secrets.replace(before, after);
  journal.note(() => {
    tables.secrets.replace(after, before);
  });
  if (before !== undefined) journal.count('secret', before.row, -1);
  if (after !== undefined) journal.count('secret', after.row, 1);
  const id = before?.row.id ?? after?.row.id ?? '';
  // Only a version has changed, which is told by itself.
  if (before?.row === after?.row) return;
  const action = actionOf(before, after);
  journal.change({ kind: 'secret', action, id, before: before?.row, after: after?.row });
}

function tellVersion(
  scope: Scope,
  id: string,
  {
    old,
    now,
  }: { readonly old: StoredVersion | undefined; readonly now: StoredVersion | undefined },
): void {
  const { secrets } = scope.tables;
  const before = old === undefined ? undefined : secrets.versionInfoAt(id, old);
  const after = now === undefined ? undefined : secrets.versionInfoAt(id, now);
  const key = versionKey(id, before?.version ?? after?.version ?? 0);
  const action = actionOf(before, after);
  scope.journal.change({ kind: 'version', action, id: key, before, after });
}

function actionOf(before: unknown, after: unknown): ChangeAction {
  if (before === undefined) return 'created';
  return after === undefined ? 'removed' : 'updated';
}
