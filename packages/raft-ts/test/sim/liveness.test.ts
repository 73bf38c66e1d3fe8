import { expect, test } from '@jest/globals';
import { Liveness } from '../../src/sim/liveness.js';

/** A member as far as the look at the end of a run asks. */
function member(id: number, votersOutgoing: readonly number[]): Record<string, unknown> {
  const voters = [1, 2];
  const self = {
    id,
    isUp: true,
    isRetired: false,
    applied: 9,
    confState: { voters, votersOutgoing, learners: [], learnersNext: [], autoLeave: true },
    core: {
      role: id === 1 ? 'StateLeader' : 'StateFollower',
      term: 2,
      pendingConfIndex: 0,
      // Enough for the look to end early: what it does first is what is tried here.
      tracker: {
        progress: new Map(voters.map((voter) => [voter, {}])),
        isVoter: () => true,
        isJoint: true,
        config: { autoLeave: true },
      },
    },
    crash: () => {
      self.isUp = false;
    },
  };
  return self;
}

/** Members 1 and 2 vote, 3 and 4 were removed; `outgoing` is what 1 and 2 have not left yet. */
function lookAt(...outgoing: readonly (readonly number[])[]): unknown[] {
  const members = [undefined, ...outgoing.map((list, place) => member(place + 1, list))];
  members.push(member(3, [1, 3, 4]), member(4, [1, 3, 4]));
  const world = { members, coverage: { count: () => undefined } };
  new Liveness(world as never, {} as never).look();
  return members.filter((one) => one?.['isRetired'] === true).map((one) => one?.['id']);
}

test('removed members are shut down when most voters have left the configuration before', () => {
  expect(lookAt([], [])).toEqual([3, 4]);
});

test('they go on while one of two voters needs a majority of the configuration before', () => {
  expect(lookAt([], [1, 3, 4])).toEqual([]);
  expect(lookAt([1, 3, 4], [])).toEqual([]);
});
