import { assert } from '@conclave/kernel';
import { encodeCbor } from './cbor.js';
import { Digest } from './digest.js';
import type { ServiceSpec } from './rows.js';
import { secretRecords } from './secret-snapshot.js';
import type { WholeSecret } from './secret-store.js';
import type { Tables } from './tables.js';

/** Version of the stream of records; another one is refused. */
export const SNAPSHOT_FORMAT = 1;

/**
 * Bytes of a chunk, far below what a reader accepts: between two chunks the writer may wait, and
 * calls go on, so this is how long a snapshot holds them up at a time.
 */
const PIECE_BYTES: number = 64 * 1024;

/** Tables in the order in which a snapshot has them, behind the secrets. */
export const SNAPSHOT_TABLES = [
  'cluster',
  'services',
  'tasks',
  'nodes',
  'raftIds',
  'removedNodes',
  'tokens',
  'admins',
  'receipts',
  'exposure',
  'requests',
] as const;

/** The state as it was at one index, whatever is written since. */
export interface SnapshotView {
  readonly index: number;
  /** {@link stateDigest} of that index. */
  readonly digest: string;
  /**
   * The state as bytes, each part at most 64 KiB, encoded while it is read; may be read again. The
   * rows are counted on the way.
   * @throws InvariantViolation at the end when they do not come to the digest
   */
  chunks(): Iterable<Uint8Array>;
}

/** What a record is, and what it says. */
type Item = readonly [string, unknown];

/** Keeps the rows of now: one array of references per table, nothing is encoded yet. */
export function freezeTables(
  tables: Tables,
  at: { readonly index: number; readonly digest: string },
): SnapshotView {
  const frozen = SNAPSHOT_TABLES.map((name) => ({
    name,
    countedAs: tables[name].options.name,
    rows: tables[name].freeze(),
  }));
  const secrets = tables.secrets.freeze();
  return { ...at, chunks: () => chunksOf(items(at, { secrets, tables: frozen })) };
}

interface Frozen {
  readonly secrets: Iterable<WholeSecret>;
  readonly tables: readonly FrozenTable[];
}

interface FrozenTable {
  readonly name: (typeof SNAPSHOT_TABLES)[number];
  /** In the digest. */
  readonly countedAs: string;
  readonly rows: readonly object[];
}

function* items(
  at: { readonly index: number; readonly digest: string },
  frozen: Frozen,
): Generator<Item, void, undefined> {
  yield ['begin', { format: SNAPSHOT_FORMAT, index: at.index }];
  const digest = new Digest();
  let recordCount = 0;
  for (const secret of frozen.secrets) {
    countSecret(digest, secret);
    for (const record of secretRecords(secret)) {
      recordCount += 1;
      yield record;
    }
  }
  // Thousands of tasks share the spec of their service: each goes in once, before its first use.
  const specs = new Map<ServiceSpec, number>();
  for (const { name, countedAs, rows } of frozen.tables) {
    for (const row of rows) {
      digest.count(countedAs, row, 1);
      const written: Record<string, unknown> = { ...row };
      for (const field of ['spec', 'previousSpec']) {
        const spec = written[field] as ServiceSpec | undefined;
        if (spec === undefined) continue;
        let place = specs.get(spec);
        if (place === undefined) {
          place = specs.size;
          specs.set(spec, place);
          recordCount += 1;
          yield ['spec', spec];
        }
        written[field] = place;
      }
      recordCount += 1;
      yield [name, written];
    }
  }
  // Memory that has changed by itself must not take the place of the log, which is as it was.
  assert(digest.text() === at.digest, 'the tables are not what was applied');
  yield ['end', { index: at.index, digest: at.digest, recordCount }];
}

/** Counts everything of a secret in. */
export function countSecret(digest: Digest, { row, versions, events }: WholeSecret): void {
  digest.count('secret', row, 1);
  for (const version of versions) digest.count('version', version, 1);
  for (const event of events) digest.count('event', event, 1);
}

/** Records, each behind its length (32 bits, big endian), cut into chunks wherever they are full. */
function* chunksOf(records: Iterable<Item>): Generator<Uint8Array, void, undefined> {
  let chunk = new Uint8Array(PIECE_BYTES);
  let used = 0;
  for (const record of records) {
    const body = encodeCbor(record);
    const size = new Uint8Array(4);
    new DataView(size.buffer).setUint32(0, body.length);
    for (const part of [size, body]) {
      let offset = 0;
      while (offset < part.length) {
        const taken = Math.min(part.length - offset, chunk.length - used);
        chunk.set(part.subarray(offset, offset + taken), used);
        used += taken;
        offset += taken;
        if (used < chunk.length) continue;
        yield chunk;
        chunk = new Uint8Array(PIECE_BYTES);
        used = 0;
      }
    }
  }
  if (used > 0) yield chunk.slice(0, used);
}
