import { describe, expect, test } from '@jest/globals';
import { message } from '../../src/index.js';
import type { Entry } from '../../src/index.js';
import { SimCluster } from './support/sim-cluster.js';
import { command } from './support/test-machine.js';

const SMALL = { limits: { snapshotEntries: 20, keepEntries: 5 } };

async function propose(cluster: SimCluster, from: number, count: number): Promise<void> {
  for (let i = from; i < from + count; i++) {
    const leader = await cluster.leader();
    const result = await cluster.world.result(cluster.node(leader).propose(command(`${i}`)));
    if (result.outcome !== 'applied') throw new Error(`proposal ${i}: ${result.outcome}`);
  }
}

describe('snapshots and compaction', () => {
  test('after enough entries the log before the snapshot is discarded, but for a rest', async () => {
    const cluster = await SimCluster.start({ node: SMALL });
    await propose(cluster, 0, 50);
    await cluster.converge();
    for (const { store, machine, node } of cluster.members.values()) {
      const { snapshotIndex } = node!.driverStatus();
      expect(snapshotIndex).toBeGreaterThanOrEqual(40);
      expect(store.current.snapshot?.metadata.index).toBe(snapshotIndex);
      expect(store.current.entries[0]!.index).toBe(snapshotIndex - 5 + 1);
      expect(machine.snapshotCalls).toBe(2);
    }
    await cluster.end();
  });

  test('after enough bytes too', async () => {
    const cluster = await SimCluster.start({
      size: 1,
      node: { limits: { snapshotBytes: 1_000, keepEntries: 0 } },
    });
    const { node, machine } = cluster.member(1);
    await cluster.world.result(node!.propose(new Uint8Array(400)));
    expect(machine.snapshotCalls).toBe(0);
    await cluster.world.result(node!.propose(new Uint8Array(700)));
    await cluster.world.advance(10);
    expect(machine.snapshotCalls).toBe(1);
    await cluster.world.result(node!.propose(new Uint8Array(700)));
    expect(machine.snapshotCalls).toBe(1);
    await cluster.end();
  });

  test('the host is told when a snapshot is durable, and not before', async () => {
    const told: number[] = [];
    const cluster = new SimCluster();
    const member = await cluster.boot(1, [1], {
      limits: { snapshotEntries: 10 },
      onSnapshotStored: ({ metadata }) => {
        expect(member.store.durable.snapshot?.metadata).toEqual(metadata);
        told.push(metadata.index);
      },
    });
    await propose(cluster, 0, 25);
    await cluster.world.advance(10);
    expect(told).toHaveLength(2);
    expect(told.at(-1)).toBe(member.node!.driverStatus().snapshotIndex);
    await cluster.end();
  });

  test('a restart begins with the snapshot and the entries after it', async () => {
    const cluster = await SimCluster.start({ node: SMALL });
    await propose(cluster, 0, 33);
    await cluster.converge();
    for (const id of [1, 2, 3]) await cluster.restart(id);
    for (const { machine } of cluster.members.values()) expect(machine.restoreCalls).toBe(1);
    await propose(cluster, 33, 3);
    await cluster.converge();
    const expected = Array.from({ length: 36 }, (_, i) => `${i}`);
    for (const { machine } of cluster.members.values()) expect(machine.texts).toEqual(expected);
    await cluster.end();
  });

  test('writes go on while a snapshot is prepared, and only one is prepared at a time', async () => {
    const cluster = await SimCluster.start({ size: 1, node: SMALL });
    const { machine, node, store } = cluster.member(1);
    let release = (): void => undefined;
    machine.afterCapture = () => new Promise((resolve) => (release = resolve));
    await propose(cluster, 0, 33);
    expect(machine.snapshotCalls).toBe(1);
    expect(store.current.snapshot).toBeUndefined();
    machine.afterCapture = () => undefined;
    release();
    await cluster.world.advance(10);
    const first = store.current.snapshot!.metadata.index;
    expect(first).toBeLessThan(node!.driverStatus().applied);
    // The captured state is that of its index, whatever was applied meanwhile.
    const name = new TextDecoder().decode(store.current.snapshot!.data);
    const captured = cluster.member(1).blobs.get(name)!;
    expect(captured.at(-1)!.index).toBe(first);
    await cluster.end();
  });

  test('what became due while a snapshot was prepared follows it', async () => {
    const cluster = await SimCluster.start({ size: 1, node: SMALL });
    const { machine, node, store } = cluster.member(1);
    let release = (): void => undefined;
    machine.afterCapture = () => new Promise((resolve) => (release = resolve));
    await propose(cluster, 0, 70);
    machine.afterCapture = () => undefined;
    release();
    await cluster.world.advance(10);
    expect(machine.snapshotCalls).toBe(2);
    expect(store.current.snapshot!.metadata.index).toBe(node!.driverStatus().applied);
    await cluster.end();
  });

  test('a member that lags behind the log gets a snapshot while writes go on', async () => {
    const cluster = await SimCluster.start({ seed: 2, node: SMALL });
    const leader = await cluster.leader();
    const lagging = cluster.others(leader)[0]!;
    cluster.kill(lagging);
    await propose(cluster, 0, 100);
    await cluster.boot(lagging);
    await propose(cluster, 100, 60);
    await cluster.converge();
    const { machine, sent } = cluster.member(lagging);
    expect(machine.restoreCalls).toBeGreaterThanOrEqual(1);
    expect(machine.texts).toEqual(Array.from({ length: 160 }, (_, i) => `${i}`));
    expect(sent.length).toBeGreaterThan(0);
    await cluster.end();
  });

  test('a snapshot that is lost on the way is sent again after the report', async () => {
    const cluster = await SimCluster.start({ seed: 3, node: SMALL });
    const leader = await cluster.leader();
    const lagging = cluster.others(leader)[0]!;
    cluster.kill(lagging);
    await propose(cluster, 0, 100);
    let lost = 0;
    cluster.filter = ({ type }) => type !== 'MsgSnap' || ++lost > 2;
    await cluster.boot(lagging);
    await cluster.converge();
    expect(lost).toBe(3);
    expect(cluster.member(lagging).machine.texts).toHaveLength(100);
    await cluster.end();
  });

  test('a loss of power while a snapshot is installed leaves a member that can start', async () => {
    for (const where of ['beforeWrite', 'afterWrite', 'beforeRestore'] as const) {
      const cluster = await SimCluster.start({ seed: 4, node: SMALL });
      const leader = await cluster.leader();
      const lagging = cluster.others(leader)[0]!;
      cluster.kill(lagging);
      await propose(cluster, 0, 100);
      const member = await cluster.boot(lagging);
      let isReached = false;
      const hang = (): Promise<void> => {
        isReached = true;
        return new Promise(() => undefined);
      };
      if (where === 'beforeRestore') member.machine.beforeRestore = hang;
      else {
        member.store.hooks[where] = ({ snapshot }) => (snapshot === undefined ? undefined : hang());
      }
      await cluster.world.until('the snapshot is being installed', () => isReached);
      await cluster.restart(lagging);
      await cluster.converge();
      expect(cluster.member(lagging).machine.texts).toHaveLength(100);
      await cluster.end();
    }
  });

  test('entries and changes that a snapshot covers do not reach the state machine', async () => {
    const cluster = await SimCluster.start({ seed: 5, node: SMALL });
    const leader = await cluster.leader();
    const slow = cluster.member(cluster.others(leader)[0]!);
    let release = (): void => undefined;
    slow.machine.beforeApply = () => new Promise((resolve) => (release = resolve));
    await propose(cluster, 0, 1);
    await cluster.world.advance(50);
    // While one entry is being applied, more entries and a change of the configuration queue up.
    await propose(cluster, 1, 3);
    const change = { type: 'ConfChangeAddLearnerNode', nodeId: 9 } as const;
    await cluster.world.result(cluster.node(leader).proposeConfChange({ version: 1, change }));
    await cluster.world.advance(300);
    cluster.partition([leader, ...cluster.others(leader).filter((id) => id !== slow.id)]);
    await propose(cluster, 4, 60);
    cluster.heal();
    await cluster.world.until('the snapshot is stored', () => {
      return slow.node!.driverStatus().snapshotIndex > 0;
    });
    slow.machine.beforeApply = () => undefined;
    const calls = slow.machine.applyCalls;
    expect(calls).toBe(1);
    release();
    await cluster.converge();
    expect(slow.machine.texts).toEqual(Array.from({ length: 64 }, (_, i) => `${i}`));
    expect(slow.confChanges.some(({ change: made }) => made === undefined)).toBe(true);
    const learners = slow.confChanges.filter(
      ({ change: made }) => made?.version === 1 && made.change.nodeId === 9,
    );
    expect(learners).toEqual([]);
    expect(slow.node!.status().config.learners).toEqual(new Set([9]));
    await cluster.end();
  });

  test('nor do they when the snapshot comes just before the next entry', async () => {
    const cluster = await SimCluster.start({ seed: 5, node: SMALL });
    const leader = await cluster.leader();
    const [slowId, other] = cluster.others(leader) as [number, number];
    // Rounds come late, as they do with setImmediate.
    await cluster.world.result(cluster.node(slowId).stop());
    cluster.member(slowId).node = undefined;
    const schedule = (f: () => void): void => cluster.world.after(3, f);
    const slow = await cluster.boot(slowId, undefined, { schedule });
    let release = (): void => undefined;
    slow.machine.beforeApply = () => new Promise((resolve) => (release = resolve));
    await propose(cluster, 0, 1);
    await cluster.world.advance(100);
    const added = { type: 'ConfChangeAddLearnerNode', nodeId: 9 } as const;
    await cluster.world.result(
      cluster.node(leader).proposeConfChange({ version: 1, change: added }),
    );
    await cluster.world.advance(300);
    cluster.partition([leader, other]);
    await propose(cluster, 1, 60);
    cluster.filter = ({ type }) => {
      if (type === 'MsgSnap') {
        slow.machine.beforeApply = () => undefined;
        release();
      }
      return true;
    };
    await cluster.converge();
    const made = slow.confChanges.map((event) => event.change);
    expect(made).toContain(undefined);
    expect(made.filter((change) => change?.version === 1 && change.change.nodeId === 9)).toEqual(
      [],
    );
    await cluster.end();
  });

  test('an own snapshot that comes after a received one is given up', async () => {
    const cluster = await SimCluster.start({ seed: 6, node: SMALL });
    const leader = await cluster.leader();
    const slow = cluster.member(cluster.others(leader)[0]!);
    let release = (): void => undefined;
    slow.machine.afterCapture = () => new Promise((resolve) => (release = resolve));
    await propose(cluster, 0, 30);
    await cluster.converge();
    expect(slow.machine.snapshotCalls).toBe(1);
    cluster.partition([leader, ...cluster.others(leader).filter((id) => id !== slow.id)]);
    await propose(cluster, 30, 40);
    cluster.heal();
    await cluster.converge();
    expect(slow.machine.restoreCalls).toBe(1);
    const { snapshotIndex } = slow.node!.driverStatus();
    slow.machine.afterCapture = () => undefined;
    release();
    await cluster.world.advance(100);
    expect(slow.failure).toBeUndefined();
    expect(slow.node!.driverStatus().snapshotIndex).toBe(snapshotIndex);
    expect(slow.store.current.snapshot?.metadata.index).toBe(snapshotIndex);
    await propose(cluster, 70, 30);
    await cluster.converge();
    expect(slow.node!.driverStatus().snapshotIndex).toBeGreaterThan(snapshotIndex);
    await cluster.end();
  });

  test('the state machine must say the truth about its snapshot', async () => {
    for (const wrong of [{ data: new Uint8Array(1), index: 1 }, { data: new Uint8Array(70_000) }]) {
      const cluster = await SimCluster.start({ size: 1, node: SMALL });
      const { machine, node } = cluster.member(1);
      machine.snapshot = () => Promise.resolve({ index: machine.index, ...wrong });
      for (let i = 0; i < 25; i++) void node!.propose(command(`${i}`));
      const error = await cluster.world.result(node!.fatal);
      expect(error).toMatchObject({ code: 'CONTRACT_BROKEN' });
    }
  });

  test('a failed snapshot and a failed compaction are final', async () => {
    const cluster = await SimCluster.start({ size: 2, node: SMALL });
    const leader = cluster.member(await cluster.leader());
    const other = cluster.member(cluster.others(leader.id)[0]!);
    leader.machine.afterCapture = () => Promise.reject(new Error('disk full'));
    other.store.hooks.beforeCompact = () => Promise.reject(new Error('EIO'));
    for (let i = 0; i < 25; i++) void leader.node!.propose(command(`${i}`));
    expect(await cluster.world.result(leader.node!.fatal)).toMatchObject({
      code: 'STATE_MACHINE_FAILED',
    });
    expect(await cluster.world.result(other.node!.fatal)).toMatchObject({ code: 'STORE_FAILED' });
  });
});

