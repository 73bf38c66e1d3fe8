import { concatBytes, ConclaveError, limits } from '@conclave/kernel';
import { decodeCbor } from './cbor.js';
import type { Digest } from './digest.js';
import {
  adminFields,
  clusterFields,
  exposureRow,
  nodeFields,
  raftIdRow,
  receiptFields,
  removedNodeRow,
  requestRow,
  serviceFields,
  serviceSpec,
  taskFields,
  tokenFields,
} from './row-schemas.js';
import type {
  AdminRow,
  ClusterRow,
  NodeRow,
  ReceiptRow,
  ServiceRow,
  ServiceSpec,
  TaskRow,
  TokenRow,
} from './rows.js';
import type { Parser } from './schema.js';
import { count, fields, optional, ShapeError, text } from './schema.js';
import { EMPTY_HISTORY } from './secret-packing.js';
import type { VersionPart } from './secret-snapshot.js';
import { versionParts, wholeSecret } from './secret-snapshot.js';
import { countSecret, SNAPSHOT_FORMAT, SNAPSHOT_TABLES } from './snapshot.js';
import type { Table } from './table.js';
import type { Tables } from './tables.js';

/** The largest record: a value of the largest size in its envelope, and its names. */
const RECORD_BYTES_MAX = limits.SECRET_VALUE_BYTES_MAX + limits.SNAPSHOT_CHUNK_BYTES_MAX;

type TableName = (typeof SNAPSHOT_TABLES)[number];

const header = fields<{ format: number; index: number }>({ format: count, index: count });
const trailer = fields<{ index: number; digest: string; recordCount: number }>({
  index: count,
  digest: text,
  recordCount: count,
});

function damaged(why: string): ConclaveError {
  return new ConclaveError('CV_SNAPSHOT_DAMAGED', `the snapshot ${why}`);
}

/** Fills empty tables from the chunks of a snapshot; every byte is checked before it counts. */
export class SnapshotReader {
  readonly #tables: Tables;
  readonly #digest: Digest;
  readonly #parsers: Readonly<Record<TableName, Parser<object>>>;
  readonly #specs: ServiceSpec[] = [];
  /** Versions whose secret has not come yet. */
  #versions: VersionPart[] = [];
  #pending: Uint8Array = new Uint8Array(0);
  #index: number | undefined;
  #recordCount = 0;
  #isEnded = false;

  constructor(tables: Tables, digest: Digest) {
    this.#tables = tables;
    this.#digest = digest;
    this.#parsers = this.#rowParsers();
  }

  /**
   * Takes the next chunk, in order. After an error the reader and its tables are of no use.
   * @throws CV_SNAPSHOT_DAMAGED
   */
  push(chunk: Uint8Array): void {
    const bytes = this.#pending.length === 0 ? chunk : concatBytes(this.#pending, chunk);
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    let offset = 0;
    while (offset + 4 <= bytes.length) {
      const size = view.getUint32(offset);
      if (size > RECORD_BYTES_MAX) throw damaged('has a record that is too large');
      if (offset + 4 + size > bytes.length) break;
      this.#take(new Uint8Array(bytes.buffer, bytes.byteOffset + offset + 4, size));
      offset += 4 + size;
    }
    this.#pending = bytes.slice(offset);
  }

  /**
   * The index of the snapshot, once all of it has come.
   * @throws CV_SNAPSHOT_DAMAGED when its end is missing
   */
  finish(): number {
    if (!this.#isEnded || this.#index === undefined) throw damaged('has no end');
    if (this.#pending.length > 0) throw damaged('goes on behind its end');
    return this.#index;
  }

  #take(bytes: Uint8Array): void {
    try {
      const record = decodeCbor(bytes);
      if (!Array.isArray(record) || record.length !== 2) throw damaged('has a malformed record');
      const [name, value] = record as [unknown, unknown];
      this.#read(name, value);
    } catch (error) {
      if (error instanceof ConclaveError) throw error;
      throw damaged(
        error instanceof ShapeError ? `has a row whose ${error.describe()}` : 'is torn',
      );
    }
  }

  #read(name: unknown, value: unknown): void {
    if (this.#isEnded) throw damaged('goes on behind its end');
    if (name === 'begin') this.#begin(value);
    else if (this.#index === undefined) throw damaged('has no beginning');
    else if (name === 'versions') this.#addVersions(value);
    else if (name === 'secret') this.#secret(value);
    else if (this.#versions.length > 0) throw damaged('has versions of no secret');
    else if (name === 'spec') this.#spec(value);
    else if (name === 'end') this.#end(value);
    else this.#row(name, value);
  }

  #begin(value: unknown): void {
    if (this.#index !== undefined) throw damaged('begins twice');
    const { format, index } = header(value, false);
    if (format !== SNAPSHOT_FORMAT) throw damaged(`has the unknown format ${format}`);
    this.#index = index;
  }

  #spec(value: unknown): void {
    this.#specs.push(serviceSpec(value, false));
    this.#recordCount += 1;
  }

  #row(name: unknown, value: unknown): void {
    const table = SNAPSHOT_TABLES.find((known) => known === name);
    if (table === undefined) throw damaged('has rows of an unknown table');
    const row = this.#parsers[table](value, false);
    // The parser beside the table's name is the one of its rows.
    this.#put(this.#tables[table] as unknown as Table<object>, row);
    this.#recordCount += 1;
  }

  #addVersions(value: unknown): void {
    for (const part of versionParts(value, false)) this.#versions.push(part);
    this.#recordCount += 1;
  }

  #secret(value: unknown): void {
    const { row, versions, events } = wholeSecret(value, this.#versions.splice(0));
    const { secrets } = this.#tables;
    if (secrets.has(row.id) || secrets.getByName(row.name) !== undefined) {
      throw damaged('has a secret twice');
    }
    const stored = versions.map((version) => secrets.storeVersion(version));
    const empty = { ...EMPTY_HISTORY, firstRevision: events[0]?.revision ?? 1 };
    const history = events.reduce((past, event) => secrets.appendEvent(past, event), empty);
    secrets.replace(undefined, { row, versions: stored, history });
    secrets.settle();
    countSecret(this.#digest, { row, versions, events });
    this.#recordCount += 1;
  }

  #put(table: Table<object>, row: object): void {
    const key = table.options.keyOf(row);
    if (table.has(key)) throw damaged('has a row twice');
    table.write(key, row);
    this.#digest.count(table.options.name, row, 1);
  }

  #end(value: unknown): void {
    const { index, digest, recordCount } = trailer(value, false);
    const isWhole =
      index === this.#index && recordCount === this.#recordCount && digest === this.#digest.text();
    if (!isWhole) throw damaged('does not match its digest');
    this.#isEnded = true;
  }

  #rowParsers(): Readonly<Record<TableName, Parser<object>>> {
    const spec: Parser<ServiceSpec> = (value, lenient) => {
      const found = this.#specs[count(value, lenient)];
      if (found === undefined) throw new ShapeError('names an unknown spec');
      return found;
    };
    return {
      cluster: fields<ClusterRow>(clusterFields),
      services: fields<ServiceRow>({ ...serviceFields, spec, previousSpec: optional(spec) }),
      tasks: fields<TaskRow>({ ...taskFields, spec }),
      nodes: fields<NodeRow>(nodeFields),
      raftIds: raftIdRow,
      removedNodes: removedNodeRow,
      tokens: fields<TokenRow>(tokenFields),
      admins: fields<AdminRow>(adminFields),
      receipts: fields<ReceiptRow>(receiptFields),
      exposure: exposureRow,
      requests: requestRow,
    };
  }
}
