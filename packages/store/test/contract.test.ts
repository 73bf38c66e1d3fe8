import { test } from '@jest/globals';
import { LOG_STORE_CONTRACT } from 'raft-ts/testing';
import type { LogStoreHarness } from 'raft-ts/testing';
import type { LevelStore } from '../src/index.js';
import { Fixture } from './fixture.js';

const createHarness = async (): Promise<LogStoreHarness> => {
  const fixture = await Fixture.create();
  let store: LevelStore | undefined;
  return {
    open: async () => {
      store = await fixture.open();
      return store.log;
    },
    close: async () => store?.close(),
    dispose: () => fixture.remove(),
  };
};

test.each(LOG_STORE_CONTRACT)('LevelLogStore: $name', ({ run }) => run(createHarness));