describe('a damaged store', () => {
  const entry = (index: number, term: number): Entry => ({
    type: 'EntryNormal',
    term,
    index,
    data: new Uint8Array(0),
  });

  test.each([
    ['a gap', { entries: [entry(1, 1), entry(3, 1)], hardState: { term: 1, vote: 0, commit: 0 } }],
    [
      'a falling term',
      { entries: [entry(1, 2), entry(2, 1)], hardState: { term: 2, vote: 0, commit: 0 } },
    ],
    ['a lost tail', { entries: [entry(1, 1)], hardState: { term: 1, vote: 0, commit: 2 } }],
    ['a lost term', { entries: [entry(1, 3)], hardState: { term: 2, vote: 0, commit: 0 } }],
    [
      'a lost commit index',
      { entries: [entry(1, 1)], hardState: { term: 1, vote: 0, commit: 0 }, appliedIndex: 1 },
    ],
  ])('is refused at the start: %s', async (_, loaded) => {
    const cluster = new SimCluster();
    const load = () => Promise.resolve({ snapshot: undefined, ...loaded });
    const store = { load, write: () => Promise.resolve(), compact: () => Promise.resolve() };
    await expect(cluster.boot(1, undefined, { store })).rejects.toMatchObject({
      code: 'STORE_FAILED',
      reason: 'damaged',
    });
  });

  test('a store that cannot be read is told with its cause', async () => {
    const cluster = new SimCluster();
    const cause = new Error('EIO');
    const store = {
      load: () => Promise.reject(cause),
      write: () => Promise.resolve(),
      compact: () => Promise.resolve(),
    };
    await expect(cluster.boot(1, undefined, { store })).rejects.toMatchObject({
      code: 'STORE_FAILED',
      cause,
    });
  });
});

