import { describe, expect, test } from '@jest/globals';
import { LEAVE_JOINT } from '../../src/index.js';
import type { ConfChange, ConfChangeType } from '../../src/index.js';
import { SimCluster } from './support/sim-cluster.js';
import { command } from './support/test-machine.js';

function change(type: ConfChangeType, nodeId: number, context?: Uint8Array): ConfChange {
  return { version: 1, change: { type, nodeId }, ...(context === undefined ? {} : { context }) };
}

const PLAIN = { votersOutgoing: [], learnersNext: [], autoLeave: false };

describe('changes of the configuration', () => {
  test('a member joins as a learner, catches up, becomes a voter', async () => {
    const cluster = await SimCluster.start();
    const leader = await cluster.leader();
    const node = cluster.node(leader);
    for (let i = 0; i < 10; i++) await cluster.world.result(node.propose(command(`${i}`)));
    await cluster.boot(4);
    const asLearner = await cluster.world.result(
      node.proposeConfChange(change('ConfChangeAddLearnerNode', 4)),
    );
    expect(asLearner).toEqual({ ...PLAIN, voters: [1, 2, 3], learners: [4] });
    await cluster.converge();
    expect(cluster.member(4).machine.texts).toHaveLength(10);
    const asVoter = await cluster.world.result(
      node.proposeConfChange(change('ConfChangeAddNode', 4)),
    );
    expect(asVoter).toEqual({ ...PLAIN, voters: [1, 2, 3, 4], learners: [] });
    await cluster.converge();
    for (const { id } of cluster.running) {
      expect(cluster.confState(id)).toEqual({ ...PLAIN, voters: [1, 2, 3, 4], learners: [] });
    }
    await cluster.world.result(cluster.node(4).linearizableRead());
    await cluster.end();
  });

  test('a member that joins late gets a snapshot with the configuration', async () => {
    const cluster = await SimCluster.start({
      node: { limits: { snapshotEntries: 10, keepEntries: 0 } },
    });
    const node = cluster.node(await cluster.leader());
    for (let i = 0; i < 30; i++) await cluster.world.result(node.propose(command(`${i}`)));
    await cluster.boot(4);
    await cluster.world.result(node.proposeConfChange(change('ConfChangeAddLearnerNode', 4)));
    for (let i = 30; i < 45; i++) await cluster.world.result(node.propose(command(`${i}`)));
    await cluster.converge();
    expect(cluster.member(4).machine.restoreCalls).toBeGreaterThanOrEqual(1);
    expect(cluster.member(4).machine.texts).toHaveLength(45);
    const events = cluster.member(4).confChanges;
    expect(events.at(-1)?.confState.learners).toEqual([4]);
    await cluster.end();
  });

  test('a member that the stored snapshot does not contain gets a new one', async () => {
    const cluster = await SimCluster.start({
      node: { limits: { snapshotEntries: 30, keepEntries: 0 } },
    });
    const leader = await cluster.leader();
    const node = cluster.node(leader);
    for (let i = 0; i < 30; i++) await cluster.world.result(node.propose(command(`${i}`)));
    await cluster.world.advance(100);
    const { snapshotIndex } = node.driverStatus();
    const { sent, machine } = cluster.member(leader);
    machine.afterCapture = () => new Promise((resolve) => cluster.world.after(500, resolve));
    await cluster.boot(4);
    await cluster.world.result(node.proposeConfChange(change('ConfChangeAddLearnerNode', 4)));
    await cluster.world.advance(400);
    expect(sent.some(({ type }) => type === 'MsgSnap')).toBe(false);
    await cluster.converge();
    expect(cluster.member(4).machine.texts).toHaveLength(30);
    const snapshots = sent.filter(({ type }) => type === 'MsgSnap');
    expect(snapshots).toHaveLength(1);
    expect(snapshots[0]!.snapshot!.metadata.index).toBeGreaterThan(snapshotIndex);
    expect(snapshots[0]!.snapshot!.metadata.confState.learners).toEqual([4]);
    await cluster.end();
  });

  test('the context comes back without the id of the driver', async () => {
    const cluster = await SimCluster.start();
    const node = cluster.node(await cluster.leader());
    const context = Uint8Array.of(1, 2, 3);
    await cluster.world.result(
      node.proposeConfChange(change('ConfChangeAddLearnerNode', 7, context)),
    );
    await cluster.converge();
    for (const { confChanges } of cluster.members.values()) {
      expect(confChanges.at(-1)?.change).toEqual(change('ConfChangeAddLearnerNode', 7, context));
      // The first three are the bootstrap of this cluster.
      expect(confChanges.slice(0, 3).map((event) => event.change)).toEqual(
        [1, 2, 3].map((id) => change('ConfChangeAddNode', id)),
      );
    }
    await cluster.end();
  });

  test('a follower is removed; it does not disturb the others', async () => {
    const cluster = await SimCluster.start({ seed: 2 });
    const leader = await cluster.leader();
    const removed = cluster.others(leader)[0]!;
    const state = await cluster.world.result(
      cluster.node(leader).proposeConfChange(change('ConfChangeRemoveNode', removed)),
    );
    expect(state.voters).toEqual([1, 2, 3].filter((id) => id !== removed));
    const { term } = cluster.node(leader).status();
    await cluster.world.advance(10_000);
    expect(await cluster.leader(cluster.others(removed))).toBe(leader);
    expect(cluster.node(leader).status().term).toBe(term);
    await cluster.end();
  });

  test('the leader is removed: it steps down, somebody else leads', async () => {
    const cluster = await SimCluster.start({ seed: 3 });
    const leader = await cluster.leader();
    const state = await cluster.world.result(
      cluster.node(leader).proposeConfChange(change('ConfChangeRemoveNode', leader)),
    );
    expect(state.voters).not.toContain(leader);
    const next = await cluster.leader(cluster.others(leader));
    expect(next).not.toBe(leader);
    await cluster.world.result(cluster.node(next).propose(command('x')));
    const result = await cluster.node(leader).propose(command('y'));
    expect(result.outcome).toBe('rejected');
    await cluster.end();
  });

  test('members are replaced in one joint change, which is left by itself', async () => {
    const cluster = await SimCluster.start({ seed: 4 });
    const leader = await cluster.leader();
    const [out1, out2] = cluster.others(leader) as [number, number];
    await cluster.boot(4);
    await cluster.boot(5);
    const joint = await cluster.world.result(
      cluster.node(leader).proposeConfChange({
        version: 2,
        transition: 'auto',
        changes: [
          { type: 'ConfChangeRemoveNode', nodeId: out1 },
          { type: 'ConfChangeRemoveNode', nodeId: out2 },
          { type: 'ConfChangeAddNode', nodeId: 4 },
          { type: 'ConfChangeAddNode', nodeId: 5 },
        ],
      }),
    );
    expect(joint.votersOutgoing).toEqual([1, 2, 3]);
    await cluster.world.until('the joint configuration is left', () =>
      [leader, 4, 5].every((id) => cluster.confState(id)?.votersOutgoing.length === 0),
    );
    expect(cluster.confState(4)?.voters).toEqual([leader, 4, 5]);
    await cluster.end();
  });

  test('an explicit joint change is left by LEAVE_JOINT', async () => {
    const cluster = await SimCluster.start();
    const node = cluster.node(await cluster.leader());
    const learner = { type: 'ConfChangeAddLearnerNode', nodeId: 4 } as const;
    const joint = await cluster.world.result(
      node.proposeConfChange({ version: 2, transition: 'jointExplicit', changes: [learner] }),
    );
    expect(joint.votersOutgoing).toEqual([1, 2, 3]);
    const left = await cluster.world.result(node.proposeConfChange(LEAVE_JOINT));
    expect(left).toEqual({ ...PLAIN, voters: [1, 2, 3], learners: [4] });
    await cluster.end();
  });

  test('a second change before the first is applied is refused, and has no effect', async () => {
    const cluster = await SimCluster.start();
    const node = cluster.node(await cluster.leader());
    const first = node.proposeConfChange(change('ConfChangeAddLearnerNode', 4));
    const second = node.proposeConfChange(change('ConfChangeAddLearnerNode', 5));
    const command1 = node.propose(command('between'));
    await expect(cluster.world.result(second)).rejects.toMatchObject({
      code: 'REJECTED',
      reason: 'refused',
    });
    expect((await cluster.world.result(first)).learners).toEqual([4]);
    expect((await cluster.world.result(command1)).outcome).toBe('applied');
    await cluster.world.advance(1_000);
    expect(node.status().config.learners).toEqual(new Set([4]));
    await cluster.end();
  });

  test('a change that is not possible is refused, and the member goes on', async () => {
    const cluster = await SimCluster.start({ size: 1 });
    const node = cluster.node(await cluster.leader());
    await expect(
      cluster.world.result(node.proposeConfChange(change('ConfChangeRemoveNode', 1))),
    ).rejects.toMatchObject({ code: 'REJECTED', reason: 'refused' });
    expect(await cluster.world.result(node.propose(command('after')))).toMatchObject({
      outcome: 'applied',
    });
    await cluster.end();
  });

  test('on a follower a change is refused', async () => {
    const cluster = await SimCluster.start();
    const follower = cluster.others(await cluster.leader())[0]!;
    await expect(
      cluster.node(follower).proposeConfChange(change('ConfChangeAddLearnerNode', 4)),
    ).rejects.toMatchObject({ code: 'REJECTED', reason: 'forwardingDisabled' });
    await cluster.end();
  });

  test('a change that nobody can confirm ends as unknown', async () => {
    const cluster = await SimCluster.start({ seed: 5 });
    const leader = await cluster.leader();
    cluster.partition([leader]);
    const proposal = cluster.node(leader).proposeConfChange(change('ConfChangeAddLearnerNode', 4));
    await expect(cluster.world.result(proposal)).rejects.toMatchObject({
      code: 'UNKNOWN',
      reason: 'leadershipLost',
    });
    await cluster.end();
  });

  test('the next entry waits for the observer of a change', async () => {
    let release = (): void => undefined;
    let isHolding = false;
    const cluster = await SimCluster.start({
      size: 1,
      node: {
        onConfChange: () =>
          isHolding ? new Promise<void>((resolve) => (release = resolve)) : undefined,
      },
    });
    const { node, machine } = cluster.member(1);
    isHolding = true;
    const added = node!.proposeConfChange(change('ConfChangeAddLearnerNode', 4));
    const proposal = node!.propose(command('after'));
    await cluster.world.advance(100);
    expect(machine.texts).toEqual([]);
    release();
    await cluster.world.result(Promise.all([added, proposal]));
    expect(machine.texts).toEqual(['after']);
    await cluster.end();
  });

  test('changes since the snapshot take effect again after a restart', async () => {
    const cluster = await SimCluster.start({
      node: { limits: { snapshotEntries: 10, keepEntries: 0 } },
    });
    const node = cluster.node(await cluster.leader());
    await cluster.world.result(node.proposeConfChange(change('ConfChangeAddLearnerNode', 4)));
    for (let i = 0; i < 8; i++) await cluster.world.result(node.propose(command(`${i}`)));
    await cluster.world.result(node.proposeConfChange(change('ConfChangeAddLearnerNode', 5)));
    await cluster.converge();
    for (const id of [1, 2, 3]) await cluster.restart(id);
    for (const id of [1, 2, 3]) {
      await cluster.world.result(cluster.node(id).linearizableRead());
      expect(cluster.node(id).status().config.learners).toEqual(new Set([4, 5]));
    }
    await cluster.end();
  });
});

