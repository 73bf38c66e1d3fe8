import { describe, expect, test } from '@jest/globals';
import {
  LOG_STORE_CONTRACT,
  LogStoreContractError,
  MemoryLogStore,
} from '../../src/testing/index.js';
import type { LogStoreHarness } from '../../src/testing/index.js';

const createHarness = (): Promise<LogStoreHarness> => {
  let store = new MemoryLogStore();
  return Promise.resolve({
    open: () => Promise.resolve(store),
    close: () => {
      store = store.reopen();
      return Promise.resolve();
    },
    loseUnsynced: () => {
      store = store.crash();
      return Promise.resolve();
    },
    dispose: () => Promise.resolve(),
  });
};

describe('MemoryLogStore keeps the contract of LogStore', () => {
  test.each(LOG_STORE_CONTRACT)('$name', ({ run }) => run(createHarness));
});

test('the contract notices a store that forgets the last write', async () => {
  let notices = 0;
  for (const { run } of LOG_STORE_CONTRACT) {
    let store = new MemoryLogStore();
    const forgetful = async (): Promise<LogStoreHarness> => ({
      ...(await createHarness()),
      open: () => Promise.resolve(store),
      close: () => {
        store = new MemoryLogStore();
        return Promise.resolve();
      },
      loseUnsynced: () => {
        store = new MemoryLogStore();
        return Promise.resolve();
      },
    });
    await run(forgetful).catch((error: unknown) => {
      if (error instanceof LogStoreContractError) notices++;
    });
  }
  // All but the one that expects nothing.
  expect(notices).toBeGreaterThanOrEqual(LOG_STORE_CONTRACT.length - 3);
});

const entry = (index: number) =>
  ({ type: 'EntryNormal', term: 1, index, data: new Uint8Array(1) }) as const;

describe('faults of MemoryLogStore', () => {
  test('a failed write has no effect, and nothing works afterwards', async () => {
    const store = new MemoryLogStore({ beforeWrite: () => Promise.reject(new Error('EIO')) });
    await expect(store.write({ entries: [entry(1)] }, { sync: true })).rejects.toThrow('EIO');
    expect(store.current.entries).toEqual([]);
    await expect(store.write({ entries: [] }, { sync: true })).rejects.toMatchObject({
      code: 'STORE_FAILED',
    });
  });

  test('a write that is open when the power goes has no effect', async () => {
    let release = (): void => undefined;
    const store = new MemoryLogStore({
      beforeWrite: () => new Promise((resolve) => (release = resolve)),
    });
    const write = store.write({ entries: [entry(1)] }, { sync: true });
    const next = store.crash();
    release();
    await expect(write).rejects.toMatchObject({ code: 'STORE_FAILED' });
    expect((await next.load()).entries).toEqual([]);
  });

  test.each([
    ['a gap', { entries: [entry(2)] }],
    ['disorder', { entries: [entry(1), entry(3)] }],
    ['an applied index after the commit index', { entries: [], appliedIndex: 1 }],
  ])('refuses %s', async (_, batch) => {
    const store = new MemoryLogStore();
    await expect(store.write(batch, { sync: true })).rejects.toMatchObject({
      code: 'CONTRACT_BROKEN',
    });
  });

  test('refuses a second write while one is open', async () => {
    const store = new MemoryLogStore({ beforeWrite: () => new Promise(() => undefined) });
    void store.write({ entries: [] }, { sync: true });
    await expect(store.write({ entries: [] }, { sync: true })).rejects.toMatchObject({
      code: 'CONTRACT_BROKEN',
    });
  });
});
