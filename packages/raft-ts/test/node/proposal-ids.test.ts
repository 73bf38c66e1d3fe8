import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import {
  PROPOSAL_ID_SIZE,
  ProposalIds,
  anonymousContext,
  unwrapContext,
  unwrapPayload,
} from '../../src/node/proposal-ids.js';
import { MAX_NODE_ID } from '../../src/index.js';
import type { ConfChange } from '../../src/index.js';
import { seededRandom } from './support/sim-world.js';

const CHANGE: ConfChange = {
  version: 1,
  change: { type: 'ConfChangeAddLearnerNode', nodeId: 4 },
};

describe('proposal ids', () => {
  test('a payload comes back whatever the ids are', () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: MAX_NODE_ID }),
        fc.integer({ min: 1, max: 2 ** 40 - 1 }),
        fc.uint8Array({ maxLength: 40 }),
        (id, sequence, payload) => {
          const ids = new ProposalIds(id, seededRandom(id % 1000));
          const wrapped = ids.wrap(sequence, payload);
          expect(wrapped).toHaveLength(PROPOSAL_ID_SIZE + payload.length);
          expect(ids.sequenceOf(wrapped)).toBe(sequence);
          expect(unwrapPayload(wrapped)).toEqual(payload);
        },
      ),
    );
  });

  test('sequence numbers rise from 1', () => {
    const ids = new ProposalIds(1, seededRandom(1));
    expect([ids.next(), ids.next(), ids.next()]).toEqual([1, 2, 3]);
  });

  test('ids of other members and of other lives are not recognized', () => {
    const here = new ProposalIds(1, seededRandom(1));
    const elsewhere = new ProposalIds(2, seededRandom(1));
    const later = new ProposalIds(1, seededRandom(2));
    const wrapped = here.wrap(7, new Uint8Array(3));
    expect(elsewhere.sequenceOf(wrapped)).toBeUndefined();
    expect(later.sequenceOf(wrapped)).toBeUndefined();
  });

  test('bytes that are too short are nobody’s', () => {
    const ids = new ProposalIds(1, seededRandom(1));
    const short = ids.wrap(1, new Uint8Array(0)).subarray(0, PROPOSAL_ID_SIZE - 1);
    expect(ids.sequenceOf(short)).toBeUndefined();
    expect(unwrapPayload(short)).toBeUndefined();
  });

  test('the context of a change comes back', () => {
    const ids = new ProposalIds(1, seededRandom(1));
    const context = Uint8Array.of(1, 2, 3);
    expect(unwrapContext(ids.wrapContext(5, { ...CHANGE, context }))).toEqual({
      ...CHANGE,
      context,
    });
    expect(unwrapContext(ids.wrapContext(5, CHANGE))).toEqual(CHANGE);
    expect(ids.sequenceOf(ids.wrapContext(5, CHANGE).context!)).toBe(5);
  });

  test('a change of the core itself has no context, a foreign one is told apart', () => {
    expect(unwrapContext(CHANGE)).toEqual(CHANGE);
    expect(unwrapContext({ ...CHANGE, context: new Uint8Array(0) })).toEqual(CHANGE);
    expect(unwrapContext({ ...CHANGE, context: new Uint8Array(15) })).toBeUndefined();
  });

  test('an anonymous context is not one’s own', () => {
    const ids = new ProposalIds(1, seededRandom(1));
    const context = anonymousContext(Uint8Array.of(9));
    expect(ids.sequenceOf(context)).toBeUndefined();
    expect(unwrapContext({ ...CHANGE, context })).toEqual({ ...CHANGE, context: Uint8Array.of(9) });
    expect(unwrapContext({ ...CHANGE, context: anonymousContext(undefined) })).toEqual(CHANGE);
  });
});
