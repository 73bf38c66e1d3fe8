import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { concatBytes, isConclaveError } from '@conclave/kernel';
import {
  DAMAGE_KINDS,
  damaged,
  decodeHostile,
  FUZZ_RUNS,
  LOADED_NAMES,
  pollution,
} from '@conclave/testing';
import { decodeCbor, encodeCbor } from '../src/cbor.js';
import { decodeCommand, encodeCommand, restoreState, StateRestorer } from '../src/index.js';
import { Bench } from './support/bench.js';
import { furnish } from './support/random-commands.js';
import { sampleCommands } from './support/samples.js';

const damages = fc.array(
  fc.record({
    kind: fc.constantFrom(...DAMAGE_KINDS),
    at: fc.nat(),
    value: fc.integer({ min: 0, max: 255 }),
  }),
  { minLength: 1, maxLength: 4 },
);

const isOf =
  (code: string) =>
  (error: unknown): boolean =>
    isConclaveError(error) && error.code === code;

describe('hostile bytes instead of', () => {
  test('a command', () => {
    const samples = sampleCommands().map(encodeCommand);
    fc.assert(
      fc.property(fc.constantFrom(...samples), damages, (sample, how) => {
        const bytes = damaged(sample, how);
        const command = decodeHostile(() => decodeCommand(bytes), isOf('CV_PROTOCOL'));
        // What may be committed reads the same on every manager, for ever.
        if (command !== undefined) {
          expect(decodeCommand(encodeCommand(command))).toEqual(command);
        }
      }),
      { numRuns: FUZZ_RUNS },
    );
  });

  test('a command, invented', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 300 }), (bytes) => {
        decodeHostile(() => decodeCommand(bytes), isOf('CV_PROTOCOL'));
      }),
      { numRuns: FUZZ_RUNS },
    );
  });

  test('a snapshot: damaged, cut into other chunks, or invented', () => {
    const bench = new Bench();
    furnish(bench);
    const valid = concatBytes(...bench.state.freeze().chunks());
    fc.assert(
      fc.property(damages, fc.integer({ min: 1, max: 5_000 }), (how, size) => {
        const bytes = damaged(valid, how);
        const chunks: Uint8Array[] = [];
        for (let at = 0; at < bytes.length; at += size) chunks.push(bytes.slice(at, at + size));
        const restored = decodeHostile(() => restoreState(chunks), isOf('CV_SNAPSHOT_DAMAGED'));
        if (!Buffer.from(bytes).equals(valid)) expect(restored).toBeUndefined();
      }),
      { numRuns: Math.min(FUZZ_RUNS, 100_000) },
    );
  });

  test('a chunk of a snapshot that announces more than it has', () => {
    fc.assert(
      fc.property(fc.uint8Array({ minLength: 4, maxLength: 60 }), (bytes) => {
        const restorer = new StateRestorer();
        decodeHostile(() => restorer.push(bytes), isOf('CV_SNAPSHOT_DAMAGED'));
      }),
      { numRuns: FUZZ_RUNS },
    );
  });
});

// Attack row M09.
describe('names that mean something to the engine', () => {
  const pairs = LOADED_NAMES.map((name) => [name, 'polluted'] as const);

  test('are labels like any other, from the entry to the snapshot and back', () => {
    const bench = new Bench();
    furnish(bench);
    const [node] = [...bench.state.nodes()];
    if (node === undefined) throw new Error('a node');
    const labelsSet = Object.fromEntries(pairs);
    const { id, objectVersion } = node;
    const rest = { availability: undefined, labelsRemove: [] };
    bench.ok({ kind: 'node.update', id, objectVersion, labelsSet, ...rest });
    const restored = restoreState([...bench.state.freeze().chunks()]);
    for (const state of [bench.state, restored]) {
      const { labels = {} } = state.nodeById(node.id) ?? {};
      expect(Object.entries(labels)).toEqual(expect.arrayContaining([...pairs]));
      expect(Object.getPrototypeOf(labels)).toBe(Object.prototype);
    }
    expect(pollution()).toEqual([]);
  });

  test('are unknown fields of an entry, wherever they stand', () => {
    for (const sample of sampleCommands().map(encodeCommand)) {
      // Behind one byte of format.
      const plain = decodeCbor(sample.slice(1)) as object;
      for (const name of LOADED_NAMES) {
        const forged = Object.fromEntries([...Object.entries(plain), [name, { polluted: true }]]);
        const entry = concatBytes(sample.slice(0, 1), encodeCbor(forged));
        expect(() => decodeCommand(entry)).toThrow(
          expect.objectContaining({ code: 'CV_PROTOCOL' }),
        );
      }
    }
    expect(pollution()).toEqual([]);
  });
});
