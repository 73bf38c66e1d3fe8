import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { Arena } from '../src/arena.js';
import { restoreState, stateDigest } from '../src/index.js';
import { PackReader, PackWriter } from '../src/packing.js';
import { Bench, sameBytes, valueBytes } from './support/bench.js';

const step = fc.record({
  seed: fc.nat(255),
  size: fc.oneof(
    { weight: 8, arbitrary: fc.integer({ min: 0, max: 3000 }) },
    { weight: 1, arbitrary: fc.integer({ min: 60_000, max: 70_000 }) },
  ),
  isFreed: fc.boolean(),
});

describe('the arena', () => {
  test('gives back what was written, whatever was freed and moved', () => {
    fc.assert(
      fc.property(fc.array(step, { minLength: 50, maxLength: 400 }), (steps) => {
        const arena = new Arena();
        const model = new Map<number, Uint8Array>();
        for (const { seed, size, isFreed } of steps) {
          const record = valueBytes(seed, size);
          const address = arena.write(record);
          expect(model.has(address)).toBe(false);
          model.set(address, record);
          const [oldest] = model.keys();
          if (!isFreed || oldest === undefined) continue;
          arena.free(oldest);
          model.delete(oldest);
        }
        for (const [address, record] of model) {
          expect(sameBytes(arena.read(address), record)).toBe(true);
        }
      }),
      { numRuns: 30 },
    );
  });

  test('moving what is left of wasted slabs ends the waste', () => {
    const arena = new Arena();
    const addresses = Array.from({ length: 4000 }, (_, place) =>
      arena.write(valueBytes(place, 999)),
    );
    const left: number[] = [];
    for (const [place, address] of addresses.entries()) {
      if (place % 10 === 0) left.push(address);
      else arena.free(address);
    }
    expect(arena.isWasteful).toBe(true);
    const frozen = arena.freeze();
    const isWasted = arena.wasted();
    const moved = left.map((address) => {
      if (!isWasted(address)) return address;
      const copy = arena.write(arena.read(address));
      arena.free(address);
      return copy;
    });
    expect(arena.isWasteful).toBe(false);
    for (const [place, address] of moved.entries()) {
      const record = valueBytes(place * 10, 999);
      expect(sameBytes(arena.read(address), record)).toBe(true);
      expect(sameBytes(frozen.read(left[place] ?? 0), record)).toBe(true);
    }
  });
});

describe('packing', () => {
  test('numbers, texts and bytes come back', () => {
    const number = fc.oneof(fc.nat(), fc.maxSafeNat(), fc.constantFrom(127, 128, 2 ** 53 - 1));
    const text = fc.string({ unit: 'binary', maxLength: 40 });
    const bytes = fc.uint8Array({ maxLength: 300 });
    fc.assert(
      fc.property(fc.array(fc.tuple(number, text, bytes)), (items) => {
        const writer = new PackWriter();
        for (const [a, b, c] of items) {
          writer.number(a);
          writer.text(b);
          writer.bytes(c);
        }
        const reader = new PackReader(writer.finish());
        for (const item of items) {
          expect([reader.number(), reader.text(), reader.bytes()]).toEqual(item);
        }
        expect(reader.rest()).toHaveLength(0);
      }),
    );
  });
});

describe('secrets in the arena', () => {
  test('survive many rewrites and destroyed values, in the state and in what was frozen', () => {
    const bench = new Bench();
    const kept = new Map<string, number>();
    const seal = (seed: number) => ({
      keyId: 1,
      wrappedDek: valueBytes(seed, 90),
      envelope: valueBytes(seed, 20_000 + (seed % 7) * 10_000),
      size: 64,
    });
    const frozen: { rows: () => Uint8Array[]; digest: string }[] = [];
    for (let seed = 1; seed <= 400; seed += 1) {
      const name = `s${seed % 20}`;
      bench.ok(bench.setCommand(name, seed, { sealed: seal(seed) }));
      const version = bench.state.secretByName(name)?.latestVersion ?? 0;
      kept.set(name, seed);
      if (version > 1 && seed % 3 > 0) {
        const id = `id-${name}`;
        bench.apply({
          kind: 'secret.destroy-version',
          id,
          version: version - 1,
          force: true,
        });
      }
      if (seed % 50 === 0) {
        const view = bench.state.freeze();
        frozen.push({ rows: () => [...view.chunks()], digest: view.digest });
      }
    }
    for (const [name, seed] of kept) {
      const version = bench.state.secretByName(name)?.currentVersion ?? 0;
      const sealed = bench.state.secretVersion(`id-${name}`, version)?.sealed;
      expect(sameBytes(sealed?.envelope ?? new Uint8Array(), seal(seed).envelope)).toBe(true);
    }
    for (const { rows, digest } of frozen) {
      expect(stateDigest(restoreState(rows()))).toBe(digest);
    }
  });
});
