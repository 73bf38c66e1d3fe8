import { describe, expect, test } from '@jest/globals';
import type { NodeRow } from '@conclave/state';
import { checkQuorumWithout } from '../../src/consensus/quorum-check.js';

const manager = (id: string, state: NodeRow['state'], membership = 'voter'): NodeRow =>
  ({ id, state, manager: { membership } }) as NodeRow;

const lastManager = expect.objectContaining({ code: 'CV_LAST_MANAGER' }) as unknown as Error;

describe('going on without a manager', () => {
  test('the last one cannot go', () => {
    expect(() => checkQuorumWithout('a', [manager('a', 'READY')])).toThrow(lastManager);
  });

  test('one of three can go while the other two are there, and not when one is DOWN', () => {
    const two = [manager('a', 'READY'), manager('b', 'READY')];
    expect(() => checkQuorumWithout('a', [...two, manager('c', 'READY')])).not.toThrow();
    expect(() => checkQuorumWithout('c', [...two, manager('c', 'DOWN')])).not.toThrow();
    expect(() => checkQuorumWithout('a', [...two, manager('c', 'DOWN')])).toThrow(lastManager);
  });

  test('learners do not count', () => {
    const nodes = [manager('a', 'READY'), manager('b', 'READY', 'learner')];
    expect(() => checkQuorumWithout('a', nodes)).toThrow(lastManager);
  });
});