describe('input from the network', () => {
  test('what is not for this member, or never sent by members, is dropped', async () => {
    const cluster = await SimCluster.start();
    const leader = await cluster.leader();
    const node = cluster.node(leader);
    const from = cluster.others(leader)[0]!;
    const { term } = node.status();
    const data = command('smuggled');
    const entries: Entry[] = [{ type: 'EntryNormal', term: 0, index: 0, data }];
    node.receive(message('MsgProp', { from, to: leader, entries }));
    node.receive(message('MsgForgetLeader', { from, to: leader, term }));
    node.receive(message('MsgHeartbeat', { from, to: 99, term: term + 5 }));
    node.receive(message('MsgHeartbeat', { from: leader, to: leader, term: term + 5 }));
    node.receive(message('MsgHeartbeat', { from: 0, to: leader, term: term + 5 }));
    node.receive(message('MsgApp', { from, to: leader, term: 0 }));
    const local = message('MsgHup', { from, to: leader });
    node.receive(local as unknown as Parameters<typeof node.receive>[0]);
    await cluster.world.advance(500);
    expect(node.status()).toMatchObject({ term, raftState: 'StateLeader' });
    expect(cluster.member(leader).machine.texts).toEqual([]);
    expect(cluster.member(leader).failure).toBeUndefined();
    await cluster.end();
  });
});
