import { Arena } from './arena.js';
import type { ArenaReader } from './arena.js';
import type { SecretVersionInfo } from './changes.js';
import { PackReader, PackWriter } from './packing.js';
import type { SecretEventRow, SecretRow, SecretVersionRow } from './rows.js';
import {
  Actors,
  packDocument,
  packVersion,
  packEvent,
  shiftEvent,
  unpackEvents,
  unpackHistory,
  unpackRow,
  unpackSealed,
  unpackVersionInfo,
  unpackVersions,
} from './secret-packing.js';
import type { PackedHistory, SecretDocument, SecretName, StoredVersion } from './secret-packing.js';
import { SortedNames } from './sorted-names.js';

/** Larger ones are not kept for the next record. */
const WRITER_BYTES_KEPT_MAX: number = 64 * 1024;

interface Entry extends SecretName {
  /** Of its packed document. */
  address: number;
}

/** A whole secret, as snapshots carry it. */
export interface WholeSecret {
  readonly row: SecretRow;
  readonly versions: readonly SecretVersionRow[];
  readonly events: readonly SecretEventRow[];
}

/**
 * Secrets with their versions and history. There may be 100 000, so each is a small object and
 * packed records in an arena; rows are made when they are asked for.
 */
export class SecretStore {
  readonly #entries = new Map<string, Entry>();
  readonly #names = new SortedNames<Entry>();
  readonly #arena = new Arena();
  readonly #actors = new Actors();
  /** Records that nothing refers to; freed when the entry of the log is done. */
  readonly #loose = new Set<number>();
  #writer = new PackWriter();
  #versionCount = 0;

  get size(): number {
    return this.#entries.size;
  }

  /** Versions of all secrets, also destroyed ones. */
  get versionCount(): number {
    return this.#versionCount;
  }

  has(id: string): boolean {
    return this.#entries.has(id);
  }

