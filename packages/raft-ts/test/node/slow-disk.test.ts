import { describe, expect, test } from '@jest/globals';
import type { NodeOptions } from '../../src/node/index.js';
import { SimCluster } from './support/sim-cluster.js';
import { command } from './support/test-machine.js';

/** A leader whose disk never ends a write. */
async function stuckLeader(seed: number, node: Partial<NodeOptions> = {}) {
  const cluster = await SimCluster.start({ seed, node });
  const old = await cluster.leader();
  await cluster.world.advance(300);
  const member = cluster.member(old);
  let release = (): void => undefined;
  member.store.hooks.beforeWrite = () => new Promise((resolve) => (release = resolve));
  const free = (): void => {
    delete member.store.hooks.beforeWrite;
    release();
  };
  return { cluster, old, member, free };
}

describe('a leader with a stuck disk gives up leadership', () => {
  test('to a follower that is caught up', async () => {
    const { cluster, old, member, free } = await stuckLeader(1);
    const proposal = member.node!.propose(command('x'));
    const startMs = cluster.world.nowMs;
    member.sent.length = 0;
    const next = await cluster.leader(cluster.others(old));
    expect(next).not.toBe(old);
    // One election timeout to notice, then at once.
    expect(cluster.world.nowMs - startMs).toBeLessThan(1_500);
    expect(member.sent.some(({ type }) => type === 'MsgTimeoutNow')).toBe(true);
    await cluster.world.result(cluster.node(next).propose(command('y')));
    free();
    expect((await cluster.world.result(proposal)).outcome).toBe('applied');
    await cluster.converge();
    expect(member.machine.texts).toEqual(['x', 'y']);
    await cluster.end();
  });

  test('by silence when the offer is not taken, so that the others elect somebody', async () => {
    const { cluster, old, member, free } = await stuckLeader(2);
    cluster.filter = ({ type }) => type !== 'MsgTimeoutNow';
    void member.node!.propose(command('x'));
    const next = await cluster.leader(cluster.others(old));
    expect(next).not.toBe(old);
    member.sent.length = 0;
    await cluster.world.advance(2_000);
    const leads = member.sent.filter(({ type }) => type === 'MsgHeartbeat' || type === 'MsgApp');
    expect(leads).toEqual([]);
    cluster.heal();
    free();
    await cluster.world.advance(2_000);
    await cluster.converge();
    await cluster.end();
  });

  test('by silence also when its queue is full, so that it gets no ticks, and clients read', async () => {
    const limits = { appendQueueLengthMax: 2 };
    const { cluster, old, member, free } = await stuckLeader(5, { limits });
    cluster.filter = ({ type }) => type !== 'MsgTimeoutNow';
    for (let i = 0; i < 3; i++) {
      void member.node!.propose(command(`x${i}`));
      await cluster.world.advance(10);
    }
    for (let i = 0; i < 60; i++) {
      void member.node!.linearizableRead().catch(() => undefined);
      await cluster.world.advance(100);
    }
    member.sent.length = 0;
    await cluster.world.advance(2_000);
    expect(member.sent).toEqual([]);
    expect(await cluster.leader(cluster.others(old))).not.toBe(old);
    cluster.heal();
    free();
    await cluster.world.advance(2_000);
    await cluster.converge();
    await cluster.end();
  });

  test('a slow write below the election timeout changes nothing', async () => {
    const { cluster, old, member, free } = await stuckLeader(3);
    const { term } = member.node!.status();
    void member.node!.propose(command('x'));
    await cluster.world.advance(900);
    free();
    await cluster.world.advance(3_000);
    expect(await cluster.leader()).toBe(old);
    expect(member.node!.status().term).toBe(term);
    await cluster.end();
  });

  test('a single member has nobody to give it to', async () => {
    const cluster = await SimCluster.start({ size: 1 });
    const member = cluster.member(1);
    let release = (): void => undefined;
    member.store.hooks.beforeWrite = () => new Promise((resolve) => (release = resolve));
    const proposal = member.node!.propose(command('x'));
    await cluster.world.advance(20_000);
    expect(member.node!.status().raftState).toBe('StateLeader');
    delete member.store.hooks.beforeWrite;
    release();
    expect((await cluster.world.result(proposal)).outcome).toBe('applied');
    await cluster.end();
  });
});

describe('time', () => {
  test('a member that slept for an hour does not disturb the others for long', async () => {
    const cluster = await SimCluster.start({ seed: 4 });
    const leader = await cluster.leader();
    const follower = cluster.member(cluster.others(leader)[0]!);
    follower.clock.isPaused = true;
    await cluster.world.advance(60_000);
    const { term } = cluster.node(leader).status();
    follower.clock.isPaused = false;
    await cluster.world.advance(3_000);
    expect(cluster.node(await cluster.leader()).status().term).toBeLessThanOrEqual(term + 1);
    await cluster.world.result(cluster.node(await cluster.leader()).propose(command('x')));
    await cluster.converge();
    await cluster.end();
  });
});