describe('transfer of leadership', () => {
  test('to a follower', async () => {
    const cluster = await SimCluster.start();
    const leader = await cluster.leader();
    const to = cluster.others(leader)[0]!;
    await cluster.world.result(cluster.node(leader).transferLeadership(to));
    expect(await cluster.leader()).toBe(to);
    await cluster.world.result(cluster.node(to).propose(command('x')));
    await cluster.end();
  });

  test('to oneself is done at once', async () => {
    const cluster = await SimCluster.start();
    const leader = await cluster.leader();
    await cluster.node(leader).transferLeadership(leader);
    await cluster.end();
  });

  test('by a follower, or to a stranger or a learner, is refused', async () => {
    const cluster = await SimCluster.start();
    const leader = await cluster.leader();
    const follower = cluster.others(leader)[0]!;
    await expect(cluster.node(follower).transferLeadership(leader)).rejects.toMatchObject({
      code: 'REJECTED',
      reason: 'notLeader',
    });
    const node = cluster.node(leader);
    await cluster.world.result(node.proposeConfChange(change('ConfChangeAddLearnerNode', 4)));
    for (const to of [4, 77]) {
      await expect(node.transferLeadership(to)).rejects.toMatchObject({ reason: 'refused' });
    }
    await cluster.end();
  });

  test('to a member that is down is given up', async () => {
    const cluster = await SimCluster.start();
    const leader = await cluster.leader();
    const [dead, live] = cluster.others(leader) as [number, number];
    cluster.kill(dead);
    const node = cluster.node(leader);
    const transfer = node.transferLeadership(dead);
    await expect(node.transferLeadership(live)).rejects.toMatchObject({
      reason: 'transferInProgress',
    });
    await expect(cluster.world.result(transfer)).rejects.toMatchObject({ reason: 'givenUp' });
    expect(await cluster.leader([leader, live])).toBe(leader);
    await cluster.world.result(node.propose(command('x')));
    await cluster.world.result(node.transferLeadership(live));
    await cluster.end();
  });

  test('nobody knows what became of it when no leader is heard of', async () => {
    const cluster = await SimCluster.start();
    const leader = await cluster.leader();
    const to = cluster.others(leader)[0]!;
    cluster.filter = ({ type }) => type !== 'MsgVoteResp';
    const transfer = cluster.node(leader).transferLeadership(to);
    await cluster.world.advance(50);
    expect(cluster.node(leader).status().raftState).toBe('StateFollower');
    cluster.partition();
    await expect(cluster.world.result(transfer)).rejects.toMatchObject({
      code: 'UNKNOWN',
      reason: 'noLeader',
    });
    await cluster.end();
  });

  test('can be aborted, which does not undo it', async () => {
    const cluster = await SimCluster.start();
    const leader = await cluster.leader();
    const to = cluster.others(leader)[0]!;
    const controller = new AbortController();
    const transfer = cluster.node(leader).transferLeadership(to, { signal: controller.signal });
    controller.abort();
    await expect(transfer).rejects.toMatchObject({ code: 'UNKNOWN', reason: 'aborted' });
    await cluster.world.advance(500);
    expect(await cluster.leader()).toBe(to);
    await cluster.end();
  });
});
