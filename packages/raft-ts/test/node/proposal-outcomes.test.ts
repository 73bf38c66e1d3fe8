import { describe, expect, test } from '@jest/globals';
import { SimCluster } from './support/sim-cluster.js';
import { command } from './support/test-machine.js';

/** A leader cut off from the others, which have a leader of their own. */
async function cutOff(options: { seed: number }) {
  const cluster = await SimCluster.start(options);
  const old = await cluster.leader();
  await cluster.world.advance(300);
  cluster.partition([old], cluster.others(old));
  return { cluster, old };
}

describe('outcome of a proposal', () => {
  test('a follower refuses: it is certainly not in the log', async () => {
    const cluster = await SimCluster.start();
    const leader = await cluster.leader();
    const [follower] = cluster.others(leader);
    expect(await cluster.node(follower!).propose(command('x'))).toEqual({
      outcome: 'rejected',
      reason: 'forwardingDisabled',
    });
    await cluster.end();
  });

  test('without a leader it is refused', async () => {
    const cluster = new SimCluster();
    const { node } = await cluster.boot(1, [1, 2, 3]);
    await cluster.world.advance(100);
    expect(await node!.propose(command('x'))).toEqual({
      outcome: 'rejected',
      reason: 'noLeader',
    });
    await cluster.end();
  });

  test('a payload over the limit is refused, one of exactly the limit is not', async () => {
    const cluster = await SimCluster.start({ node: { limits: { proposalSizeMax: 100 } } });
    const node = cluster.node(await cluster.leader());
    expect(await node.propose(new Uint8Array(101))).toEqual({
      outcome: 'rejected',
      reason: 'tooLarge',
    });
    expect(await cluster.world.result(node.propose(new Uint8Array(100)))).toMatchObject({
      outcome: 'applied',
    });
    await cluster.end();
  });

  test('pending proposals are bounded', async () => {
    const cluster = await SimCluster.start({ node: { limits: { proposalsPendingMax: 3 } } });
    const node = cluster.node(await cluster.leader());
    const proposals = ['a', 'b', 'c', 'd'].map((text) => node.propose(command(text)));
    expect(node.driverStatus().proposalsPending).toBe(3);
    expect(await proposals[3]).toEqual({ outcome: 'rejected', reason: 'tooManyPending' });
    await cluster.world.result(Promise.all(proposals));
    expect(node.driverStatus().proposalsPending).toBe(0);
    expect(await cluster.world.result(node.propose(command('e')))).toMatchObject({
      outcome: 'applied',
    });
    await cluster.end();
  });

  test('over the limit of uncommitted bytes what fits is taken', async () => {
    const cluster = await SimCluster.start({ node: { limits: { uncommittedSizeMax: 1_000 } } });
    const leader = await cluster.leader();
    const node = cluster.node(leader);
    const proposals = [node.propose(new Uint8Array(300))];
    await cluster.world.advance(0);
    for (let i = 0; i < 5; i++) proposals.push(node.propose(new Uint8Array(300)));
    const results = await cluster.world.result(Promise.all(proposals));
    const outcomes = results.map(({ outcome }) => outcome);
    expect(outcomes.filter((outcome) => outcome === 'applied')).toHaveLength(3);
    expect(results).toContainEqual({
      outcome: 'rejected',
      reason: 'uncommittedLimit',
    });
    await cluster.end();
  });

  test('during a transfer it is refused', async () => {
    const cluster = await SimCluster.start();
    const leader = await cluster.leader();
    const [to] = cluster.others(leader);
    cluster.partition([leader], [to!]);
    const transfer = cluster.node(leader).transferLeadership(to!);
    const result = await cluster.world.result(cluster.node(leader).propose(command('x')));
    expect(result).toEqual({ outcome: 'rejected', reason: 'transferInProgress' });
    await expect(cluster.world.result(transfer)).rejects.toMatchObject({ code: 'REJECTED' });
    await cluster.end();
  });

  test('aborted before the call: rejected', async () => {
    const cluster = await SimCluster.start();
    const node = cluster.node(await cluster.leader());
    const signal = AbortSignal.abort();
    expect(await node.propose(command('x'), { signal })).toEqual({
      outcome: 'rejected',
      reason: 'aborted',
    });
    await cluster.end();
  });

  test('aborted before the core got it: rejected, and it never takes effect', async () => {
    const cluster = await SimCluster.start();
    const node = cluster.node(await cluster.leader());
    const controller = new AbortController();
    const proposal = node.propose(command('x'), { signal: controller.signal });
    controller.abort();
    expect(await proposal).toEqual({ outcome: 'rejected', reason: 'aborted' });
    await cluster.world.result(node.propose(command('y')));
    await cluster.converge();
    expect(cluster.member(1).machine.texts).toEqual(['y']);
    await cluster.end();
  });

  test('aborted later: unknown, and here it does take effect', async () => {
    const cluster = await SimCluster.start();
    const leader = await cluster.leader();
    const controller = new AbortController();
    const proposal = cluster.node(leader).propose(command('x'), { signal: controller.signal });
    await cluster.world.advance(0);
    controller.abort();
    expect(await proposal).toEqual({ outcome: 'unknown', reason: 'aborted' });
    await cluster.world.advance(1_000);
    expect(cluster.member(leader).machine.texts).toEqual(['x']);
    await cluster.end();
  });

  test('a signal is let go after the outcome', async () => {
    const cluster = await SimCluster.start();
    const node = cluster.node(await cluster.leader());
    const listeners = new Set<() => void>();
    const signal = {
      aborted: false,
      addEventListener: (_: 'abort', listener: () => void) => void listeners.add(listener),
      removeEventListener: (_: 'abort', listener: () => void) => void listeners.delete(listener),
    };
    const proposal = node.propose(command('x'), { signal });
    const read = node.linearizableRead({ signal });
    expect(listeners.size).toBe(2);
    await cluster.world.result(Promise.all([proposal, read]));
    expect(listeners.size).toBe(0);
    await cluster.end();
  });

  test('superseded when another leader fills its place before the wait is over', async () => {
    const { cluster, old } = await cutOff({ seed: 3 });
    const proposal = cluster.node(old).propose(command('x'));
    const next = await cluster.leader(cluster.others(old));
    for (const text of ['a', 'b', 'c']) {
      await cluster.world.result(cluster.node(next).propose(command(text)));
    }
    cluster.heal();
    expect(await cluster.world.result(proposal)).toEqual({
      outcome: 'rejected',
      reason: 'superseded',
    });
    await cluster.converge();
    expect(cluster.member(old).machine.texts).toEqual(['a', 'b', 'c']);
    await cluster.end();
  });

  test('applied although leadership was lost, when a later leader commits it', async () => {
    const cluster = await SimCluster.start({ seed: 4 });
    const old = await cluster.leader();
    const [next, third] = cluster.others(old) as [number, number];
    // The followers get the append, but their answers are lost.
    cluster.filter = ({ type, to }) => !(type === 'MsgAppResp' && to === old);
    const proposal = cluster.node(old).propose(command('x'));
    await cluster.world.advance(50);
    cluster.partition([old], [next, third]);
    await cluster.leader([next, third]);
    cluster.heal();
    expect(await cluster.world.result(proposal)).toMatchObject({
      outcome: 'applied',
      value: 'did x',
    });
    expect(cluster.node(old).status().raftState).toBe('StateFollower');
    await cluster.end();
  });

  test('unknown when nobody is heard of any more', async () => {
    const { cluster, old } = await cutOff({ seed: 6 });
    const proposal = cluster.node(old).propose(command('x'));
    const startMs = cluster.world.nowMs;
    expect(await cluster.world.result(proposal)).toEqual({
      outcome: 'unknown',
      reason: 'leadershipLost',
    });
    // One to two election timeouts until CheckQuorum, then two more of waiting.
    expect(cluster.world.nowMs - startMs).toBeLessThanOrEqual(4_200);
    await cluster.end();
  });

  test('unknown when a snapshot covers its place', async () => {
    const cluster = await SimCluster.start({
      seed: 8,
      node: { limits: { snapshotEntries: 5, keepEntries: 0 } },
    });
    const old = await cluster.leader();
    await cluster.world.advance(300);
    cluster.partition([old], cluster.others(old));
    const proposal = cluster.node(old).propose(command('x'));
    const next = await cluster.leader(cluster.others(old));
    for (let i = 0; i < 12; i++) {
      await cluster.world.result(cluster.node(next).propose(command(`${i}`)));
    }
    cluster.heal();
    expect(await cluster.world.result(proposal)).toEqual({
      outcome: 'unknown',
      reason: 'leadershipLost',
    });
    await cluster.world.advance(2_000);
    expect(cluster.member(old).machine.restoreCalls).toBe(1);
    await cluster.converge();
    await cluster.end();
  });

  test('unknown when the member stops first', async () => {
    const { cluster, old } = await cutOff({ seed: 7 });
    const node = cluster.node(old);
    const proposal = node.propose(command('x'));
    await cluster.world.advance(5);
    const late = node.propose(command('y'));
    await cluster.world.result(node.stop());
    expect(await proposal).toEqual({ outcome: 'unknown', reason: 'stopped' });
    expect(await late).toEqual({ outcome: 'rejected', reason: 'stopped' });
  });
});
