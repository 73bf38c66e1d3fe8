import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import type { ChangerState, ConfChangeSingle, ConfState, NodeId } from '../src/index.js';
import { confchange, ConfChangeError } from '../src/index.js';
import { Tracker } from '../src/tracker.js';

const LIMITS = { maxInflightMsgs: 4 };

const change = fc.record({
  type: fc.constantFrom(
    'ConfChangeAddNode' as const,
    'ConfChangeRemoveNode' as const,
    'ConfChangeUpdateNode' as const,
    'ConfChangeAddLearnerNode' as const,
  ),
  nodeId: fc.nat(6),
});

const operation = fc.oneof(
  { weight: 3, arbitrary: fc.record({ kind: fc.constant('simple' as const), change }) },
  {
    weight: 2,
    arbitrary: fc.record({
      kind: fc.constant('enter' as const),
      changes: fc.array(change, { maxLength: 5 }),
      autoLeave: fc.boolean(),
    }),
  },
  { weight: 2, arbitrary: fc.constant({ kind: 'leave' as const }) },
);

function start(): ChangerState {
  return confchange.simple(confchange.empty(LIMITS), [add(1)]);
}

function add(nodeId: NodeId): ConfChangeSingle {
  return { type: 'ConfChangeAddNode', nodeId };
}

function confStateOf(state: ChangerState): ConfState {
  const tracker = new Tracker(LIMITS);
  tracker.adopt(state.config, state.progress);
  return tracker.confState();
}

/** What must hold for every configuration. */
function checkState({ config, progress }: ChangerState): void {
  const [incoming, outgoing] = config.voters;
  const all = new Set([...incoming, ...outgoing, ...config.learners, ...config.learnersNext]);
  expect(new Set(progress.keys())).toEqual(all);
  expect(incoming.size).toBeGreaterThan(0);
  for (const [id, p] of progress) expect(p.isLearner).toBe(config.learners.has(id));
  for (const id of config.learners) expect(incoming.has(id) || outgoing.has(id)).toBe(false);
  for (const id of config.learnersNext) {
    expect(outgoing.has(id)).toBe(true);
    expect(incoming.has(id)).toBe(false);
  }
  if (outgoing.size === 0) expect([config.learnersNext.size, config.autoLeave]).toEqual([0, false]);
}

test('every sequence of changes keeps the rules, and refusals change nothing', () => {
  fc.assert(
    fc.property(fc.array(operation, { maxLength: 30 }), (operations) => {
      let state = start();
      operations.forEach((step, i) => {
        const before = confStateOf(state);
        const at = { ...state, lastIndex: i };
        try {
          if (step.kind === 'simple') state = confchange.simple(at, [step.change]);
          else if (step.kind === 'leave') state = confchange.leaveJoint(at);
          else state = confchange.enterJoint(at, step.autoLeave, step.changes);
        } catch (error) {
          expect(error).toBeInstanceOf(ConfChangeError);
          expect(confStateOf(state)).toEqual(before);
        }
        checkState(state);
        const restored = confchange.restore(confStateOf(state), i, LIMITS);
        expect(confStateOf(restored)).toEqual(confStateOf(state));
        checkState(restored);
      });
    }),
    { numRuns: 150 },
  );
});

test('simple changes, one at a time, lead to the same as one joint change', () => {
  const changes = fc.uniqueArray(change, { maxLength: 6, selector: ({ nodeId }) => nodeId });
  fc.assert(
    fc.property(changes, (list) => {
      let oneByOne = start();
      let joint: ChangerState;
      try {
        for (const single of list) oneByOne = confchange.simple(oneByOne, [single]);
        joint = confchange.leaveJoint(confchange.enterJoint(start(), true, list));
      } catch (error) {
        // Only the order can make a difference: the last voter must not leave in between.
        expect((error as Error).message).toBe('removed all voters');
        return;
      }
      expect(confStateOf(joint)).toEqual(confStateOf(oneByOne));
    }),
    { numRuns: 500 },
  );
});

test('what is known about a node survives a change of its role', () => {
  const state = confchange.simple(start(), [add(2)]);
  state.progress.get(2)?.maybeUpdate(7);
  const demoted = confchange.simple(state, [{ type: 'ConfChangeAddLearnerNode', nodeId: 2 }]);
  expect(demoted.progress.get(2)).toMatchObject({ match: 7, next: 8, isLearner: true });
  expect(state.progress.get(2)?.isLearner).toBe(false);
});

describe('refusals', () => {
  const learner = { type: 'ConfChangeAddLearnerNode', nodeId: 1 } as const;
  test.each<[string, readonly ConfChangeSingle[]]>([
    ['two new voters', [add(2), add(3)]],
    ['one comes, one goes', [add(2), { type: 'ConfChangeRemoveNode', nodeId: 1 }]],
    ['one comes, one is demoted', [add(2), learner]],
  ])('more than one voter at once: %s', (_, changes) => {
    expect(() => confchange.simple(start(), changes)).toThrow('more than one voter changed');
  });

  test('joint states are entered once, and left only from inside', () => {
    const joint = confchange.enterJoint(start(), false, [add(2)]);
    expect(() => confchange.enterJoint(joint, false, [])).toThrow('already joint');
    expect(() => confchange.simple(joint, [add(3)])).toThrow('in joint config');
    expect(() => confchange.leaveJoint(start())).toThrow('non-joint');
    expect(() => confchange.enterJoint(confchange.empty(LIMITS), false, [])).toThrow('zero-voter');
  });
});

describe('restore refuses what no change leads to', () => {
  const none = { voters: [1], votersOutgoing: [], learners: [], learnersNext: [] };
  test.each<[string, Partial<ConfState>]>([
    ['no voters', { voters: [], learners: [2] }],
    ['no incoming voters', { voters: [], votersOutgoing: [2] }],
    ['a voter that is a learner', { learners: [1] }],
    ['an outgoing voter that is a learner', { votersOutgoing: [2], learners: [2] }],
    ['a future learner that is no voter', { votersOutgoing: [1], learnersNext: [2] }],
    ['a future learner without a joint state', { learnersNext: [1] }],
    ['automatic leaving without a joint state', { autoLeave: true }],
    ['id 0', { voters: [0, 1] }],
    ['no number', { voters: [1.5] }],
  ])('%s', (_, part) => {
    const confState = { ...none, autoLeave: false, ...part };
    expect(() => confchange.restore(confState, 1, LIMITS)).toThrow(ConfChangeError);
  });
});
