import { logStoreContract } from '../../raft-ts/test/node/log-store-contract.js';
import type { LevelStore } from '../src/index.js';
import { Fixture } from './fixture.js';

logStoreContract('LevelLogStore', async () => {
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
});