  get(id: string): SecretRow | undefined {
    const entry = this.#entries.get(id);
    return entry === undefined ? undefined : unpackRow(this.#read(entry.address), entry);
  }

  /** Upper and lower case are equal. */
  getByName(name: string): SecretRow | undefined {
    const entry = this.#names.find(name);
    return entry === undefined ? undefined : unpackRow(this.#read(entry.address), entry);
  }

  /** Those whose names begin with `prefix`; see {@link SortedNames.from}. */
  *list(prefix: string): Generator<SecretRow, void, undefined> {
    for (const entry of this.#names.from(prefix)) {
      // The reader may have waited, and the secret may have gone meanwhile.
      const isThere = this.#entries.get(entry.id) === entry;
      if (isThere) yield unpackRow(this.#read(entry.address), entry);
    }
  }

  document(id: string): SecretDocument | undefined {
    const entry = this.#entries.get(id);
    return entry === undefined ? undefined : readDocument(this.#arena, entry);
  }

  /** A version with its sealed bytes, copied. */
  version(id: string, version: number): SecretVersionRow | undefined {
    const stored = this.#find(id, version);
    return stored === undefined ? undefined : this.versionAt(id, stored);
  }

  versionAt(id: string, stored: StoredVersion): SecretVersionRow {
    return readVersion(this.#arena, { secretId: id, stored, actors: this.#actors });
  }

  versionInfo(id: string, version: number): SecretVersionInfo | undefined {
    const stored = this.#find(id, version);
    return stored === undefined ? undefined : this.versionInfoAt(id, stored);
  }

  versionInfoAt(id: string, stored: StoredVersion): SecretVersionInfo {
    return unpackVersionInfo(this.#read(stored.address), id, this.#actors);
  }

  /** Keeps the bytes of a version until {@link settle}, and on if a document then refers to it. */
  storeVersion(row: SecretVersionRow): StoredVersion {
    packVersion(this.#emptyWriter(), row, this.#actors);
    const address = this.#writeRecord();
    this.#loose.add(address);
    return { version: row.version, address };
  }

  events(id: string, history: PackedHistory): SecretEventRow[] {
    return unpackEvents(history, id, this.#actors);
  }

  /** The history with one more line. */
  appendEvent(history: PackedHistory, event: SecretEventRow): PackedHistory {
    const writer = this.#emptyWriter();
    writer.append(history.packed);
    packEvent(writer, event, this.#actors);
    return { ...history, count: history.count + 1, packed: writer.finish().slice() };
  }

  /** The first line of a history, and the others. */
  shiftEvent(
    id: string,
    history: PackedHistory,
  ): { readonly event: SecretEventRow; readonly rest: PackedHistory } {
    return shiftEvent(history, id, this.#actors);
  }

  /** Puts, replaces or (with undefined) takes away a secret; `before` is what stands there. */
  replace(before: SecretDocument | undefined, after: SecretDocument | undefined): void {
    const id = before?.row.id ?? after?.row.id ?? '';
    const entry = this.#entries.get(id);
    if (entry !== undefined) this.#loose.add(entry.address);
    for (const { address } of before?.versions ?? []) this.#loose.add(address);
    this.#versionCount -= before?.versions.length ?? 0;
    if (after === undefined) {
      if (entry !== undefined) this.#names.remove(entry.name);
      this.#entries.delete(id);
      return;
    }
    for (const { address } of after.versions) this.#loose.delete(address);
    this.#versionCount += after.versions.length;
    packDocument(this.#emptyWriter(), after);
    const address = this.#writeRecord();
    if (entry !== undefined) entry.address = address;
    else this.#add({ id, name: after.row.name, address });
  }

  /** Frees what nothing refers to any more and tidies up when that left much unused. */
  settle(): void {
    for (const address of this.#loose) this.#arena.free(address);
    this.#loose.clear();
    if (this.#arena.isWasteful) this.#compact();
  }

  /** The secrets of now in the order of their creation, made while they are read. */
  freeze(): Iterable<WholeSecret> {
    const arena = this.#arena.freeze();
    const entries = [...this.#entries.values()];
    const addresses = new Float64Array(entries.length);
    for (let place = 0; place < entries.length; place += 1) {
      addresses[place] = entries[place]?.address ?? 0;
    }
    const actors = this.#actors;
    return {
      *[Symbol.iterator](): Generator<WholeSecret, void, undefined> {
        for (const [place, { id, name }] of entries.entries()) {
          yield readWhole(arena, { id, name, address: addresses[place] ?? 0 }, actors);
        }
      },
    };
  }

  #find(id: string, version: number): StoredVersion | undefined {
    const entry = this.#entries.get(id);
    if (entry === undefined) return undefined;
    const reader = this.#read(entry.address);
    unpackRow(reader, entry);
    return unpackVersions(reader).find((stored) => stored.version === version);
  }

  #add(entry: Entry): void {
    this.#entries.set(entry.id, entry);
    this.#names.add(entry);
  }

  #read(address: number): PackReader {
    return new PackReader(this.#arena.read(address));
  }

  /** Empty whatever a defect in the middle of a record may have left in it. */
  #emptyWriter(): PackWriter {
    this.#writer.clear();
    return this.#writer;
  }

  #writeRecord(): number {
    const record = this.#writer.finish();
    const address = this.#arena.write(record);
    if (record.length > WRITER_BYTES_KEPT_MAX) this.#writer = new PackWriter();
    return address;
  }

  /** Writes anew what stands in slabs that are mostly unused. */
  #compact(): void {
    const isWasted = this.#arena.wasted();
    for (const entry of this.#entries.values()) {
      const document = readDocument(this.#arena, entry);
      const moved = document.versions.map((stored) =>
        isWasted(stored.address) ? { ...stored, address: this.#move(stored.address) } : stored,
      );
      const isMoved = moved.some((stored, place) => stored !== document.versions[place]);
      if (!isMoved && !isWasted(entry.address)) continue;
      packDocument(this.#emptyWriter(), { ...document, versions: moved });
      const old = entry.address;
      entry.address = this.#writeRecord();
      this.#arena.free(old);
    }
  }

  #move(address: number): number {
    const moved = this.#arena.write(this.#arena.read(address));
    this.#arena.free(address);
    return moved;
  }
}

function readDocument(arena: ArenaReader, entry: Entry): SecretDocument {
  const reader = new PackReader(arena.read(entry.address));
  return {
    row: unpackRow(reader, entry),
    versions: unpackVersions(reader),
    history: unpackHistory(reader),
  };
}

function readVersion(
  arena: ArenaReader,
  of: { readonly secretId: string; readonly stored: StoredVersion; readonly actors: Actors },
): SecretVersionRow {
  const reader = new PackReader(arena.read(of.stored.address));
  const { isDestroyed, keyId, ...info } = unpackVersionInfo(reader, of.secretId, of.actors);
  return { ...info, sealed: isDestroyed ? undefined : unpackSealed(reader, keyId) };
}

function readWhole(arena: ArenaReader, entry: Entry, actors: Actors): WholeSecret {
  const { row, versions, history } = readDocument(arena, entry);
  const secretId = entry.id;
  return {
    row,
    versions: versions.map((stored) => readVersion(arena, { secretId, stored, actors })),
    events: unpackEvents(history, secretId, actors),
  };
}
