import { describe, expect, test } from '@jest/globals';
import { LOG_STORE_CONTRACT } from '../../src/testing/index.js';
import type { LogStoreHarness } from '../../src/testing/index.js';
import { Coverage, Prng, runFullSimulation, shrinkFull, WalStorage } from '../../src/sim/index.js';
import type { DiskIo, FullRunResult, SimulatedStorage } from '../../src/sim/index.js';

const SMALL = { eventsMax: 1500 };

/** A disk that answers at once. */
const AT_ONCE: DiskIo = { work: (effect) => Promise.resolve().then(effect) };

describe('a run in full mode', () => {
  test('is the same for the same seed, and when its actions are replayed', async () => {
    const one = await runFullSimulation({ seed: 5, parameters: SMALL });
    expect(one.failure).toBeUndefined();
    expect(await runFullSimulation({ seed: 5, parameters: SMALL })).toEqual(one);
    const listed = await runFullSimulation({ seed: 5, parameters: SMALL, plan: one.plan });
    expect({ ...listed, events: 0 }).toEqual({ ...one, events: 0 });
  });

  test('commits, meets faults of disks and comes to rest', async () => {
    const coverage = new Coverage();
    let commit = 0;
    for (let seed = 1; seed <= 8; seed++) {
      const result = await runFullSimulation({ seed, parameters: SMALL, coverage });
      expect(result.failure).toBeUndefined();
      commit += result.commit;
    }
    expect(commit).toBeGreaterThan(100);
    expect(coverage.counts().get('the disk fails at the start') ?? 0).toBeGreaterThan(0);
  });
});

/** Says that it has synced, and has not. */
function forgetful(storage: SimulatedStorage): SimulatedStorage {
  return {
    open: (io) => {
      const store = storage.open(io);
      return {
        load: () => store.load(),
        write: (batch) => store.write(batch, { sync: false }),
        compact: (index) => store.compact(index),
      };
    },
    crash: () => {
      storage.crash();
    },
    rot: () => storage.rot(),
  };
}

describe('a log store that does not sync', () => {
  const SEEDS_MAX = 10;
  const createStorage = (prng: Prng): SimulatedStorage => forgetful(new WalStorage(prng));

  test(`is noticed within ${SEEDS_MAX} seeds, and shrinks`, async () => {
    let found: FullRunResult | undefined;
    for (let seed = 1; seed <= SEEDS_MAX && found?.failure === undefined; seed++) {
      found = await runFullSimulation({ seed, parameters: SMALL, createStorage });
    }
    expect(found?.failure?.invariant).toBe('5 nothing withdrawn');
    const failed = found as FullRunResult;
    const scenario = await shrinkFull(failed, { createStorage, runsMax: 20 });
    expect(scenario.plan.length).toBeLessThanOrEqual(failed.plan.length);
    const again = await runFullSimulation({ ...scenario, createStorage });
    expect(again.failure?.invariant).toBe(failed.failure?.invariant);
  });
});

describe('the log store of the simulator', () => {
  const createHarness = (): Promise<LogStoreHarness> => {
    const storage = new WalStorage(new Prng(1));
    return Promise.resolve({
      open: () => Promise.resolve(storage.open(AT_ONCE)),
      close: () => Promise.resolve(),
      loseUnsynced: () => {
        storage.crash();
        return Promise.resolve();
      },
      dispose: () => Promise.resolve(),
    });
  };

  test.each(LOG_STORE_CONTRACT)('$name', ({ run }) => run(createHarness));

  test('refuses to start from damage, and cuts a torn end', async () => {
    for (let seed = 1; seed <= 40; seed++) {
      const storage = new WalStorage(new Prng(seed));
      const store = storage.open(AT_ONCE);
      await store.load();
      const data = new Uint8Array(2000).fill(seed);
      const entry = { type: 'EntryNormal', term: 1, index: 1, data } as const;
      const hardState = { term: 1, vote: 1, commit: 0 };
      await store.write({ entries: [entry], hardState }, { sync: true });
      await store.write({ entries: [{ ...entry, index: 2 }] }, { sync: false });
      storage.crash();
      const { entries } = await storage.open(AT_ONCE).load();
      expect(entries[0]).toEqual(entry);
      expect(entries.length).toBeLessThanOrEqual(2);
      expect(storage.rot()).toBe(true);
      await expect(storage.open(AT_ONCE).load()).rejects.toMatchObject({ reason: 'damaged' });
    }
  });
});
