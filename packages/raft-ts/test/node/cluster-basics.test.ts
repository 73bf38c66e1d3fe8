import { describe, expect, test } from '@jest/globals';
import { SimCluster } from './support/sim-cluster.js';
import { command } from './support/test-machine.js';

describe('a cluster of three members', () => {
  test('elects one leader, and everybody hears of it', async () => {
    const cluster = await SimCluster.start();
    const leader = await cluster.leader();
    for (const { id, roles, node } of cluster.members.values()) {
      expect(node!.status().lead).toBe(leader);
      expect(roles.at(-1)).toEqual({
        role: id === leader ? 'StateLeader' : 'StateFollower',
        leader,
        term: node!.status().term,
      });
    }
    await cluster.end();
  });

  test('applies a proposal everywhere and answers with the value of the state machine', async () => {
    const cluster = await SimCluster.start();
    const leader = await cluster.leader();
    const result = await cluster.world.result(cluster.node(leader).propose(command('a')));
    expect(result).toEqual({ outcome: 'applied', index: expect.any(Number), value: 'did a' });
    await cluster.converge();
    for (const { machine } of cluster.members.values()) expect(machine.texts).toEqual(['a']);
    await cluster.end();
  });

  test('keeps the order in which proposals were made on one member', async () => {
    const cluster = await SimCluster.start();
    const node = cluster.node(await cluster.leader());
    const texts = Array.from({ length: 200 }, (_, i) => `c${i}`);
    const results = await cluster.world.result(
      Promise.all(texts.map((text) => node.propose(command(text)))),
    );
    expect(results.every(({ outcome }) => outcome === 'applied')).toBe(true);
    await cluster.converge();
    for (const { machine } of cluster.members.values()) expect(machine.texts).toEqual(texts);
    await cluster.end();
  });

  test('an empty proposal is applied like any other', async () => {
    const cluster = await SimCluster.start();
    const node = cluster.node(await cluster.leader());
    const result = await cluster.world.result(node.propose(new Uint8Array(0)));
    expect(result).toMatchObject({ outcome: 'applied', value: 'did ' });
    await cluster.end();
  });

  test('proposals of one turn share one append per follower', async () => {
    const cluster = await SimCluster.start();
    const leader = await cluster.leader();
    await cluster.world.advance(500);
    const { sent } = cluster.member(leader);
    sent.length = 0;
    const node = cluster.node(leader);
    const all = Promise.all(Array.from({ length: 50 }, (_, i) => node.propose(command(`${i}`))));
    await cluster.world.result(all);
    const appends = sent.filter(({ type, entries }) => type === 'MsgApp' && entries.length > 0);
    expect(appends.map(({ entries }) => entries.length)).toEqual([50, 50]);
    await cluster.end();
  });

  test('comes back with everything after a loss of power everywhere', async () => {
    const cluster = await SimCluster.start();
    const node = cluster.node(await cluster.leader());
    for (const text of ['a', 'b', 'c']) await cluster.world.result(node.propose(command(text)));
    for (const id of [1, 2, 3]) cluster.kill(id);
    for (const id of [1, 2, 3]) await cluster.boot(id);
    const leader = await cluster.leader();
    await cluster.world.result(cluster.node(leader).linearizableRead());
    expect(cluster.member(leader).machine.texts).toEqual(['a', 'b', 'c']);
    await cluster.world.result(cluster.node(leader).propose(command('d')));
    await cluster.converge();
    expect(cluster.member(1).machine.texts).toEqual(['a', 'b', 'c', 'd']);
    await cluster.end();
  });

  test('goes on when the leader loses power during writes', async () => {
    const cluster = await SimCluster.start({ seed: 5 });
    const old = await cluster.leader();
    const node = cluster.node(old);
    await cluster.world.result(node.propose(command('before')));
    const open = Array.from({ length: 20 }, (_, i) => node.propose(command(`open ${i}`)));
    await cluster.world.advance(2);
    cluster.kill(old);
    const results = await cluster.world.result(Promise.all(open));
    const next = await cluster.leader(cluster.others(old));
    await cluster.world.result(cluster.node(next).propose(command('after')));
    await cluster.boot(old);
    await cluster.world.advance(500);
    await cluster.converge();
    const { texts } = cluster.member(old).machine;
    expect(texts[0]).toBe('before');
    expect(texts.at(-1)).toBe('after');
    for (const [i, { outcome }] of results.entries()) {
      if (outcome === 'applied') expect(texts).toContain(`open ${i}`);
      if (outcome === 'rejected') expect(texts).not.toContain(`open ${i}`);
    }
    await cluster.end();
  });

  test('a minority cannot commit, and follows again when the partition ends', async () => {
    const cluster = await SimCluster.start({ seed: 2 });
    const old = await cluster.leader();
    cluster.partition([old], cluster.others(old));
    const lonely = cluster.node(old).propose(command('lonely'));
    const next = await cluster.leader(cluster.others(old));
    expect(next).not.toBe(old);
    await cluster.world.result(cluster.node(next).propose(command('majority')));
    expect(await cluster.world.result(lonely)).toEqual({
      outcome: 'unknown',
      reason: 'leadershipLost',
    });
    cluster.heal();
    await cluster.world.advance(3_000);
    await cluster.converge();
    expect(cluster.member(old).machine.texts).toEqual(['majority']);
    await cluster.end();
  });

  test('messages may be lost, late and twice', async () => {
    const cluster = await SimCluster.start({
      seed: 9,
      delayMs: (random) => (random(4) === 0 ? 40 : 1 + random(10)),
    });
    let count = 0;
    cluster.filter = () => ++count % 7 !== 0;
    for (let i = 0; i < 30; i++) {
      const leader = await cluster.leader();
      await cluster.world.result(cluster.node(leader).propose(command(`${i}`)));
    }
    cluster.heal();
    await cluster.world.advance(2_000);
    await cluster.converge();
    cluster.check();
    await cluster.end();
  });
});

