import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { concatBytes, limits } from '@conclave/kernel';
import { restoreState, State, stateDigest, StateRestorer } from '../src/index.js';
import { adminFields, Bench, bindingSpec, sameBytes, valueBytes } from './support/bench.js';
import { applyOutline, furnish } from './support/random-commands.js';
import { watchedRows } from './support/integrity.js';

/** A state with rows in every table. */
function furnished(): Bench {
  const bench = new Bench();
  furnish(bench);
  bench.ok(bench.setCommand('z', 1, { labels: { team: 'x' }, description: 'd' }));
  bench.set('a', 2);
  bench.set('b', 3);
  bench.ok({ kind: 'secret.destroy-version', id: 'id-a', version: 1, force: false });
  const bindings = [bindingSpec({ secretId: 'id-a' }), bindingSpec({ secretId: 'id-b' })];
  const id = bench.service('web', { bindings });
  bench.task('t1', id, 'n0');
  bench.task('t2', id, 'n1');
  bench.task('t3', id);
  const { spec } = bench.state.serviceById(id) ?? {};
  if (spec === undefined) throw new Error('no service');
  const update = { ...spec, user: 'app' };
  bench.ok({ kind: 'service.update', id, spec: update, objectVersion: 0 });
  const receipt = { taskId: 't1', target: 'a', secretId: 'id-a', version: 2, nodeId: 'n0' };
  const rest = { outcome: 'failed', detail: 'why', atMs: 1 } as const;
  bench.ok({ kind: 'receipts.report', receipts: [{ ...receipt, ...rest }] });
  bench.ok({ kind: 'admin.create', admin: adminFields('ann', { uses: ['a'] }) });
  bench.ok(bench.setCommand('c', 1), { request: { key: 'k', fingerprint: 'f' } });
  bench.ok({ kind: 'node.remove', id: 'n1', force: true });
  return bench;
}

const whole = (chunks: Iterable<Uint8Array>): Uint8Array => concatBytes(...chunks);
const code = (chunks: Iterable<Uint8Array>): string => {
  try {
    return `restored ${stateDigest(restoreState(chunks))}`;
  } catch (error) {
    return String((error as { code?: string }).code);
  }
};

