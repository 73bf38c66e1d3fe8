import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { SILENT_LOGGER } from '@conclave/kernel';
import { heartbeatPeriodMs } from '../../src/scheduling/heartbeat-period.js';
import { Liveness } from '../../src/scheduling/liveness.js';
import { TestCluster } from './cluster.js';

let cluster: TestCluster;
let liveness: Liveness;
let failure: Error | undefined;
let proposalCount = 0;

beforeEach(() => {
  cluster = new TestCluster();
  failure = undefined;
  proposalCount = 0;
  liveness = new Liveness({
    state: cluster.state,
    clock: cluster.time,
    timers: cluster.time,
    logger: SILENT_LOGGER,
    propose: async (body) => {
      await Promise.resolve();
      if (failure !== undefined) throw failure;
      proposalCount += 1;
      return cluster.apply(body);
    },
  });
  cluster.addWorker('w1');
  cluster.addWorker('w2');
});
afterEach(() => {
  liveness.stop();
});

const stateOf = (id: string): string | undefined => cluster.state.nodeById(id)?.state;
const sessionOf = (id: string): string => cluster.state.nodeById(id)?.sessionId ?? '';
const beat = (nodeId: string): { nodeId: string; sessionId: string } => ({
  nodeId,
  sessionId: sessionOf(nodeId),
});

