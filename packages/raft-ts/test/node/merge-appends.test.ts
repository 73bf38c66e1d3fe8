import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { LOCAL_APPEND_THREAD, message } from '../../src/index.js';
import type { Entry, MsgStorageAppend, Snapshot } from '../../src/index.js';
import { LogImage } from '../../src/node/log-image.js';
import { hardStateOf, isEmptyBatch, mergeAppends } from '../../src/node/merge-appends.js';
import type { AppendWork } from '../../src/node/merge-appends.js';

const CONF = { voters: [1], votersOutgoing: [], learners: [], learnersNext: [], autoLeave: false };

function entries(from: number, count: number, term: number): Entry[] {
  return Array.from({ length: count }, (_, i) => ({
    type: 'EntryNormal',
    term,
    index: from + i,
    data: Uint8Array.of(term, i),
  }));
}

function snapshot(index: number, term: number): Snapshot {
  return { data: new Uint8Array(1), metadata: { index, term, confState: CONF } };
}

function append(fields: Partial<MsgStorageAppend>): AppendWork {
  return {
    kind: 'append',
    message: message('MsgStorageAppend', { to: LOCAL_APPEND_THREAD, from: 1, ...fields }),
  };
}

/** One work at a time, the way it must look after the merged batch as well. */
function oneByOne(works: readonly AppendWork[]): LogImage {
  const image = start();
  for (const work of works) image.change({ kind: 'write', batch: mergeAppends([work]) });
  return image;
}

function start(): LogImage {
  const image = new LogImage();
  const hardState = { term: 1, vote: 0, commit: 0 };
  image.change({ kind: 'write', batch: { entries: entries(1, 10, 1), hardState } });
  return image;
}

/** Valid works after `start`: truncations, appends, snapshots of both kinds. */
const worksArbitrary = fc
  .array(
    fc.record({
      what: fc.constantFrom('entries', 'hardState', 'snapshot', 'ownSnapshot', 'nothing'),
      back: fc.integer({ min: 0, max: 6 }),
      count: fc.integer({ min: 1, max: 5 }),
    }),
    { maxLength: 12 },
  )
  .map((steps) => {
    let last = 10;
    let base = 0;
    let term = 1;
    return steps.map(({ what, back, count }): AppendWork => {
      term += 1;
      if (what === 'entries') {
        const from = Math.max(base, last - back) + 1;
        last = from + count - 1;
        return append({ term, vote: 1, commit: base, entries: entries(from, count, term) });
      }
      if (what === 'snapshot') {
        base = last + back;
        last = base + count;
        const fields = { term, commit: base, snapshot: snapshot(base, term) };
        return append({ ...fields, entries: entries(base + 1, count, term) });
      }
      if (what === 'ownSnapshot') {
        base = Math.max(base, last - back);
        return { kind: 'ownSnapshot', snapshot: snapshot(base, term) };
      }
      return what === 'hardState' ? append({ term, vote: 2, commit: base }) : append({});
    });
  });

describe('merging storage work', () => {
  test('one merged batch leaves what the single batches leave', () => {
    fc.assert(
      fc.property(worksArbitrary, (works) => {
        const merged = start();
        merged.change({ kind: 'write', batch: mergeAppends(works) });
        const expected = oneByOne(works);
        expect(merged.entries).toEqual(expected.entries);
        expect(merged.hardState).toEqual(expected.hardState);
        expect(merged.snapshot).toEqual(expected.snapshot);
      }),
      { numRuns: 500 },
    );
  });

  test('a gap between queued entries is a violated invariant', () => {
    const works = [append({ entries: entries(1, 2, 1) }), append({ entries: entries(4, 1, 1) })];
    expect(() => mergeAppends(works)).toThrow(expect.objectContaining({ code: 'INVARIANT' }));
  });

  test('a message that only carries responses needs no write', () => {
    expect(isEmptyBatch(mergeAppends([append({})]))).toBe(true);
    expect(isEmptyBatch(mergeAppends([append({ term: 3 })]))).toBe(false);
  });

  test('the hard state is absent when all its fields are zero', () => {
    const of = (fields: Partial<MsgStorageAppend>) => {
      const work = append(fields);
      return work.kind === 'append' ? hardStateOf(work.message) : undefined;
    };
    expect(of({})).toBeUndefined();
    expect(of({ term: 2, commit: 1 })).toEqual({ term: 2, vote: 0, commit: 1 });
  });
});
