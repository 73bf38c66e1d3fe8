import { describe, expect, test } from '@jest/globals';
import { SimCluster } from './support/sim-cluster.js';
import { command } from './support/test-machine.js';

describe('linearizable reads', () => {
  test('on every member, after everything that was answered before', async () => {
    const cluster = await SimCluster.start();
    const leader = await cluster.leader();
    for (let i = 0; i < 5; i++) {
      const result = await cluster.world.result(cluster.node(leader).propose(command(`${i}`)));
      if (result.outcome !== 'applied') throw new Error(result.outcome);
      for (const { node, machine } of cluster.members.values()) {
        const index = await cluster.world.result(node!.linearizableRead());
        expect(index).toBeGreaterThanOrEqual(result.index);
        expect(machine.texts).toContain(`${i}`);
      }
    }
    await cluster.end();
  });

  test('wait until the index is applied (rule 59)', async () => {
    const cluster = await SimCluster.start();
    const leader = await cluster.leader();
    const follower = cluster.member(cluster.others(leader)[0]!);
    let release = (): void => undefined;
    follower.machine.beforeApply = () => new Promise((resolve) => (release = resolve));
    await cluster.world.result(cluster.node(leader).propose(command('slow')));
    let isDone = false;
    const read = follower.node!.linearizableRead().then(() => (isDone = true));
    await cluster.world.advance(2_000);
    expect(isDone).toBe(false);
    release();
    await cluster.world.result(read);
    expect(follower.machine.texts).toEqual(['slow']);
    await cluster.end();
  });

  test('reads that wait together share a round of messages', async () => {
    const cluster = await SimCluster.start();
    const leader = await cluster.leader();
    const follower = cluster.member(cluster.others(leader)[0]!);
    await cluster.world.advance(500);
    follower.sent.length = 0;
    const reads = Array.from({ length: 100 }, () => follower.node!.linearizableRead());
    expect(follower.node!.driverStatus().readsPending).toBe(100);
    await cluster.world.result(Promise.all(reads));
    expect(follower.sent.filter(({ type }) => type === 'MsgReadIndex')).toHaveLength(1);
    expect(follower.node!.driverStatus().readsPending).toBe(0);
    await cluster.end();
  });

  test('a round that is lost is repeated under a new context', async () => {
    const cluster = await SimCluster.start();
    const leader = await cluster.leader();
    const follower = cluster.member(cluster.others(leader)[0]!);
    await cluster.world.advance(300);
    follower.sent.length = 0;
    let isLost = true;
    cluster.filter = ({ type }) => type !== 'MsgReadIndexResp' || !isLost;
    const read = follower.node!.linearizableRead();
    await cluster.world.advance(1_500);
    isLost = false;
    await cluster.world.result(read);
    const contexts = follower.sent
      .filter(({ type }) => type === 'MsgReadIndex')
      .map(({ entries }) => String(entries[0]!.data));
    expect(contexts.length).toBeGreaterThanOrEqual(2);
    expect(new Set(contexts).size).toBe(contexts.length);
    await cluster.end();
  });

  test('survive a change of the leader', async () => {
    const cluster = await SimCluster.start({ seed: 3 });
    const old = await cluster.leader();
    const [a, b] = cluster.others(old) as [number, number];
    cluster.kill(old);
    const reads = [cluster.node(a).linearizableRead(), cluster.node(b).linearizableRead()];
    await cluster.world.result(Promise.all(reads));
    await cluster.end();
  });

  test('a round that the old leader got is repeated at once when there is a new one', async () => {
    const cluster = await SimCluster.start({ seed: 5 });
    const old = await cluster.leader();
    const [next, reader] = cluster.others(old) as [number, number];
    await cluster.world.advance(300);
    cluster.filter = ({ type, to }) => !(type === 'MsgReadIndex' && to === old);
    const startMs = cluster.world.nowMs;
    const read = cluster.node(reader).linearizableRead();
    await cluster.world.result(cluster.node(old).transferLeadership(next));
    await cluster.world.result(read);
    // Before the round would have been repeated for its age.
    expect(cluster.world.nowMs - startMs).toBeLessThan(500);
    await cluster.end();
  });

  test('a leader that is cut off confirms nothing, until it knows the new state', async () => {
    const cluster = await SimCluster.start({ seed: 4 });
    const old = await cluster.leader();
    await cluster.world.advance(300);
    cluster.partition([old], cluster.others(old));
    let seen: string[] | undefined;
    const read = cluster
      .node(old)
      .linearizableRead()
      .then(() => (seen = cluster.member(old).machine.texts));
    const next = await cluster.leader(cluster.others(old));
    await cluster.world.result(cluster.node(next).propose(command('new')));
    expect(seen).toBeUndefined();
    // What was answered after the read began may or may not be seen; nothing older may be missing.
    const later = cluster.node(old).linearizableRead();
    await cluster.world.advance(5_000);
    expect(seen).toBeUndefined();
    cluster.heal();
    await cluster.world.result(Promise.all([read, later]));
    expect(cluster.member(old).machine.texts).toEqual(['new']);
    await cluster.end();
  });

  test('can be aborted, and are bounded', async () => {
    const cluster = new SimCluster({ node: { limits: { readsPendingMax: 2 } } });
    const { node } = await cluster.boot(1, [1, 2, 3]);
    const controller = new AbortController();
    const read = node!.linearizableRead({ signal: controller.signal });
    const other = node!.linearizableRead();
    await expect(node!.linearizableRead()).rejects.toMatchObject({ reason: 'tooManyPending' });
    await cluster.world.advance(1_000);
    controller.abort();
    await expect(read).rejects.toMatchObject({ code: 'REJECTED', reason: 'aborted' });
    expect(node!.driverStatus().readsPending).toBe(1);
    await expect(node!.linearizableRead({ signal: AbortSignal.abort() })).rejects.toMatchObject({
      reason: 'aborted',
    });
    const stop = node!.stop();
    await expect(cluster.world.result(other)).rejects.toMatchObject({ reason: 'stopped' });
    await stop;
  });
});
