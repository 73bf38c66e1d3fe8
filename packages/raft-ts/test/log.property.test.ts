import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import type { Entry, EntryId } from '../src/index.js';
import { entrySize, MemoryStorage } from '../src/index.js';
import { RaftLog } from '../src/log.js';
import { Reporter } from '../src/reporter.js';

const NO_LIMIT = Number.POSITIVE_INFINITY;

/** The whole log as a list of terms; the number of stored entries and the commit index beside. */
interface Model {
  terms: number[];
  committed: number;
}

interface Real {
  readonly log: RaftLog;
  readonly storage: MemoryStorage;
  /** Writes that are going on: entries, and the last entry of the log at that time. */
  readonly writes: { readonly entries: readonly Entry[]; readonly last: EntryId; term: number }[];
  term: number;
}

function entriesOf(terms: readonly number[], from: number): Entry[] {
  return terms.map((term, i) => ({
    term,
    index: from + i,
    type: 'EntryNormal' as const,
    data: new Uint8Array((from + i) % 5),
  }));
}

function check(model: Model, { log }: Real): void {
  expect(log.lastIndex()).toBe(model.terms.length);
  model.terms.forEach((term, i) => expect(log.term(i + 1)).toBe(term));
  expect(log.term(model.terms.length + 1)).toBe('unavailable');
  expect(log.committed).toBe(model.committed);
  if (model.terms.length === 0) return;
  const all = log.slice(1, model.terms.length + 1, NO_LIMIT);
  expect(all).toEqual(entriesOf(model.terms, 1));
}

class Append implements fc.Command<Model, Real> {
  readonly base: number;
  readonly steps: readonly number[];
  readonly commit: number;

  constructor(base: number, steps: readonly number[], commit: number) {
    this.base = base;
    this.steps = steps;
    this.commit = commit;
  }

  check = (): boolean => true;

  /** A leader of a later term whose log has this base, if it is not behind the commit index. */
  run(model: Model, real: Real): void {
    const base = model.committed + (this.base % (model.terms.length - model.committed + 1));
    const previousTerm = base === 0 ? 0 : (model.terms[base - 1] as number);
    real.term++;
    let term = Math.max(previousTerm, 1);
    const terms = this.steps.map((step) => (term = Math.min(term + step, real.term)));
    const entries = entriesOf(terms, base + 1);
    const conflict = terms.findIndex((t, i) => model.terms[base + i] !== t);
    if (conflict >= 0) model.terms = [...model.terms.slice(0, base), ...terms];
    const last = base + terms.length;
    model.committed = Math.max(model.committed, Math.min(this.commit, last));
    const previous = { term: previousTerm, index: base };
    expect(real.log.maybeAppend({ previous, entries }, this.commit)).toBe(last);
    check(model, real);
  }

  toString = (): string => `append(${this.base}, [${this.steps.join()}], ${this.commit})`;
}

class StartWrite implements fc.Command<Model, Real> {
  check = (): boolean => true;

  run(model: Model, real: Real): void {
    const { unstable } = real.log;
    const entries = unstable.nextEntries();
    unstable.acceptInProgress();
    expect(unstable.hasNextEntries()).toBe(false);
    if (unstable.length > 0) {
      real.writes.push({ entries, last: real.log.lastId(), term: real.term });
    }
    check(model, real);
  }

  toString = (): string => 'startWrite';
}

class FinishWrite implements fc.Command<Model, Real> {
  check = (): boolean => true;

  run(model: Model, real: Real): void {
    const write = real.writes.shift();
    if (write === undefined) return;
    real.storage.append(write.entries);
    // As in step: an acknowledgment of an earlier term does not count.
    if (write.term === real.term) real.log.unstable.stableTo(write.last);
    check(model, real);
  }

  toString = (): string => 'finishWrite';
}

const commands = fc.commands(
  [
    fc
      .tuple(fc.nat(20), fc.array(fc.nat(2), { minLength: 0, maxLength: 5 }), fc.nat(12))
      .map(([base, steps, commit]) => new Append(base, steps, commit)),
    fc.constant(new StartWrite()),
    fc.constant(new FinishWrite()),
  ],
  { maxCommands: 60 },
);

describe('the log', () => {
  test('is one list, wherever its entries are', () => {
    fc.assert(
      fc.property(commands, (list) => {
        const storage = new MemoryStorage();
        const log = new RaftLog(storage, new Reporter(undefined), NO_LIMIT);
        const model: Model = { terms: [], committed: 0 };
        const real: Real = { log, storage, writes: [], term: 0 };
        fc.modelRun(() => ({ model, real }), list);
        // Everything was handed out to be written, also what replaced something in progress.
        new StartWrite().run(model, real);
        while (real.writes.length > 0) new FinishWrite().run(model, real);
        expect(storage.lastIndex()).toBe(model.terms.length);
        model.terms.forEach((term, i) => expect(storage.term(i + 1)).toBe(term));
      }),
      { numRuns: 150 },
    );
  });

  test('cuts to a size, with at least one entry, across storage and unstable part', () => {
    fc.assert(
      fc.property(fc.nat(10), fc.nat(10), fc.nat(60), fc.nat(), (stored, unstable, sizeMax, at) => {
        const storage = new MemoryStorage();
        const all = entriesOf(
          Array.from({ length: stored + unstable }, () => 1),
          1,
        );
        storage.append(all.slice(0, stored));
        const log = new RaftLog(storage, new Reporter(undefined), NO_LIMIT);
        log.append(all.slice(stored));
        if (all.length === 0) return;
        const lo = 1 + (at % all.length);
        const expected: Entry[] = [];
        let size = 0;
        for (const entry of all.slice(lo - 1)) {
          size += entrySize(entry);
          if (expected.length > 0 && size > sizeMax) break;
          expected.push(entry);
        }
        expect(log.slice(lo, all.length + 1, sizeMax)).toEqual(expected);
      }),
      { numRuns: 150 },
    );
  });

  test('finds where logs may agree', () => {
    const storage = new MemoryStorage();
    storage.append(entriesOf([1, 3, 3, 4, 4, 5], 1));
    const log = new RaftLog(storage, new Reporter(undefined), NO_LIMIT);
    expect(log.findConflictByTerm(6, 3)).toEqual({ term: 3, index: 3 });
    expect(log.findConflictByTerm(6, 2)).toEqual({ term: 1, index: 1 });
    expect(log.findConflictByTerm(6, 0)).toEqual({ term: 0, index: 0 });
    storage.compact(4);
    expect(log.findConflictByTerm(6, 4)).toEqual({ term: 4, index: 5 });
    expect(log.findConflictByTerm(5, 3)).toEqual({ term: 0, index: 3 });
  });

  test('keeps the quota until applied entries are acknowledged', () => {
    const storage = new MemoryStorage();
    const all = entriesOf([1, 1, 1, 1], 1);
    storage.append(all);
    const size = entrySize(all[0] as Entry);
    const log = new RaftLog(storage, new Reporter(undefined), size + 1);
    log.commitTo(4);
    const first = log.nextCommitted(true);
    expect(first.map(({ index }) => index)).toEqual([1]);
    log.acceptApplying(1, size, true);
    expect(log.hasNextCommitted(true)).toBe(false);
    log.appliedTo(1, size);
    expect(log.nextCommitted(true).map(({ index }) => index)).toEqual([2]);
  });
});
