import { describe, expect, test } from '@jest/globals';
import { AsyncMember } from '../../examples/hosts/async-host.js';
import { SyncMember } from '../../examples/hosts/sync-host.js';
import type { ConfChangeType } from '../../src/index.js';
import { bytes, RawCluster, text } from './support/raw-cluster.js';
import type { StartHost, TestMember } from './support/raw-cluster.js';

const startSync: StartHost = ({ id, disk, machine, reads }, voters, send) =>
  Promise.resolve(
    new SyncMember({
      id,
      voters,
      send,
      stored: disk.load(),
      write: (batch, { sync }) => disk.write(batch, sync),
      apply: (entry) => machine.apply(entry),
      restore: (snapshot) => machine.restore(snapshot),
      serveRead: (context) => reads.push(text(context)),
      saveSnapshot: (snapshot) => disk.saveSnapshot(snapshot),
      discard: (index) => disk.discard(index),
    }),
  );

const turn = (): Promise<void> =>
  new Promise((resolve) => {
    setImmediate(resolve);
  });

const startAsync: StartHost = ({ id, disk, machine, reads }, voters, send) =>
  AsyncMember.start({
    id,
    voters,
    send,
    stored: disk.load(),
    write: async (batches) => {
      await turn();
      for (const batch of batches) disk.write(batch, true);
      await turn();
    },
    apply: async (entry) => {
      await turn();
      machine.apply(entry);
    },
    restore: async (snapshot) => {
      await turn();
      machine.restore(snapshot);
    },
    serveRead: (context) => reads.push(text(context)),
  });

const change = (
  type: ConfChangeType,
  nodeId: number,
): { version: 1; change: { type: ConfChangeType; nodeId: number } } => ({
  version: 1,
  change: { type, nodeId },
});

describe.each([
  ['synchronous', startSync],
  ['asynchronous', startAsync],
])('the %s host', (_, start) => {
  async function newCluster(): Promise<RawCluster> {
    const cluster = new RawCluster(start);
    for (const id of [1, 2, 3]) await cluster.boot(id, [1, 2, 3]);
    return cluster;
  }

  test('replicates commands, each once and in the same order', async () => {
    const cluster = await newCluster();
    const leader = await cluster.leader();
    const commands = Array.from({ length: 200 }, (_unused, i) => `c${i}`);
    for (const command of commands) leader.host!.propose(bytes(command));
    await cluster.write('last');
    for (const { machine } of cluster.members.values()) {
      expect(machine.commands).toEqual([...commands, 'last']);
    }
  });

  test('goes on after the leader lost power, which then catches up', async () => {
    const cluster = await newCluster();
    await cluster.write('one');
    const { id } = await cluster.leader();
    cluster.kill(id);
    await cluster.write('two');
    const back = await cluster.boot(id, [1, 2, 3]);
    await cluster.write('three');
    expect(back.machine.commands).toEqual(['one', 'two', 'three']);
  });

  test('keeps everything when all of them lose power', async () => {
    const cluster = await newCluster();
    await cluster.write('one');
    for (const id of [1, 2, 3]) cluster.kill(id);
    for (const id of [1, 2, 3]) await cluster.boot(id, [1, 2, 3]);
    await cluster.write('two');
    for (const { machine } of cluster.members.values()) {
      expect(machine.commands).toEqual(['one', 'two']);
    }
  });

  test('serves reads on every member when it is new enough', async () => {
    const cluster = await newCluster();
    await cluster.write('one');
    await cluster.leader();
    for (const member of cluster.members.values()) {
      let attempt = 0;
      await cluster.until('a read', () => {
        if (attempt++ % 500 === 0) member.host!.read(bytes(`r${attempt}`));
        return member.reads.length > 0;
      });
      expect(member.machine.commands).toEqual(['one']);
    }
  });

  test('takes in a learner and makes it a voter', async () => {
    const cluster = await newCluster();
    await cluster.write('one');
    const joining = await cluster.boot(4, []);
    const leader = await cluster.leader();
    leader.host!.node.proposeConfChange(change('ConfChangeAddLearnerNode', 4));
    await cluster.write('two');
    expect(joining.machine.commands).toEqual(['one', 'two']);
    leader.host!.node.proposeConfChange(change('ConfChangeAddNode', 4));
    await cluster.write('three');
    expect([...leader.host!.node.status().config.voters[0]]).toEqual([1, 2, 3, 4]);
  });
});

test('the synchronous host compacts its log, restarts from it and sends snapshots', async () => {
  const cluster = new RawCluster(startSync);
  const boot = (id: number): Promise<TestMember> => cluster.boot(id, [1, 2, 3]);
  for (const id of [1, 2, 3]) await boot(id);
  await cluster.write('first');
  const { id: lagging } = [...cluster.members.values()].find(
    ({ host }) => host!.node.basicStatus().raftState !== 'StateLeader',
  )!;
  cluster.kill(lagging);
  const leader = await cluster.leader();
  for (let i = 0; i < 1_200; i++) leader.host!.propose(bytes(`c${i}`));
  await cluster.write('many');
  for (const { host, machine, disk } of cluster.members.values()) {
    if (host === undefined) continue;
    (host as SyncMember).compact(machine.state());
    expect(disk.load().snapshot?.metadata.index).toBeGreaterThan(1_200);
  }
  const back = await boot(lagging);
  await cluster.write('after');
  expect(back.machine.commands).toHaveLength(1_203);
  expect(back.disk.load().snapshot?.metadata.index).toBeGreaterThan(1_200);

  for (const id of [1, 2, 3]) cluster.kill(id);
  for (const id of [1, 2, 3]) await boot(id);
  await cluster.write('again');
  const [one, two, three] = [...cluster.members.values()].map(({ machine }) => machine.commands);
  expect(one).toHaveLength(1_204);
  expect(two).toEqual(one);
  expect(three).toEqual(one);
});

test('the asynchronous host takes a snapshot from a leader that has compacted its log', async () => {
  const start: StartHost = (member, ...rest) =>
    member.id === 3 ? startAsync(member, ...rest) : startSync(member, ...rest);
  const cluster = new RawCluster(start);
  for (const id of [1, 2, 3]) await cluster.boot(id, [1, 2, 3]);
  await cluster.write('first');
  cluster.kill(3);
  const leader = await cluster.leader();
  for (let i = 0; i < 1_200; i++) leader.host!.propose(bytes(`c${i}`));
  await cluster.write('many');
  for (const { host, machine } of cluster.members.values()) {
    if (host !== undefined) (host as SyncMember).compact(machine.state());
  }
  const joining = await cluster.boot(3, [1, 2, 3]);
  await cluster.write('after');
  expect(joining.machine.commands).toEqual(leader.machine.commands);
  expect(joining.disk.load().snapshot?.metadata.index).toBeGreaterThan(1_200);

  cluster.kill(3);
  const back = await cluster.boot(3, [1, 2, 3]);
  await cluster.write('again');
  expect(back.machine.commands).toEqual(leader.machine.commands);
});
