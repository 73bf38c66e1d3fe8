import { describe, expect, test } from '@jest/globals';
import { concatBytes } from '@conclave/kernel';
import { decode } from 'cborg';
import fc from 'fast-check';
import {
  decodeCommand,
  encodeCommand,
  isEnded,
  restoreState,
  State,
  stateDigest,
  stateRank,
} from '../src/index.js';
import type { ChangeBatch, Command, CommandResult } from '../src/index.js';
import { Bench } from './support/bench.js';
import { checkIntegrity, replayed, watchedRows } from './support/integrity.js';
import { applyOutline, furnish, outlines } from './support/random-commands.js';
import type { Outline } from './support/random-commands.js';
import { sampleCommands } from './support/samples.js';

/** Rows of the tables whose oldest rows go first, in their order: the digest does not tell it. */
function orderedRows(state: State): unknown[] {
  const bytes = concatBytes(...state.freeze().chunks());
  const rows: unknown[] = [];
  let offset = 0;
  while (offset < bytes.length) {
    const size = new DataView(bytes.buffer, offset).getUint32(0);
    const record = decode(bytes.subarray(offset + 4, offset + 4 + size)) as [string, unknown];
    if (['admins', 'exposure', 'requests', 'tokens'].includes(record[0])) rows.push(record);
    offset += 4 + size;
  }
  return rows;
}

interface Run {
  readonly bench: Bench;
  readonly batches: readonly ChangeBatch[];
}

function run(all: readonly Outline[]): Run {
  const bench = new Bench();
  const batches: ChangeBatch[] = [];
  bench.state.watch((batch) => batches.push(batch));
  furnish(bench);
  for (const outline of all) applyOutline(bench, outline);
  return { bench, batches };
}

function replay(state: State, commands: readonly Command[]): CommandResult[] {
  return commands.map((command) =>
    state.apply(state.appliedIndex + 1, decodeCommand(encodeCommand(command))),
  );
}

describe('random commands', () => {
  test('reach most of what can happen', () => {
    const accepted = new Set<string>();
    const refused = new Map<string, number>();
    // A fixed seed: this is about the commands, not about the state.
    for (const all of fc.sample(outlines, { numRuns: 120, seed: 7 })) {
      const { bench } = run(all);
      for (const [place, result] of replay(new State(), bench.log).entries()) {
        if (result.ok) accepted.add(bench.log[place]?.kind ?? '');
        else refused.set(result.code, (refused.get(result.code) ?? 0) + 1);
      }
    }
    expect(refused.has('CV_INTERNAL')).toBe(false);
    const kinds = new Set(sampleCommands().map((command) => command.kind));
    kinds.delete('node.addresses');
    expect([...kinds].filter((kind) => !accepted.has(kind))).toEqual([]);
    const codes = [
      'CV_ARGUMENT_INVALID',
      'CV_IDEMPOTENCY_REUSED',
      'CV_NAME_TAKEN',
      'CV_NODE_IN_USE',
      'CV_UNAUTHENTICATED',
      'CV_SECRET_IN_USE',
      'CV_TOKEN_INVALID',
      'CV_VERSION_NOT_FOUND',
      'CV_VERSION_STALE',
    ];
    expect(codes.filter((code) => (refused.get(code) ?? 0) < 5)).toEqual([]);
  });

  test('two managers with the same log agree on state, answers and changes', () => {
    fc.assert(
      fc.property(outlines, (all) => {
        const { bench, batches } = run(all);
        const other = new State();
        const heard: ChangeBatch[] = [];
        other.watch((batch) => heard.push(batch));
        replay(other, bench.log);
        expect(stateDigest(other)).toBe(stateDigest(bench.state));
        expect(heard).toEqual(batches);
        expect(other.counts()).toEqual(bench.state.counts());
      }),
      { numRuns: 30 },
    );
  });

  test('a snapshot at any point and the rest of the log make the same state', () => {
    fc.assert(
      fc.property(outlines, fc.nat(), (all, pick) => {
        const { bench, batches } = run(all);
        const cut = pick % bench.log.length;
        const first = new State();
        replay(first, bench.log.slice(0, cut));
        const restored = restoreState(first.freeze().chunks());
        expect(restored.appliedIndex).toBe(cut);
        expect(watchedRows(restored)).toEqual(watchedRows(first));
        const heard: ChangeBatch[] = [];
        restored.watch((batch) => heard.push(batch));
        replay(restored, bench.log.slice(cut));
        expect(stateDigest(restored)).toBe(stateDigest(bench.state));
        expect(heard).toEqual(batches.filter(({ index }) => index > cut));
        expect(orderedRows(restored)).toEqual(orderedRows(bench.state));
        checkIntegrity(restored);
        // Also through a snapshot of the restored one.
        const again = restoreState(restored.freeze().chunks());
        expect(stateDigest(again)).toBe(stateDigest(bench.state));
        expect(watchedRows(again)).toEqual(watchedRows(bench.state));
      }),
      { numRuns: 25 },
    );
  });

  test('a frozen view stays what it was while writes go on', () => {
    fc.assert(
      fc.property(outlines, fc.nat(), (all, pick) => {
        const bench = new Bench();
        furnish(bench);
        const cut = pick % all.length;
        for (const outline of all.slice(0, cut)) applyOutline(bench, outline);
        const view = bench.state.freeze();
        const digest = stateDigest(bench.state);
        const rows = watchedRows(bench.state);
        const chunks = view.chunks()[Symbol.iterator]();
        for (const outline of all.slice(cut)) applyOutline(bench, outline);
        const late: Uint8Array[] = [];
        for (let next = chunks.next(); next.done !== true; next = chunks.next()) {
          late.push(next.value);
        }
        expect(view.digest).toBe(digest);
        const restored = restoreState(late);
        expect(stateDigest(restored)).toBe(digest);
        expect(watchedRows(restored)).toEqual(rows);
        expect([...view.chunks()]).toEqual(late);
      }),
      { numRuns: 25 },
    );
  });

  test('the changes that watchers hear make up the state', () => {
    fc.assert(
      fc.property(outlines, (all) => {
        const { bench, batches } = run(all);
        expect(replayed(batches)).toEqual(watchedRows(bench.state));
        expect(bench.state.changesSince(0)).toEqual(batches);
      }),
      { numRuns: 25 },
    );
  });

  test('indexes, references and exposure hold after every command', () => {
    fc.assert(
      fc.property(outlines, (all) => {
        const bench = new Bench();
        furnish(bench);
        for (const [place, outline] of all.entries()) {
          applyOutline(bench, outline);
          if (place % 5 === 0) checkIntegrity(bench.state);
        }
        checkIntegrity(bench.state);
      }),
      { numRuns: 30 },
    );
  });

  test('tasks only move forward, and ended ones move no more', () => {
    fc.assert(
      fc.property(outlines, (all) => {
        for (const { changes } of run(all).batches) {
          for (const change of changes) {
            if (change.kind !== 'task' || change.before === undefined) continue;
            const { before, after } = change;
            if (after === undefined) {
              expect(isEnded(before.state)).toBe(true);
              continue;
            }
            expect(stateRank(after.state)).toBeGreaterThanOrEqual(stateRank(before.state));
            if (isEnded(before.state)) expect(after.state).toBe(before.state);
            if (before.nodeId !== '') expect(after.nodeId).toBe(before.nodeId);
          }
        }
      }),
      { numRuns: 30 },
    );
  });
});
