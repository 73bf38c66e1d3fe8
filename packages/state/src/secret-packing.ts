import { required } from '@conclave/kernel';
import type { SecretVersionInfo } from './changes.js';
import { PackReader } from './packing.js';
import type { PackWriter } from './packing.js';
import type { Actor, SecretEventRow, SecretRow, SecretVersionRow } from './rows.js';

/** Where a version of a secret is kept. */
export interface StoredVersion {
  readonly version: number;
  readonly address: number;
}

/** All that is known of one secret but the bytes of its versions. */
export interface SecretDocument {
  readonly row: SecretRow;
  /** By number. */
  readonly versions: readonly StoredVersion[];
  readonly history: PackedHistory;
}

/** Lines of a history behind each other: they are appended far more often than they are read. */
export interface PackedHistory {
  readonly count: number;
  /** Revision of the first one; the others follow without gaps. */
  readonly firstRevision: number;
  /** Never changed: an appended history is another one. */
  readonly packed: Uint8Array;
}

/** The history of a new secret. */
export const EMPTY_HISTORY: PackedHistory = {
  count: 0,
  firstRevision: 1,
  packed: new Uint8Array(0),
};

const EVENTS: readonly SecretEventRow['what'][] = ['set', 'rollback', 'destroy', 'update'];

/**
 * Gives each actor a number: thousands of rows name the same few. It grows with the actors that
 * ever wrote a secret and begins anew with every restore.
 */
export class Actors {
  readonly #numbers = new Map<string, number>();
  readonly #actors: Actor[] = [];

  numberOf(actor: Actor): number {
    const key = `${actor.kind}/${actor.id}`;
    const known = this.#numbers.get(key);
    if (known !== undefined) return known;
    this.#numbers.set(key, this.#actors.length);
    return this.#actors.push({ kind: actor.kind, id: actor.id }) - 1;
  }

  actor(number: number): Actor {
    return required(this.#actors[number], 'actor');
  }
}

/** The document without id and name, which are kept as texts beside it. */
export function packDocument(writer: PackWriter, document: SecretDocument): void {
  const { row, versions, history } = document;
  writer.number(row.currentVersion);
  writer.number(row.previousVersion);
  writer.number(row.latestVersion);
  writer.number(row.createdAtMs);
  writer.number(row.updatedAtMs);
  writer.number(row.objectVersion);
  const labels = Object.entries(row.labels);
  writer.number(labels.length);
  for (const [key, value] of labels) {
    writer.text(key);
    writer.text(value);
  }
  writer.text(row.description);
  writer.number(versions.length);
  for (const { version, address } of versions) {
    writer.number(version);
    writer.number(address);
  }
  writer.number(history.count);
  writer.number(history.firstRevision);
  writer.append(history.packed);
}

/** A line without id and revision, which its place tells. */
export function packEvent(writer: PackWriter, event: SecretEventRow, actors: Actors): void {
  writer.number(EVENTS.indexOf(event.what));
  writer.number(event.version);
  writer.number(event.atMs);
  writer.number(actors.numberOf(event.by));
  writer.number(event.index);
}

/** What a packed document does not say itself. */
export interface SecretName {
  readonly id: string;
  readonly name: string;
}

/** Reads the row, which comes first in a packed document. */
export function unpackRow(reader: PackReader, { id, name }: SecretName): SecretRow {
  const currentVersion = reader.number();
  const previousVersion = reader.number();
  const latestVersion = reader.number();
  const createdAtMs = reader.number();
  const updatedAtMs = reader.number();
  const objectVersion = reader.number();
  const labelCount = reader.number();
  const labels: [string, string][] = [];
  for (let place = 0; place < labelCount; place += 1) labels.push([reader.text(), reader.text()]);
  return {
    id,
    name,
    labels: Object.fromEntries(labels),
    description: reader.text(),
    currentVersion,
    previousVersion,
    latestVersion,
    createdAtMs,
    updatedAtMs,
    objectVersion,
  };
}

/** Reads the versions, which follow the row. */
export function unpackVersions(reader: PackReader): StoredVersion[] {
  const versions: StoredVersion[] = [];
  const versionCount = reader.number();
  for (let place = 0; place < versionCount; place += 1) {
    versions.push({ version: reader.number(), address: reader.number() });
  }
  return versions;
}

/** Reads the history, which follows the versions, without unpacking it. */
export function unpackHistory(reader: PackReader): PackedHistory {
  return { count: reader.number(), firstRevision: reader.number(), packed: reader.rest() };
}

/** The lines of a history. */
export function unpackEvents(
  { count, firstRevision, packed }: PackedHistory,
  secretId: string,
  actors: Actors,
): SecretEventRow[] {
  const reader = new PackReader(packed);
  return Array.from({ length: count }, (_, place) => ({
    secretId,
    revision: firstRevision + place,
    ...unpackEvent(reader, actors),
  }));
}

type EventOfPlace = Omit<SecretEventRow, 'secretId' | 'revision'>;

function unpackEvent(reader: PackReader, actors: Actors): EventOfPlace {
  return {
    what: required(EVENTS[reader.number()], 'kind of event'),
    version: reader.number(),
    atMs: reader.number(),
    by: actors.actor(reader.number()),
    index: reader.number(),
  };
}

/** Takes the first line off a history. */
export function shiftEvent(
  { count, firstRevision, packed }: PackedHistory,
  secretId: string,
  actors: Actors,
): { readonly event: SecretEventRow; readonly rest: PackedHistory } {
  const reader = new PackReader(packed);
  const event = { secretId, revision: firstRevision, ...unpackEvent(reader, actors) };
  const rest = { count: count - 1, firstRevision: firstRevision + 1, packed: reader.rest() };
  return { event, rest };
}

/** A version without the id of its secret, which its document knows. */
export function packVersion(writer: PackWriter, row: SecretVersionRow, actors: Actors): void {
  writer.number(row.version);
  writer.number(row.createdAtMs);
  writer.number(actors.numberOf(row.createdBy));
  writer.number(row.index);
  writer.bytes(row.digest);
  writer.number(row.sealed === undefined ? 0 : 1);
  if (row.sealed === undefined) return;
  writer.number(row.sealed.keyId);
  writer.number(row.sealed.size);
  writer.bytes(row.sealed.wrappedDek);
  writer.bytes(row.sealed.envelope);
}

/** Reads all of a version but its sealed bytes. */
export function unpackVersionInfo(
  reader: PackReader,
  secretId: string,
  actors: Actors,
): SecretVersionInfo {
  const info = {
    secretId,
    version: reader.number(),
    createdAtMs: reader.number(),
    createdBy: actors.actor(reader.number()),
    index: reader.number(),
    digest: reader.bytes(),
    isDestroyed: reader.number() === 0,
  };
  return { ...info, keyId: info.isDestroyed ? 0 : reader.number() };
}

/** Reads the sealed bytes, which follow the key id unless they were destroyed. */
export function unpackSealed(
  reader: PackReader,
  keyId: number,
): NonNullable<SecretVersionRow['sealed']> {
  const size = reader.number();
  return { keyId, wrappedDek: reader.bytes(), envelope: reader.bytes(), size };
}