describe('a snapshot', () => {
  test('of every table comes back as it was', () => {
    const { state } = furnished();
    const counts = state.counts();
    for (const [table, count] of Object.entries(counts)) {
      expect([table, count > 0]).toEqual([table, true]);
    }
    const view = state.freeze();
    expect(view).toMatchObject({ index: state.appliedIndex, digest: stateDigest(state) });
    const restored = restoreState(view.chunks());
    expect(restored.counts()).toEqual(counts);
    expect(restored.appliedIndex).toBe(state.appliedIndex);
    expect(watchedRows(restored)).toEqual(watchedRows(state));
    for (const version of [1, 2]) {
      expect(restored.secretVersion('id-a', version)).toEqual(state.secretVersion('id-a', version));
    }
    expect(restored.secretHistory('id-a')).toEqual(state.secretHistory('id-a'));
    expect(restored.exposureOfNode('n0')).toEqual(state.exposureOfNode('n0'));
    expect(restored.isRetiredRaftId(1)).toBe(true);
    expect(restored.isRemovedNode('n1')).toBe(true);
    expect(restored.changesSince(0)).toBe('compacted');
    expect(restored.changesSince(state.appliedIndex)).toEqual([]);
  });

  test('of an empty state is one', () => {
    const state = new State();
    state.skip(7);
    const restored = restoreState(state.freeze().chunks());
    expect(restored.appliedIndex).toBe(7);
    expect(restored.cluster()).toBeUndefined();
  });

  test('remembers requests: a repetition after the restart answers the same', () => {
    const bench = furnished();
    const restored = new Bench(restoreState(bench.state.freeze().chunks()));
    const request = { key: 'k', fingerprint: 'f' };
    const first = bench.apply(bench.setCommand('x', 9), { request });
    expect(restored.apply(bench.setCommand('y', 8), { request })).toEqual(first);
    expect(first).toMatchObject({ ok: true, values: { id: 'id-c', version: 1 } });
  });

  test('has each spec once, and so has the restored state', () => {
    const { state } = furnished();
    const restored = restoreState(state.freeze().chunks());
    const specs = ['t1', 't2', 't3'].map((id) => restored.taskById(id)?.spec);
    expect(new Set(specs).size).toBe(1);
    expect(restored.serviceById('service-web')?.previousSpec).toBe(specs[0]);
  });

  test('is cut into chunks within their limit, also through a large value', () => {
    const bench = new Bench();
    const size = limits.SECRET_VALUE_BYTES_MAX;
    const sealed = {
      keyId: 1,
      wrappedDek: valueBytes(1, 90),
      envelope: new Uint8Array(size),
      size,
    };
    sealed.envelope.set(valueBytes(7, 1000), size - 1000);
    bench.ok(bench.setCommand('large', 1, { sealed }));
    for (let number = 0; number < 50; number += 1) bench.set(`s${number}`, number);
    const chunks = [...bench.state.freeze().chunks()];
    expect(chunks.length).toBeGreaterThan(100);
    const sizes = chunks.map((chunk) => chunk.length);
    expect(Math.max(...sizes)).toBeLessThanOrEqual(limits.SNAPSHOT_CHUNK_BYTES_MAX);
    const restored = restoreState(chunks);
    const { envelope } = restored.secretVersion('id-large', 1)?.sealed ?? {};
    expect(sameBytes(envelope ?? new Uint8Array(), sealed.envelope)).toBe(true);
    expect(stateDigest(restored)).toBe(stateDigest(bench.state));
  });

  test('holds a secret whose versions together are larger than any record may be', () => {
    const bench = new Bench();
    const size = 900_000;
    const count = 12;
    for (let number = 1; number <= count; number += 1) {
      const envelope = new Uint8Array(size).fill(number);
      const sealed = { keyId: 1, wrappedDek: valueBytes(number, 90), envelope, size };
      bench.ok(bench.setCommand('large', number, { sealed }));
      bench.set('small', number);
    }
    expect(count * size).toBeGreaterThan(
      limits.SECRET_VALUE_BYTES_MAX + limits.SNAPSHOT_CHUNK_BYTES_MAX,
    );
    const restored = restoreState(bench.state.freeze().chunks());
    expect(stateDigest(restored)).toBe(stateDigest(bench.state));
    for (let number = 1; number <= count; number += 1) {
      const { envelope } = restored.secretVersion('id-large', number)?.sealed ?? {};
      expect([envelope?.length, envelope?.[0], envelope?.at(-1)]).toEqual([size, number, number]);
    }
  });

  test('may come in pieces of any size', () => {
    const { state } = furnished();
    const bytes = whole(state.freeze().chunks());
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 5000 }), (size) => {
        const restorer = new StateRestorer();
        for (let offset = 0; offset < bytes.length; offset += size) {
          const piece = bytes.slice(offset, offset + size);
          restorer.push(piece);
          piece.fill(0xff);
        }
        expect(stateDigest(restorer.finish())).toBe(stateDigest(state));
      }),
      { numRuns: 20 },
    );
  });
});

