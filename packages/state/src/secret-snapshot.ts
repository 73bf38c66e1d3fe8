import type { Actor, SealedValueRow, SecretEventRow, SecretRow, SecretVersionRow } from './rows.js';
import type { Parser } from './schema.js';
import { bytes, count, list, oneOf, optional, record, text, tuple } from './schema.js';
import type { WholeSecret } from './secret-store.js';

/** A secret as lists without names of fields: there are many, and they are nearly all there is. */
export function secretItem({ row, versions, events }: WholeSecret): unknown[] {
  return [
    row.id,
    row.name,
    row.labels,
    row.description,
    row.currentVersion,
    row.previousVersion,
    row.latestVersion,
    row.createdAtMs,
    row.updatedAtMs,
    row.objectVersion,
    versions.map(versionItem),
    events.map(eventItem),
  ];
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
const versionTuple = tuple(count, count, actorKind, text, count, bytes, optional(sealedTuple));
const versionList = list(versionTuple);
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

/** Reads what {@link secretItem} wrote. */
export const wholeSecret: Parser<WholeSecret> = (value, lenient) => {
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
    versions: versionList(items[places], lenient).map(
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
};
