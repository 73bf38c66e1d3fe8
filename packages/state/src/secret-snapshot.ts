import type { Actor, SealedValueRow, SecretEventRow, SecretRow, SecretVersionRow } from './rows.js';
import type { Parser } from './schema.js';
import { bytes, count, list, oneOf, optional, record, text, tuple } from './schema.js';
import type { WholeSecret } from './secret-store.js';

/** Bytes of sealed values in one record: whoever reads a record holds all of it. */
const RECORD_VALUES_BYTES: number = 1024 * 1024;

/** A record that tells of versions of the next secret, and the one that tells of the secret. */
export type SecretRecord = readonly ['versions' | 'secret', unknown];

/**
 * A secret as lists without names of fields: there are many, and they are nearly all there is. The
 * last versions stand in the secret's own record, the others before it: together they may be large.
 */
export function* secretRecords({
  row,
  versions,
  events,
}: WholeSecret): Generator<SecretRecord, void, undefined> {
  let part: unknown[] = [];
  let partBytes = 0;
  for (const version of versions) {
    const bytes = version.sealed?.envelope.length ?? 0;
    if (part.length > 0 && partBytes + bytes > RECORD_VALUES_BYTES) {
      yield ['versions', part];
      part = [];
      partBytes = 0;
    }
    part.push(versionItem(version));
    partBytes += bytes;
  }
  const pointer = [row.currentVersion, row.previousVersion, row.latestVersion];
  const times = [row.createdAtMs, row.updatedAtMs, row.objectVersion];
  const head = [row.id, row.name, row.labels, row.description, ...pointer, ...times];
  yield ['secret', [...head, part, events.map(eventItem)]];
}

function versionItem(row: SecretVersionRow): unknown[] {
  const { sealed, createdBy } = row;
  const item = [row.version, row.createdAtMs, createdBy.kind, createdBy.id, row.index, row.digest];
  if (sealed === undefined) return item;
  return [...item, [sealed.keyId, sealed.size, sealed.wrappedDek, sealed.envelope]];
}

function eventItem(row: SecretEventRow): unknown[] {
  return [row.revision, row.what, row.version, row.atMs, row.by.kind, row.by.id, row.index];
}

const actorKind: Parser<Actor['kind']> = oneOf('admin', 'node', 'system');
const eventKind: Parser<SecretEventRow['what']> = oneOf('set', 'rollback', 'destroy', 'update');
const labels: Parser<SecretRow['labels']> = record(text);

const sealedTuple = tuple(count, count, bytes, bytes);
/** A version before it is known which secret it is of. */
export type VersionPart = readonly [
  version: number,
  createdAtMs: number,
  kind: Actor['kind'],
  actorId: string,
  index: number,
  digest: Uint8Array,
  sealed: readonly [number, number, Uint8Array, Uint8Array] | undefined,
];

const versionTuple: Parser<VersionPart> = tuple(
  count,
  count,
  actorKind,
  text,
  count,
  bytes,
  optional(sealedTuple),
);

/** Reads a record of versions that {@link secretRecords} wrote before that of their secret. */
export const versionParts: Parser<readonly VersionPart[]> = list(versionTuple);
const eventList = list(tuple(count, eventKind, count, count, actorKind, text, count));
const head = tuple(text, text, labels, text, count, count, count, count, count, count);
const places = 10;

function sealedOf(
  item: readonly [number, number, Uint8Array, Uint8Array] | undefined,
): SealedValueRow | undefined {
  if (item === undefined) return undefined;
  const [keyId, size, wrappedDek, envelope] = item;
  return { keyId, wrappedDek, envelope, size };
}

/**
 * Reads the last record of a secret.
 * @param earlier the versions of the records before it
 */
export function wholeSecret(value: unknown, earlier: readonly VersionPart[]): WholeSecret {
  const lenient = false;
  const items: readonly unknown[] = Array.isArray(value) ? value : [];
  const [id, name, rowLabels, description, currentVersion, previousVersion, ...rest] = head(
    items.slice(0, places),
    lenient,
  );
  const [latestVersion, createdAtMs, updatedAtMs, objectVersion] = rest;
  const pointer = { currentVersion, previousVersion, latestVersion };
  const times = { createdAtMs, updatedAtMs, objectVersion };
  return {
    row: { id, name, labels: rowLabels, description, ...pointer, ...times },
    versions: [...earlier, ...versionParts(items[places], lenient)].map(
      ([version, atMs, kind, actorId, index, digest, sealed]) => ({
        secretId: id,
        version,
        sealed: sealedOf(sealed),
        digest,
        createdAtMs: atMs,
        createdBy: { kind, id: actorId },
        index,
      }),
    ),
    events: eventList(items[places + 1], lenient).map(
      ([revision, what, version, atMs, kind, actorId, index]) => ({
        secretId: id,
        revision,
        what,
        version,
        atMs,
        by: { kind, id: actorId },
        index,
      }),
    ),
  };
}
