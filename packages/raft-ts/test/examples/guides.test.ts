import { describe, expect, test } from '@jest/globals';
import { read, startMember, write } from '../../examples/hosts/driver-host.js';
import {
  addVoter,
  keepsQuorum,
  removeMember,
  replaceVoter,
} from '../../examples/guides/membership.js';
import type { ConfState } from '../../src/index.js';
import { MemoryLogStore } from '../../src/node/memory-log-store.js';
import { SimCluster } from '../node/support/sim-cluster.js';
import { command, TestMachine } from '../node/support/test-machine.js';

const votersOf = (cluster: SimCluster, id: number): number[] => [
  ...cluster.node(id).status().config.voters[0],
];

describe('the membership guide', () => {
  test('adds a voter that has caught up', async () => {
    const cluster = await SimCluster.start();
    const leader = await cluster.leader();
    for (let i = 0; i < 300; i++) void cluster.node(leader).propose(command(`c${i}`));
    await cluster.boot(4);
    const added = addVoter(cluster.node(leader), 4, () => cluster.world.advance(100));
    await cluster.world.until('a fourth voter', () => votersOf(cluster, leader).includes(4));
    await added;
    expect(cluster.member(4).machine.commands.length).toBeGreaterThan(190);
    await cluster.end();
  });

  test('replaces a voter in one step, and removes another', async () => {
    const cluster = await SimCluster.start();
    const leader = await cluster.leader();
    const [gone, other] = cluster.others(leader) as [number, number];
    await cluster.boot(4);
    const learner = { type: 'ConfChangeAddLearnerNode', nodeId: 4 } as const;
    const node = cluster.node(leader);
    await cluster.world.result(node.proposeConfChange({ version: 1, change: learner }));
    const joint = await cluster.world.result(replaceVoter(node, gone, 4));
    expect(joint.votersOutgoing).toEqual([1, 2, 3]);
    await cluster.world.until('the joint configuration is left', () => {
      return node.status().config.voters[1].size === 0;
    });
    expect(votersOf(cluster, leader)).toEqual([leader, other, 4].toSorted((a, b) => a - b));

    const state = await cluster.world.result(removeMember(node, other, leader));
    expect(state?.voters).toEqual([leader, 4].toSorted((a, b) => a - b));
    await cluster.end();
  });

  test('removes a leader after it has handed over', async () => {
    const cluster = await SimCluster.start();
    const leader = await cluster.leader();
    const [successor] = cluster.others(leader) as [number];
    const first = removeMember(cluster.node(leader), leader, successor);
    expect(await cluster.world.result(first)).toBeUndefined();
    const second = removeMember(cluster.node(successor), leader, successor);
    expect((await cluster.world.result(second))?.voters).toEqual(cluster.others(leader));
    await cluster.end();
  });

  test('knows which changes lose the quorum', () => {
    const now: ConfState = {
      voters: [1, 2, 3],
      votersOutgoing: [],
      learners: [],
      learnersNext: [],
      autoLeave: false,
    };
    const isUp = (id: number): boolean => id !== 3;
    const add = { type: 'ConfChangeAddNode', nodeId: 4 } as const;
    expect(keepsQuorum(now, [add], isUp)).toBe(true);
    expect(keepsQuorum(now, [add], (id) => id < 3)).toBe(false);
    const remove = { type: 'ConfChangeRemoveNode', nodeId: 2 } as const;
    expect(keepsQuorum(now, [remove], isUp)).toBe(false);
    expect(keepsQuorum(now, [{ ...remove, nodeId: 3 }], isUp)).toBe(true);
  });
});

test('the host with the driver writes and reads', async () => {
  const stateMachine = new TestMachine('1', new Map());
  const node = await startMember({
    id: 1,
    voters: [1],
    store: new MemoryLogStore(),
    stateMachine,
    transport: { send: () => undefined },
  });
  await expect(write(node, command('early'))).rejects.toThrow('noLeader; ask member 0');
  node.campaign();
  await node.linearizableRead();
  expect(await write(node, command('one'))).toBe('did one');
  expect(await read(node, () => stateMachine.texts)).toEqual(['one']);
  await node.stop();
});
