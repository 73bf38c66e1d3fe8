import type { ChangeAction } from './changes.js';
import type { Scope } from './scope.js';
import type { SecretDocument, StoredVersion } from './secret-packing.js';
import { versionKey } from './tables.js';

/**
 * Writes a secret: `before` is the document as it was read, `after` shares with it whatever did not
 * change. Digest and changes follow from what they do not share.
 */
export function writeSecret(
  scope: Scope,
  before: SecretDocument | undefined,
  after: SecretDocument | undefined,
): void {
  const { journal, tables } = scope;
  const id = before?.row.id ?? after?.row.id ?? '';
  // Read before the store forgets them.
  const lost = missing(before?.versions, after?.versions);
  const found = missing(after?.versions, before?.versions);
  for (const stored of lost) countVersion(scope, id, { stored, sign: -1 });
  const oldInfos = infosOf(scope, id, lost);
  tables.secrets.replace(before, after);
  journal.note(() => {
    tables.secrets.replace(after, before);
  });
  for (const stored of found) countVersion(scope, id, { stored, sign: 1 });
  for (const row of missing(before?.events, after?.events)) journal.count('event', row, -1);
  for (const row of missing(after?.events, before?.events)) journal.count('event', row, 1);
  if (before?.row !== after?.row) {
    if (before !== undefined) journal.count('secret', before.row, -1);
    if (after !== undefined) journal.count('secret', after.row, 1);
    const action = actionOf(before, after);
    journal.change({ kind: 'secret', action, id, before: before?.row, after: after?.row });
  }
  const newInfos = infosOf(scope, id, found);
  for (const number of new Set([...oldInfos.keys(), ...newInfos.keys()])) {
    const old = oldInfos.get(number);
    const now = newInfos.get(number);
    const action = actionOf(old, now);
    const key = versionKey(id, number);
    journal.change({ kind: 'version', action, id: key, before: old, after: now });
  }
}

/** What the first list has and the second has not; items are compared as they are. */
function missing<T>(first: readonly T[] = [], second: readonly T[] = []): T[] {
  const there = new Set(second);
  return first.filter((item) => !there.has(item));
}

function actionOf(before: unknown, after: unknown): ChangeAction {
  if (before === undefined) return 'created';
  return after === undefined ? 'removed' : 'updated';
}

function infosOf(
  scope: Scope,
  id: string,
  versions: readonly StoredVersion[],
): Map<number, ReturnType<Scope['tables']['secrets']['versionInfoAt']>> {
  return new Map(
    versions.map((stored) => [stored.version, scope.tables.secrets.versionInfoAt(id, stored)]),
  );
}

function countVersion(
  scope: Scope,
  id: string,
  what: { readonly stored: StoredVersion; readonly sign: 1 | -1 },
): void {
  scope.journal.count('version', scope.tables.secrets.versionAt(id, what.stored), what.sign);
}