describe('liveness', () => {
  test('a new leader gives everybody twice the grace', async () => {
    liveness.start();
    await cluster.advance(8_900);
    expect(stateOf('w1')).toBe('READY');
    await cluster.advance(300);
    expect([stateOf('w1'), stateOf('w2')]).toEqual(['DOWN', 'DOWN']);
    // Both in one entry.
    expect(proposalCount).toBe(1);
  });

  test('a leader that stood still itself calls nobody silent for that', async () => {
    liveness.start();
    await cluster.advance(6_000);
    expect(liveness.heartbeats([beat('w1'), beat('w2')], 'm1')).toEqual([]);
    await liveness.managerSeen('m1');
    cluster.time.jump(12_000);
    await cluster.advance(1_000);
    expect([stateOf('w1'), stateOf('w2')]).toEqual(['READY', 'READY']);
    // What is silent from then on, is.
    await liveness.managerSeen('m1');
    await cluster.advance(3_000);
    await liveness.managerSeen('m1');
    await cluster.advance(1_000);
    expect([stateOf('w1'), stateOf('w2')]).toEqual(['DOWN', 'DOWN']);
  });

  test('heartbeats keep a node up; three missed periods take it down', async () => {
    liveness.start();
    for (let count = 0; count < 10; count += 1) {
      await cluster.advance(1_500);
      await liveness.managerSeen('m1');
      expect(liveness.heartbeats([beat('w1')], 'm1')).toEqual([]);
    }
    expect([stateOf('w1'), stateOf('w2')]).toEqual(['READY', 'DOWN']);
    await cluster.advance(4_400);
    expect(stateOf('w1')).toBe('READY');
    await liveness.managerSeen('m1');
    await cluster.advance(300);
    expect(stateOf('w1')).toBe('DOWN');
  });

  test('a replaced session, one of a DOWN node and one of nobody are not valid', async () => {
    liveness.start();
    const old = beat('w1');
    const index = await liveness.sessionOpened({
      nodeId: 'w1',
      sessionId: 'new',
      daemonVersion: '2',
      executors: ['process'],
    });
    expect(index).toBe(cluster.state.appliedIndex);
    expect(liveness.heartbeats([old], 'm1')).toEqual([old.sessionId]);
    expect(liveness.heartbeats([{ nodeId: 'w1', sessionId: 'new' }], 'm1')).toEqual([]);
    expect(cluster.state.nodeById('w1')).toMatchObject({ hostname: 'w1', sessionCount: 2 });
    await cluster.advance(20_000);
    expect(liveness.heartbeats([{ nodeId: 'w1', sessionId: 'new' }], 'm1')).toEqual(['new']);
    expect(liveness.heartbeats([{ nodeId: 'gone', sessionId: 's' }], 'm1')).toEqual(['s']);
  });

  test('a node whose manager is gone has time to find another one, once', async () => {
    liveness.start();
    await cluster.advance(6_000);
    await liveness.managerSeen('m1');
    liveness.heartbeats([beat('w1'), beat('w2')], 'm1');
    // The manager is cut off; one agent comes through to it again, the other is gone with it.
    await cluster.advance(6_000);
    expect([stateOf('w1'), stateOf('w2')]).toEqual(['READY', 'READY']);
    await liveness.managerSeen('m1');
    expect(liveness.heartbeats([beat('w1')], 'm1')).toEqual([]);
    await cluster.advance(3_300);
    expect([stateOf('w1'), stateOf('w2')]).toEqual(['READY', 'DOWN']);
    // The manager is heard of: from now on silence is that of the node.
    await liveness.managerSeen('m1');
    await cluster.advance(1_300);
    expect(stateOf('w1')).toBe('DOWN');
  });

  test('a new session brings a DOWN node back', async () => {
    liveness.start();
    await cluster.advance(20_000);
    const session = { daemonVersion: '', executors: [] };
    await liveness.sessionOpened({ nodeId: 'w1', sessionId: 's', ...session });
    expect(stateOf('w1')).toBe('READY');
    await cluster.advance(4_400);
    expect(stateOf('w1')).toBe('READY');
    await expect(
      liveness.sessionOpened({ nodeId: 'nobody', sessionId: 's', ...session }),
    ).rejects.toMatchObject({ code: 'CV_NODE_NOT_FOUND' });
  });

  test('sessions that open together share an entry', async () => {
    liveness.start();
    const session = { daemonVersion: '', executors: [] };
    const nodes = ['w1', 'w2', 'w1', 'w2'];
    await Promise.all(
      nodes.map((nodeId, n) => liveness.sessionOpened({ nodeId, sessionId: `s${n}`, ...session })),
    );
    expect(proposalCount).toBe(1);
    // The newest wins.
    expect([sessionOf('w1'), sessionOf('w2')]).toEqual(['s2', 's3']);
  });

  test('a manager that is heard of becomes and stays READY', async () => {
    liveness.start();
    await liveness.managerSeen('m1');
    expect(stateOf('m1')).toBe('READY');
    const count = proposalCount;
    for (let turn = 0; turn < 5; turn += 1) {
      await cluster.advance(1_500);
      await liveness.managerSeen('m1');
    }
    expect(stateOf('m1')).toBe('READY');
    await cluster.advance(5_000);
    expect(stateOf('m1')).toBe('DOWN');
    expect(proposalCount).toBeGreaterThan(count);
  });

  test('nobody goes DOWN after stop, and calls are refused', async () => {
    liveness.start();
    liveness.stop();
    await cluster.advance(60_000);
    expect(stateOf('w1')).toBe('READY');
    expect(() => liveness.heartbeats([], 'm1')).toThrow('this manager does not lead');
  });

  test('a DOWN that could not be committed is tried again', async () => {
    liveness.start();
    failure = new Error('no quorum');
    await cluster.advance(10_000);
    expect(stateOf('w1')).toBe('READY');
    failure = undefined;
    await cluster.advance(1_100);
    expect(stateOf('w1')).toBe('DOWN');
  });
});

describe('the heartbeat period', () => {
  test('stretches from 1.5 s to 5 s at 5 000 agents', () => {
    expect(heartbeatPeriodMs(0, 0)).toBe(1_500);
    expect(heartbeatPeriodMs(1_500, 2_500)).toBe(3_250);
    expect(heartbeatPeriodMs(1_500, 5_000)).toBe(5_000);
    expect(heartbeatPeriodMs(1_500, 50_000)).toBe(5_000);
    expect(heartbeatPeriodMs(300, 0)).toBe(300);
  });
});
