import { describe, expect, test } from '@jest/globals';
import type { NetworkMessage } from '../../src/index.js';
import type { LogBatch } from '../../src/node/index.js';
import { SimCluster } from './support/sim-cluster.js';
import type { SimMember } from './support/sim-cluster.js';
import { command } from './support/test-machine.js';

/** Holds every write of a member until it is let go. */
function holdWrites(member: SimMember): { held: LogBatch[]; release: () => void } {
  let waiting: (() => void)[] = [];
  const held: LogBatch[] = [];
  member.store.hooks.beforeWrite = (batch) => {
    held.push(batch);
    return new Promise((resolve) => waiting.push(resolve));
  };
  return {
    held,
    release: () => {
      delete member.store.hooks.beforeWrite;
      for (const resolve of waiting) resolve();
      waiting = [];
    },
  };
}

const PROMISES = new Set(['MsgAppResp', 'MsgVoteResp', 'MsgVote']);

function promises(messages: readonly NetworkMessage[]): NetworkMessage[] {
  return messages.filter(({ type, reject }) => PROMISES.has(type) && !reject);
}

describe('nothing that promises durability leaves before the write has resolved', () => {
  test('acknowledgments of entries wait, heartbeats are answered', async () => {
    const cluster = await SimCluster.start();
    const leader = await cluster.leader();
    await cluster.world.advance(300);
    const follower = cluster.member(cluster.others(leader)[0]!);
    const writes = holdWrites(follower);
    follower.sent.length = 0;
    const proposal = cluster.node(leader).propose(command('a'));
    await cluster.world.advance(800);
    expect(writes.held.length).toBe(1);
    expect(promises(follower.sent)).toEqual([]);
    expect(follower.sent.some(({ type }) => type === 'MsgHeartbeatResp')).toBe(true);
    // The other follower is a quorum with the leader.
    expect((await proposal).outcome).toBe('applied');
    writes.release();
    await cluster.world.advance(100);
    expect(promises(follower.sent).length).toBeGreaterThan(0);
    await cluster.converge();
    await cluster.end();
  });

  test('votes wait', async () => {
    const cluster = await SimCluster.start({ seed: 3 });
    const leader = await cluster.leader();
    const [a, b] = cluster.others(leader).map((id) => cluster.member(id)) as [SimMember, SimMember];
    const writes = [holdWrites(a), holdWrites(b)];
    a.sent.length = 0;
    b.sent.length = 0;
    cluster.kill(leader);
    await cluster.world.advance(10_000);
    // Pre-votes promise nothing and pass, real votes are stuck.
    expect([...a.sent, ...b.sent].some(({ type }) => type === 'MsgPreVote')).toBe(true);
    expect(promises([...a.sent, ...b.sent])).toEqual([]);
    for (const { release } of writes) release();
    await cluster.leader([a.id, b.id]);
    await cluster.end();
  });

  test('the leader sends entries before it has written them, but does not count itself', async () => {
    const cluster = await SimCluster.start();
    const leader = cluster.member(await cluster.leader());
    await cluster.world.advance(300);
    const [live, dead] = cluster.others(leader.id) as [number, number];
    cluster.kill(dead);
    const writes = holdWrites(leader);
    leader.sent.length = 0;
    let outcome = '';
    void leader.node!.propose(command('a')).then((result) => (outcome = result.outcome));
    await cluster.world.advance(100);
    expect(leader.sent.some(({ type, entries }) => type === 'MsgApp' && entries.length === 1)).toBe(
      true,
    );
    expect(cluster.member(live).store.durable.entries.at(-1)?.data.length).toBeGreaterThan(0);
    expect(outcome).toBe('');
    writes.release();
    await cluster.world.advance(50);
    expect(outcome).toBe('applied');
    await cluster.end();
  });

  test('entries are not applied before they are durable here', async () => {
    const cluster = await SimCluster.start();
    const leader = await cluster.leader();
    await cluster.world.advance(300);
    const follower = cluster.member(cluster.others(leader)[0]!);
    const writes = holdWrites(follower);
    await cluster.world.result(cluster.node(leader).propose(command('a')));
    await cluster.world.advance(500);
    expect(follower.machine.texts).toEqual([]);
    writes.release();
    await cluster.converge();
    expect(follower.machine.texts).toEqual(['a']);
    await cluster.end();
  });

  test('a loss of power before the write takes nothing back that was promised', async () => {
    const cluster = await SimCluster.start({ seed: 11 });
    const leader = await cluster.leader();
    await cluster.world.advance(300);
    const [a, b] = cluster.others(leader) as [number, number];
    for (const id of [a, b]) holdWrites(cluster.member(id));
    let outcome = '';
    const proposal = cluster.node(leader).propose(command('lost?'));
    void proposal.then((result) => (outcome = result.outcome));
    await cluster.world.advance(300);
    expect(outcome).toBe('');
    for (const id of [a, b]) await cluster.restart(id);
    await cluster.world.advance(3_000);
    await cluster.converge();
    expect(cluster.history.size).toBeLessThanOrEqual(1);
    if ((await cluster.world.result(proposal)).outcome === 'applied') {
      expect(cluster.member(a).machine.texts).toEqual(['lost?']);
    }
    await cluster.end();
  });

  test('a commit index alone is written without a sync', async () => {
    const cluster = await SimCluster.start();
    const leader = await cluster.leader();
    await cluster.world.advance(500);
    const { store } = cluster.member(leader);
    const before = store.counts;
    await cluster.world.result(cluster.node(leader).propose(command('a')));
    await cluster.world.advance(500);
    const after = store.counts;
    expect(after.writes - before.writes).toBe(2);
    expect(after.syncs - before.syncs).toBe(1);
    await cluster.end();
  });

  test('a commit index waits for the next write, and a stop writes it', async () => {
    const cluster = await SimCluster.start({ size: 1, node: { tickMs: 1_000 } });
    const member = cluster.member(1);
    await cluster.leader();
    await cluster.world.advance(1_500);
    const before = member.store.counts;
    for (const text of ['a', 'b', 'c']) {
      await cluster.world.result(member.node!.propose(command(text)));
    }
    const after = member.store.counts;
    expect(after.writes - before.writes).toBe(3);
    const commits: (number | undefined)[] = [];
    member.store.hooks.beforeWrite = ({ hardState }) => {
      commits.push(hardState?.commit);
    };
    const { commit } = member.node!.basicStatus();
    await cluster.world.result(member.node!.stop());
    expect(commits).toEqual([commit]);
    await cluster.end();
  });
});

