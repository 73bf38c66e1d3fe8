import { expect, test } from '@jest/globals';
import { State } from '@conclave/state';
import { clusterOf } from '../../src/control/lookups.js';

test('a manager without the tables yet asks to be asked again, as it has just joined', () => {
  expect(() => clusterOf(new State())).toThrow(
    expect.objectContaining({ code: 'CV_STATE_STALE', kind: 'not-ready', retryAfterMs: 500 }),
  );
});
