import { describe, expect, test } from '@jest/globals';
import { LEAVE_JOINT, MemoryStorage, RawNode } from '../../src/index.js';
import { message } from '../../src/index.js';
import {
  Coverage,
  drawParameters,
  markNames,
  MarkReader,
  runSimulation,
  shrink,
} from '../../src/sim/index.js';
import type { RunResult } from '../../src/sim/index.js';

describe('a run', () => {
  const small = { eventsMax: 3000 };

  test('is the same for the same seed', () => {
    const one = runSimulation({ seed: 12, parameters: small });
    const other = runSimulation({ seed: 12, parameters: small });
    expect(one.failure).toBeUndefined();
    expect(other).toEqual(one);
    expect(runSimulation({ seed: 13, parameters: small }).events).not.toBe(one.events);
  });

  test('is the same when its list of actions is replayed instead of drawn', () => {
    const drawn = runSimulation({ seed: 14, parameters: small });
    const listed = runSimulation({ seed: 14, parameters: small, plan: drawn.plan });
    // The action that was due after the end is missing in the list.
    expect({ ...listed, events: 0 }).toEqual({ ...drawn, events: 0 });
    expect(drawn.plan.length).toBeGreaterThan(20);
  });

  test('does not change when its log lines are read', () => {
    const coverage = new Coverage();
    const silent = runSimulation({ seed: 15, parameters: small });
    const loud = runSimulation({ seed: 15, parameters: small, logger: new MarkReader(coverage) });
    expect(loud).toEqual(silent);
    expect(markNames().filter((mark) => coverage.counts().has(mark)).length).toBeGreaterThan(5);
  });

  test('commits, meets faults and comes to rest', () => {
    const coverage = new Coverage();
    let commit = 0;
    for (let seed = 20; seed < 30; seed++) {
      const result = runSimulation({ seed, parameters: small, coverage });
      expect(result.failure).toBeUndefined();
      commit += result.commit;
    }
    expect(commit).toBeGreaterThan(100);
    const counts = coverage.counts();
    for (const fault of ['crash', 'pause', 'slowDisk', 'cut', 'compaction', 'transfer']) {
      expect([fault, counts.get(fault)]).toEqual([fault, expect.any(Number)]);
    }
    expect(counts.get('history violated')).toBeUndefined();
    expect(coverage.cells().hit).toBeGreaterThan(40);
  });

  test('fixed parameters leave the others as they are', () => {
    const drawn = drawParameters(5);
    expect(drawParameters(5, { voters: 7 })).toEqual({ ...drawn, voters: 7 });
  });
});

describe('vote requests that do not wait for the disk', () => {
  /** Slow disks and short absences: a candidate can be back while its request is on the way. */
  const HAZARD = {
    voters: 3,
    learners: 0,
    asyncStorageWrites: true,
    deferVoteRequests: false,
    eventsMax: 4000,
  };
  const SEEDS_MAX = 20;

  const firstFailure = (parameters: object): RunResult | undefined => {
    for (let seed = 1; seed <= SEEDS_MAX; seed++) {
      const result = runSimulation({ seed, parameters: { ...HAZARD, ...parameters } });
      if (result.failure !== undefined) return result;
    }
    return undefined;
  };

  test(`are noticed within ${SEEDS_MAX} seeds, and not when they do wait`, () => {
    const found = firstFailure({});
    expect(found?.failure?.invariant).toBe('6 durable before sent');
    expect(found?.failure?.message).toContain('MsgVote');
    expect(firstFailure({ deferVoteRequests: true })).toBeUndefined();
  });

  test('a failing run shrinks to a few actions and still fails', () => {
    const found = firstFailure({}) as RunResult;
    const scenario = shrink(found, { runsMax: 150 });
    expect(scenario.plan.length).toBeLessThan(Math.max(found.plan.length, 1));
    const script: string[] = [];
    const again = runSimulation({ ...scenario, script });
    expect(again.failure?.invariant).toBe(found.failure?.invariant);
    expect(script.length).toBe(scenario.plan.length);
  });
});

describe('found by simulation', () => {
  let storage: MemoryStorage;
  const leaderOf = (voters: readonly number[], learners: readonly number[]): RawNode => {
    storage = new MemoryStorage();
    const confState = { voters, votersOutgoing: [], learners, learnersNext: [], autoLeave: false };
    const metadata = { index: 5, term: 1, confState };
    storage.applySnapshot({ data: new Uint8Array(0), metadata });
    storage.setHardState({ term: 1, vote: 0, commit: 5 });
    const node = new RawNode({
      id: 1,
      storage,
      electionTick: 10,
      heartbeatTick: 1,
      maxInflightMsgs: 16,
      asyncStorageWrites: true,
      random: () => 0,
    });
    node.campaign();
    return node;
  };
  /** Does the writes of one Ready, and returns its read states. */
  const settle = (node: RawNode, rounds: number): number => {
    let reads = 0;
    for (let i = 0; i < rounds && node.hasReady(); i++) {
      const ready = node.ready();
      reads += ready.readStates.length;
      for (const { type, entries, responses } of ready.messages) {
        if (type === 'MsgStorageAppend') storage.append(entries);
        for (const response of responses) if (response.to === 1) node.step(response);
      }
    }
    return reads;
  };

  test('a single voter answers no read before it has committed in its term', () => {
    const node = leaderOf([1], []);
    // Elected; its first entry is in the log, but not durable.
    settle(node, 1);
    expect(node.status().raftState).toBe('StateLeader');
    node.readIndex(Uint8Array.of(1));
    expect(node.peekReady().readStates).toEqual([]);
    expect(settle(node, 10)).toBe(1);
  });

  test('a removed leader asks the single voter that is left', () => {
    const node = leaderOf([1], [2]);
    settle(node, 10);
    const changes = [
      { type: 'ConfChangeAddNode', nodeId: 2 },
      { type: 'ConfChangeRemoveNode', nodeId: 1 },
    ] as const;
    node.applyConfChange({ version: 2, transition: 'jointExplicit', changes });
    node.applyConfChange(LEAVE_JOINT);
    expect(node.status()).toMatchObject({ raftState: 'StateLeader' });
    node.readIndex(Uint8Array.of(1));
    expect(settle(node, 10)).toBe(0);
    node.readIndex(Uint8Array.of(2));
    const asked = node.ready().messages.find(({ type }) => type === 'MsgHeartbeat');
    expect(asked?.to).toBe(2);
    node.step(
      message('MsgHeartbeatResp', { from: 2, to: 1, term: asked!.term, context: asked!.context }),
    );
    expect(node.ready().readStates.length).toBe(2);
  });
});