describe('group commit', () => {
  test('what queues up during a write becomes one write with one sync', async () => {
    const cluster = await SimCluster.start({ size: 1 });
    const member = cluster.member(1);
    await cluster.world.advance(500);
    const before = member.store.counts;
    const writes = holdWrites(member);
    const proposals = [member.node!.propose(command('0'))];
    for (let i = 1; i <= 40; i++) {
      await cluster.world.advance(1);
      proposals.push(member.node!.propose(command(`${i}`)));
    }
    await cluster.world.advance(1);
    expect(writes.held.length).toBe(1);
    writes.release();
    const results = await cluster.world.result(Promise.all(proposals));
    expect(results.every(({ outcome }) => outcome === 'applied')).toBe(true);
    const after = member.store.counts;
    expect(after.entries - before.entries).toBe(41);
    expect(after.syncs - before.syncs).toBe(2);
    expect(member.machine.texts).toEqual(Array.from({ length: 41 }, (_, i) => `${i}`));
    await cluster.end();
  });

  test('a merged write stays within its size', async () => {
    const cluster = await SimCluster.start({
      size: 1,
      node: { limits: { writeSizeMax: 1_000, messageSizeMax: 100 } },
    });
    const member = cluster.member(1);
    await cluster.world.advance(500);
    const writes = holdWrites(member);
    const proposals = [member.node!.propose(command('first'))];
    for (let i = 0; i < 10; i++) {
      await cluster.world.advance(1);
      proposals.push(member.node!.propose(new Uint8Array(400)));
    }
    const sizes: number[] = [];
    writes.release();
    member.store.hooks.beforeWrite = ({ entries }) => {
      sizes.push(entries.reduce((sum, { data }) => sum + data.length, 0));
    };
    await cluster.world.result(Promise.all(proposals));
    expect(Math.max(...sizes)).toBeLessThanOrEqual(1_000);
    expect(sizes.filter((size) => size > 400).length).toBeGreaterThanOrEqual(4);
    await cluster.end();
  });

  test('input is dropped while too much waits for the disk, and the member recovers', async () => {
    const cluster = await SimCluster.start({
      node: { limits: { appendQueueLengthMax: 5, keepEntries: 0 } },
    });
    const leader = await cluster.leader();
    await cluster.world.advance(300);
    const follower = cluster.member(cluster.others(leader)[0]!);
    const writes = holdWrites(follower);
    for (let i = 0; i < 40; i++) {
      await cluster.world.result(cluster.node(leader).propose(command(`${i}`)));
      expect(follower.node!.driverStatus().appendQueueLength).toBeLessThanOrEqual(6);
    }
    expect(follower.node!.driverStatus().oldestWriteAgeMs).toBeGreaterThan(0);
    writes.release();
    await cluster.world.advance(3_000);
    await cluster.converge();
    expect(follower.machine.texts).toHaveLength(40);
    await cluster.end();
  });
});

