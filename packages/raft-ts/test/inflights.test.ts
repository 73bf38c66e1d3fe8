import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { Inflights } from '../src/inflights.js';
import { Progress } from '../src/progress.js';

describe('inflights', () => {
  test('is a queue with two limits', () => {
    const operation = fc.oneof(
      fc.record({ add: fc.nat(20) }),
      fc.record({ free: fc.nat(40) }),
      fc.constant({ reset: true }),
    );
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: 20 }),
        fc.option(fc.integer({ min: 1, max: 100 }), { nil: undefined }),
        fc.array(operation, { maxLength: 100 }),
        (maxInflightMsgs, maxInflightBytes, operations) => {
          const limits =
            maxInflightBytes === undefined
              ? { maxInflightMsgs }
              : { maxInflightMsgs, maxInflightBytes };
          const window = new Inflights(limits);
          let model: { index: number; bytes: number }[] = [];
          let index = 0;
          for (const step of operations) {
            if ('reset' in step) {
              window.reset();
              model = [];
            } else if ('free' in step) {
              const to = index - 20 + step.free;
              window.freeTo(to);
              model = model.filter((m) => m.index > to);
            } else if (window.full) {
              expect(() => window.add(index + 1, step.add)).toThrow('Full');
            } else {
              index += 2;
              window.add(index, step.add);
              model.push({ index, bytes: step.add });
            }
            const bytes = model.reduce((sum, m) => sum + m.bytes, 0);
            const full = model.length >= maxInflightMsgs || bytes >= (maxInflightBytes ?? Infinity);
            expect({ count: window.count, bytes: window.bytes, full: window.full }).toEqual({
              count: model.length,
              bytes,
              full,
            });
          }
        },
      ),
      { numRuns: 500 },
    );
  });
});

describe('progress', () => {
  function progress(): Progress {
    return new Progress(10, false, new Inflights({ maxInflightMsgs: 2 }));
  }

  test('a probe waits for its answer', () => {
    const p = progress();
    expect(p.paused).toBe(false);
    p.sentEntries(1, 0);
    expect(p.paused).toBe(true);
    expect(p.next).toBe(10);
    expect(p.maybeUpdate(9)).toBe(true);
    expect(p.paused).toBe(false);
  });

  test('replication waits for nothing but a full window', () => {
    const p = progress();
    p.becomeReplicate();
    p.sentEntries(2, 5);
    expect(p).toMatchObject({ next: 3, paused: false });
    p.sentEntries(1, 5);
    expect(p).toMatchObject({ next: 4, paused: true });
  });

  test('after a snapshot, probing starts behind it, unless it failed', () => {
    const p = progress();
    p.becomeSnapshot(20);
    expect(p).toMatchObject({ paused: true, next: 21 });
    p.becomeProbe();
    expect(p.next).toBe(21);
    p.becomeSnapshot(30);
    p.pendingSnapshot = 0;
    p.becomeProbe();
    expect(p.next).toBe(1);
  });

  test('rejections count only for what is outstanding, and never below the match', () => {
    const p = progress();
    expect(p.maybeDecreaseTo(8, 3)).toBe(false);
    expect(p.maybeDecreaseTo(9, 3)).toBe(true);
    expect(p.next).toBe(4);
    p.maybeUpdate(6);
    p.becomeReplicate();
    p.sentEntries(3, 0);
    expect(p.maybeDecreaseTo(6, 2)).toBe(false);
    expect(p.maybeDecreaseTo(8, 2)).toBe(true);
    expect(p.next).toBe(7);
  });

  test('match stays below next, whatever happens', () => {
    const operation = fc.record({ kind: fc.nat(7), value: fc.nat(30) });
    fc.assert(
      fc.property(fc.array(operation, { maxLength: 60 }), (operations) => {
        const p = progress();
        for (const { kind, value } of operations) {
          if (kind === 0) p.maybeUpdate(value);
          else if (kind === 1) p.maybeDecreaseTo(value, value >> 1);
          else if (kind === 2) p.becomeProbe();
          else if (kind === 3) p.becomeReplicate();
          else if (kind === 4) p.becomeSnapshot(p.match + value);
          else if (kind === 5 && !p.paused && !p.inflights.full) p.sentEntries(value % 3, value);
          else if (kind === 6) p.inflights.freeTo(value);
          else if (kind === 7) p.reset(0, value + 1);
          expect(p.match).toBeLessThan(p.next);
        }
      }),
      { numRuns: 500 },
    );
  });
});
