import { expect, test } from '@jest/globals';

import { hash, openSealed } from '../src/index.js';

test('nothing works before openSealed, which may be called again', async () => {
  expect(() => hash(new Uint8Array(1))).toThrow('openSealed');
  await openSealed();
  await openSealed();
  expect(hash(new Uint8Array(1)).length).toBe(32);
});
