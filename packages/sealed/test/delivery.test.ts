import { beforeAll, expect, test } from '@jest/globals';

import { deliveryFields, encodeFields, openSealed, sessionContext } from '../src/index.js';

const PLACE = { index: 30, clusterEpoch: 2, secretId: 's', version: 3, taskIds: ['b', 'a'] };
const CONTEXT = {
  protocol: 1,
  bootId: 'boot',
  clusterEpoch: 2,
  appliedIndex: 30,
  sessionId: 'session',
};

const hexOf = (bytes: Uint8Array): string => Buffer.from(bytes).toString('hex');

beforeAll(openSealed);

test('the order of the tasks does not matter, everything else does', () => {
  const encoded = (change: object): string =>
    hexOf(encodeFields(deliveryFields({ ...PLACE, ...change })));
  expect(encoded({ taskIds: ['a', 'b'] })).toBe(encoded({}));
  const changes = [
    {},
    { index: 31 },
    { clusterEpoch: 3 },
    { secretId: 't' },
    { version: 4 },
    { taskIds: ['ab'] },
    { taskIds: ['a'] },
    { taskIds: [] },
  ];
  expect(new Set(changes.map(encoded)).size).toBe(changes.length);
});

test('the caller keeps its order of tasks', () => {
  const taskIds = ['b', 'a'];
  deliveryFields({ ...PLACE, taskIds });
  expect(taskIds).toEqual(['b', 'a']);
});

test('a session context tells every field apart', () => {
  const changes = [
    {},
    { protocol: 2 },
    { bootId: 'boo' },
    { clusterEpoch: 3 },
    { appliedIndex: 31 },
    { sessionId: 'tsession' },
  ];
  const encoded = changes.map((change) => hexOf(sessionContext({ ...CONTEXT, ...change })));
  expect(new Set(encoded).size).toBe(changes.length);
});