describe('a damaged snapshot', () => {
  const { state } = furnished();
  const bytes = whole(state.freeze().chunks());

  test('without its end, with more behind it or with parts missing is refused', () => {
    expect(code([])).toBe('CV_SNAPSHOT_DAMAGED');
    expect(code([bytes.subarray(0, bytes.length - 1)])).toBe('CV_SNAPSHOT_DAMAGED');
    expect(code([bytes, Uint8Array.of(0)])).toBe('CV_SNAPSHOT_DAMAGED');
    expect(code([bytes, bytes])).toBe('CV_SNAPSHOT_DAMAGED');
    expect(code([bytes.subarray(10)])).toBe('CV_SNAPSHOT_DAMAGED');
    expect(code([Uint8Array.of(0xff, 0xff, 0xff, 0xff)])).toBe('CV_SNAPSHOT_DAMAGED');
  });

  test('without one of its records is refused, whichever it is', () => {
    let offset = 0;
    let recordCount = 0;
    while (offset < bytes.length) {
      const size = new DataView(bytes.buffer, offset).getUint32(0) + 4;
      const without = [bytes.subarray(0, offset), bytes.subarray(offset + size)];
      expect(code(without)).toBe('CV_SNAPSHOT_DAMAGED');
      const twice = [bytes.subarray(0, offset + size), bytes.subarray(offset)];
      expect(code(twice)).toBe('CV_SNAPSHOT_DAMAGED');
      offset += size;
      recordCount += 1;
    }
    expect(recordCount).toBeGreaterThan(20);
  });

  test('whose versions come behind the last secret is refused', () => {
    const bench = new Bench();
    const envelope = new Uint8Array(700_000);
    for (let number = 1; number <= 3; number += 1) {
      const sealed = { keyId: 1, wrappedDek: valueBytes(number, 90), envelope, size: 700_000 };
      bench.ok(bench.setCommand('large', number, { sealed }));
    }
    const parts = whole(bench.state.freeze().chunks());
    const records: Uint8Array[] = [];
    for (let offset = 0; offset < parts.length;) {
      const end = offset + 4 + new DataView(parts.buffer, offset).getUint32(0);
      records.push(parts.subarray(offset, end));
      offset = end;
    }
    const [begin, first, second, secret, ...rest] = records as [
      Uint8Array,
      Uint8Array,
      Uint8Array,
      Uint8Array,
      ...Uint8Array[],
    ];
    expect(code([begin, first, second, secret, ...rest])).toBe(
      `restored ${stateDigest(bench.state)}`,
    );
    expect(code([begin, first, secret, second, ...rest])).toBe('CV_SNAPSHOT_DAMAGED');
  });

  test('with any byte changed is refused', () => {
    const outcomes = new Set<string>();
    // Every kind of record is longer than the stride, so none is left out.
    for (let offset = 0; offset < bytes.length; offset += 29) {
      const mutated = Uint8Array.from(bytes);
      mutated[offset] = (mutated[offset] ?? 0) ^ (1 << (offset % 8));
      outcomes.add(code([mutated]));
    }
    expect([...outcomes]).toEqual(['CV_SNAPSHOT_DAMAGED']);
  });
});

describe('the digest', () => {
  test('notices a row in memory that no entry has changed: its snapshot has no end', () => {
    const { state } = furnished();
    const row = state.nodeById('n0') as { hostname: string };
    row.hostname = `${row.hostname}?`;
    const written: Uint8Array[] = [];
    expect(() => {
      for (const chunk of state.freeze().chunks()) written.push(chunk);
    }).toThrow('the tables are not what was applied');
    expect(() => restoreState(written)).toThrow('has no end');
  });

  test('changes with every row and comes back when the row is as it was', () => {
    const bench = new Bench();
    const seen = new Set<string>();
    const outline = { a: 0, b: 0, c: 4, flag: false, key: 0 } as const;
    furnish(bench);
    seen.add(stateDigest(bench.state));
    const kinds = ['set', 'update-secret', 'create-service', 'create-task', 'assign', 'settings'];
    for (const what of kinds) {
      const before = stateDigest(bench.state);
      applyOutline(bench, { ...outline, what } as Parameters<typeof applyOutline>[1]);
      const batches = bench.state.changesSince(bench.state.appliedIndex - 1);
      expect(stateDigest(bench.state) !== before).toBe(batches.length > 0);
      seen.add(stateDigest(bench.state));
    }
    expect(seen.size).toBeGreaterThan(4);
    const plain = new Bench();
    plain.set('a', 1);
    const once = stateDigest(plain.state);
    plain.set('b', 2);
    expect(stateDigest(plain.state)).not.toBe(once);
    plain.ok({ kind: 'secret.remove', id: 'id-b' });
    expect(stateDigest(plain.state)).toBe(once);
    expect(once).toMatch(/^[0-9a-f]{16}$/);
  });

  test('tells single fields and bytes apart', () => {
    const digests = new Set<string>();
    const add = (fields: Parameters<Bench['setCommand']>[2], name = 'a'): void => {
      const bench = new Bench();
      bench.ok(bench.setCommand(name, 1, fields));
      digests.add(stateDigest(bench.state));
    };
    add({});
    add({}, 'A');
    add({ labels: { a: 'b' } });
    add({ labels: { b: 'a' } });
    add({ labels: { ab: '' } });
    add({ description: 'a' });
    add({ description: 'aa' });
    for (let at = 0; at < 32; at += 1) {
      const digest = valueBytes(1, 32);
      digest[at] = (digest[at] ?? 0) ^ 1;
      add({ digest });
    }
    expect(digests.size).toBe(39);
  });
});