describe('a failed write is final', () => {
  test('on a leader: pending proposals are unknown, nothing leaves, the error is told', async () => {
    const cluster = await SimCluster.start({ seed: 12 });
    const leader = cluster.member(await cluster.leader());
    await cluster.world.advance(300);
    const cause = new Error('EIO');
    leader.store.hooks.beforeWrite = () => Promise.reject(cause);
    const node = leader.node!;
    const proposal = node.propose(command('a'));
    const read = node.linearizableRead().catch((error: unknown) => error);
    const error = await cluster.world.result(node.fatal);
    expect(error).toMatchObject({ code: 'STORE_FAILED', cause });
    expect(await proposal).toEqual({ outcome: 'unknown', reason: 'stopped' });
    await cluster.world.result(read);
    leader.sent.length = 0;
    await cluster.world.advance(5_000);
    expect(leader.sent).toEqual([]);
    expect(leader.clock.timerCount).toBe(0);
    expect(await node.propose(command('b'))).toEqual({ outcome: 'rejected', reason: 'stopped' });
    await node.stop();
    const next = await cluster.leader(cluster.others(leader.id));
    await cluster.world.result(cluster.node(next).propose(command('c')));
    await cluster.end();
  });

  test('on a follower: the others go on', async () => {
    const cluster = await SimCluster.start({ seed: 13 });
    const leader = await cluster.leader();
    const follower = cluster.member(cluster.others(leader)[0]!);
    await cluster.world.advance(300);
    follower.store.hooks.afterWrite = () => Promise.reject(new Error('fsync'));
    follower.sent.length = 0;
    const result = await cluster.world.result(cluster.node(leader).propose(command('a')));
    expect(result.outcome).toBe('applied');
    await cluster.world.until('the follower fails', () => follower.failure !== undefined);
    expect(promises(follower.sent)).toEqual([]);
    await cluster.end();
  });

  test('a failing state machine is final too', async () => {
    const cluster = await SimCluster.start();
    const leader = cluster.member(await cluster.leader());
    leader.machine.beforeApply = () => Promise.reject(new Error('diverged'));
    const proposal = leader.node!.propose(command('a'));
    expect(await cluster.world.result(leader.node!.fatal)).toMatchObject({
      code: 'STATE_MACHINE_FAILED',
    });
    expect(await proposal).toEqual({ outcome: 'unknown', reason: 'stopped' });
    await cluster.end();
  });

  test('results must match entries', async () => {
    const cluster = await SimCluster.start();
    const leader = cluster.member(await cluster.leader());
    leader.machine.apply = () => Promise.resolve([]);
    void leader.node!.propose(command('a'));
    expect(await cluster.world.result(leader.node!.fatal)).toMatchObject({
      code: 'CONTRACT_BROKEN',
    });
    await cluster.end();
  });

  test('an observer that throws is not', async () => {
    const cluster = await SimCluster.start({
      node: {
        limits: { snapshotEntries: 2 },
        onRoleChange: () => {
          throw new Error('observer');
        },
        onSnapshotStored: () => {
          throw new Error('observer');
        },
      },
    });
    const leader = await cluster.leader();
    const result = await cluster.world.result(cluster.node(leader).propose(command('a')));
    expect(result.outcome).toBe('applied');
    await cluster.world.advance(100);
    expect(cluster.node(leader).driverStatus().snapshotIndex).toBeGreaterThan(0);
    expect(cluster.running).toHaveLength(3);
    await cluster.end();
  });
});
