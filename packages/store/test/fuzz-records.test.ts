import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { beforeAll, describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { isConclaveError } from '@conclave/kernel';
import { openSealed, SecretBytes } from '@conclave/sealed';
import { DAMAGE_KINDS, damaged, decodeHostile, FUZZ_RUNS } from '@conclave/testing';
import { singleEpoch } from '../src/cipher.js';
import type { StoreCipher } from '../src/cipher.js';
import { CHAIN_START, decodeEntryRecord, encodeEntryRecord } from '../src/entry-record.js';
import { decodeHead, encodeHead } from '../src/head-record.js';
import { decodeEpochs, encodeEpochs } from '../src/epoch-file.js';
import { Witness } from '../src/witness.js';
import { entry, RANDOM } from './fixture.js';

const damages = fc.array(
  fc.record({
    kind: fc.constantFrom(...DAMAGE_KINDS),
    at: fc.nat(),
    value: fc.integer({ min: 0, max: 255 }),
  }),
  { minLength: 1, maxLength: 4 },
);
const isRefusal = (error: unknown): boolean =>
  isConclaveError(error) && error.code === 'CV_LOG_DAMAGED';

let cipher: StoreCipher;
beforeAll(async () => {
  await openSealed();
  const key = SecretBytes.take(new Uint8Array(32).fill(7));
  cipher = { clusterId: 'cluster', nodeId: 'node', keys: singleEpoch(key), random: RANDOM };
});

describe('hostile bytes instead of', () => {
  test('the record of an entry: only the very bytes open', () => {
    const valid = encodeEntryRecord(cipher, entry(5), CHAIN_START);
    const read = (bytes: Uint8Array): unknown => decodeEntryRecord(cipher, 5, bytes, CHAIN_START);
    fc.assert(
      fc.property(damages, fc.uint8Array({ maxLength: 120 }), (how, invented) => {
        const bytes = damaged(valid, how);
        const opened = decodeHostile(() => read(bytes), isRefusal);
        if (!Buffer.from(bytes).equals(valid)) expect(opened).toBeUndefined();
        expect(decodeHostile(() => read(invented), isRefusal)).toBeUndefined();
      }),
      { numRuns: FUZZ_RUNS },
    );
  });

  test('the head of a store', () => {
    const hash = new Uint8Array(32);
    const valid = encodeHead(cipher, {
      writeCounter: 9,
      hardState: { term: 1, vote: 1, commit: 1 },
      appliedIndex: 1,
      snapshot: undefined,
      baseIndex: 0,
      baseHash: hash,
      lastIndex: 1,
      lastHash: hash,
    });
    fc.assert(
      fc.property(damages, fc.uint8Array({ maxLength: 120 }), (how, invented) => {
        const bytes = damaged(valid, how);
        const opened = decodeHostile(() => decodeHead(cipher, bytes), isRefusal);
        if (!Buffer.from(bytes).equals(valid)) expect(opened).toBeUndefined();
        expect(decodeHostile(() => decodeHead(cipher, invented), isRefusal)).toBeUndefined();
      }),
      { numRuns: FUZZ_RUNS },
    );
  });

  test('the keys of the epochs', () => {
    const key = SecretBytes.take(new Uint8Array(32).fill(9));
    const place = { clusterId: 'cluster', nodeId: 'node', key, random: RANDOM };
    const epochs = [1, 2].map((epoch) => ({ epoch, key: SecretBytes.random(RANDOM, 32) }));
    const valid = encodeEpochs(place, epochs);
    fc.assert(
      fc.property(damages, fc.uint8Array({ maxLength: 200 }), (how, invented) => {
        const bytes = damaged(valid, how);
        const opened = decodeHostile(() => decodeEpochs(place, bytes), isRefusal);
        if (!Buffer.from(bytes).equals(valid)) expect(opened).toBeUndefined();
        expect(decodeHostile(() => decodeEpochs(place, invented), isRefusal)).toBeUndefined();
      }),
      { numRuns: FUZZ_RUNS },
    );
  });

  test('the witness', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'conclave-fuzz-witness-'));
    const path = join(folder, 'witness');
    const key = SecretBytes.take(new Uint8Array(32).fill(9));
    const readBack = async (): Promise<number | undefined> => {
      const witness = await Witness.open(path, key);
      try {
        return await witness.read();
      } catch (error) {
        if (!isRefusal(error)) throw error;
        return undefined;
      } finally {
        await witness.close();
      }
    };
    const first = await Witness.open(path, key);
    first.note(7);
    await first.close();
    const valid = await readFile(path);
    expect(await readBack()).toBe(7);
    try {
      await fc.assert(
        fc.asyncProperty(damages, async (how) => {
          const bytes = damaged(valid, how);
          await writeFile(path, bytes);
          const seen = await readBack();
          // What follows the record is not read; an empty file says that none was noted.
          const isWhole = Buffer.from(bytes.subarray(0, valid.length)).equals(valid);
          expect(seen).toBe(isWhole ? 7 : bytes.length === 0 ? 0 : undefined);
        }),
        { numRuns: Math.min(FUZZ_RUNS, 5_000) },
      );
    } finally {
      await rm(folder, { recursive: true });
    }
  });
});