describe('a cluster of one member', () => {
  test('needs nobody else, and can be hurried', async () => {
    const cluster = new SimCluster();
    const { node } = await cluster.boot(1, [1]);
    // The first entries are not applied yet; it waits for them.
    node!.campaign();
    await cluster.world.advance(0);
    expect(node!.status().raftState).toBe('StateLeader');
    const result = await cluster.world.result(node!.propose(command('alone')));
    expect(result.outcome).toBe('applied');
    await cluster.end();
  });
});

describe('stopping', () => {
  test('ends the use of the store, the clock and the state machine', async () => {
    const cluster = await SimCluster.start();
    const leader = await cluster.leader();
    const member = cluster.member(leader);
    const node = member.node!;
    await cluster.world.result(node.propose(command('a')));
    const last = node.propose(command('b'));
    await cluster.world.result(node.stop());
    expect(['applied', 'rejected', 'unknown']).toContain((await last).outcome);
    expect(member.clock.timerCount).toBe(0);
    const { writes } = member.store.counts;
    const { applyCalls } = member.machine;
    await cluster.world.advance(5_000);
    expect(member.store.counts.writes).toBe(writes);
    expect(member.machine.applyCalls).toBe(applyCalls);
    expect(await node.propose(command('c'))).toEqual({ outcome: 'rejected', reason: 'stopped' });
    await expect(node.linearizableRead()).rejects.toMatchObject({ reason: 'stopped' });
    await expect(node.transferLeadership(1)).rejects.toMatchObject({ reason: 'stopped' });
    await node.stop();
    cluster.check();
  });

  test('finishes a write that is open', async () => {
    const cluster = new SimCluster();
    const member = await cluster.boot(1, [1]);
    await cluster.leader();
    let release = (): void => undefined;
    member.store.hooks.beforeWrite = () => new Promise((resolve) => (release = resolve));
    const proposal = member.node!.propose(command('a'));
    await cluster.world.advance(10);
    let isStopped = false;
    const stop = member.node!.stop().then(() => (isStopped = true));
    await cluster.world.advance(10);
    expect(isStopped).toBe(false);
    delete member.store.hooks.beforeWrite;
    release();
    await stop;
    expect(await proposal).toMatchObject({ outcome: 'applied' });
    expect(member.store.durable.entries.at(-1)?.data.length).toBeGreaterThan(0);
  });

  test('finishes what follows from a write that is open', async () => {
    const cluster = await SimCluster.start({ size: 1 });
    const member = cluster.member(1);
    const releases: (() => void)[] = [];
    member.machine.beforeApply = () => new Promise((resolve) => releases.push(resolve));
    member.store.hooks.beforeWrite = () => new Promise((resolve) => releases.push(resolve));
    const proposal = member.node!.propose(command('a'));
    await cluster.world.advance(10);
    let isStopped = false;
    const stop = member.node!.stop().then(() => (isStopped = true));
    // The write of the entry, the write of the commit index, and the application.
    for (let i = 0; i < 3; i++) {
      await cluster.world.advance(10);
      expect([i, isStopped]).toEqual([i, false]);
      releases.shift()!();
    }
    await cluster.world.result(stop);
    expect(await proposal).toMatchObject({ outcome: 'applied' });
  });

  test('a second call waits for the same end', async () => {
    const cluster = new SimCluster();
    const { node } = await cluster.boot(1, [1]);
    await Promise.all([node!.stop(), node!.stop(), node![Symbol.asyncDispose]()]);
  });
});
