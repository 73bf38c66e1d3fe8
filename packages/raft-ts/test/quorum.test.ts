import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import type { NodeId, VoterSets } from '../src/index.js';
import { quorum } from '../src/index.js';

const ids = fc.uniqueArray(fc.integer({ min: 1, max: 9 }), { maxLength: 7 });
const voters = fc.tuple(ids, ids).map(([a, b]): VoterSets => [new Set(a), new Set(b)]);
const indexes = fc.dictionary(
  fc.integer({ min: 1, max: 9 }).map(String),
  fc.integer({ min: 0, max: 5 }),
);

/** By definition: the largest index that more than half of the voters have reached. */
function naiveIndex(set: ReadonlySet<NodeId>, acked: (id: NodeId) => number): number {
  if (set.size === 0) return Number.POSITIVE_INFINITY;
  for (let index = 5; index > 0; index--) {
    if ([...set].filter((id) => acked(id) >= index).length * 2 > set.size) return index;
  }
  return 0;
}

describe('committed index', () => {
  test('is what both majorities have reached', () => {
    fc.assert(
      fc.property(voters, indexes, (sets, known) => {
        const acked = (id: NodeId): number => known[String(id)] ?? 0;
        const expected = Math.min(naiveIndex(sets[0], acked), naiveIndex(sets[1], acked));
        expect(quorum.committedIndex(sets, (id) => known[String(id)])).toBe(expected);
        const swapped: VoterSets = [sets[1], sets[0]];
        expect(quorum.committedIndex(swapped, (id) => known[String(id)])).toBe(expected);
      }),
      { numRuns: 2000 },
    );
  });
});

describe('vote', () => {
  /** By definition: whether all, some or no ways to complete the votes win. */
  function naiveVote(sets: VoterSets, votes: ReadonlyMap<NodeId, boolean>): string {
    const all = [...new Set([...sets[0], ...sets[1]])];
    const open = all.filter((id) => !votes.has(id));
    const outcomes = new Set<boolean>();
    for (let mask = 0; mask < 2 ** open.length; mask++) {
      const full = new Map(votes);
      open.forEach((id, i) => full.set(id, ((mask >> i) & 1) === 1));
      const wins = (set: ReadonlySet<NodeId>): boolean =>
        set.size === 0 || [...set].filter((id) => full.get(id)).length * 2 > set.size;
      outcomes.add(wins(sets[0]) && wins(sets[1]));
    }
    if (outcomes.size === 2) return 'VotePending';
    return outcomes.has(true) ? 'VoteWon' : 'VoteLost';
  }

  test('is won or lost as soon as no open vote can change it', () => {
    fc.assert(
      fc.property(
        voters,
        fc.array(fc.tuple(fc.integer({ min: 1, max: 9 }), fc.boolean())),
        (sets, list) => {
          const votes = new Map(list);
          expect(quorum.voteResult(sets, votes)).toBe(naiveVote(sets, votes));
        },
      ),
      { numRuns: 500 },
    );
  });
});
