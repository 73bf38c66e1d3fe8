import { describe, expect, test } from '@jest/globals';
import { message, RaftInvariantError } from '../../src/index.js';
import type { Entry } from '../../src/index.js';
import { MemoryLogStore } from '../../src/testing/index.js';
import { SimCluster } from './support/sim-cluster.js';
import { command } from './support/test-machine.js';

describe('what ends a member', () => {
  test('an invariant that a message violates', async () => {
    const cluster = await SimCluster.start();
    const leader = await cluster.leader();
    const follower = cluster.member(cluster.others(leader)[0]!);
    const { term } = follower.node!.basicStatus();
    const to = follower.id;
    follower.node!.receive(message('MsgHeartbeat', { from: leader, to, term, commit: 99 }));
    const error = await cluster.world.result(follower.node!.fatal);
    expect(error).toBeInstanceOf(RaftInvariantError);
    expect(() => follower.node!.status()).toThrow(error);
    const result = await cluster.world.result(cluster.node(leader).propose(command('a')));
    expect(result.outcome).toBe('applied');
    await cluster.end();
  });

  test('a transport that throws', async () => {
    const cause = new Error('no transport');
    const cluster = await SimCluster.start({ size: 1 });
    cluster.kill(1);
    const transport = {
      send: () => {
        throw cause;
      },
    };
    const { node } = await cluster.boot(1, undefined, { transport });
    await cluster.leader();
    const change = { type: 'ConfChangeAddLearnerNode', nodeId: 2 } as const;
    const proposal = node!.proposeConfChange({ version: 1, change });
    await expect(cluster.world.result(proposal)).rejects.toMatchObject({ code: 'UNKNOWN' });
    const error = await cluster.world.result(node!.fatal);
    expect(error).toMatchObject({ code: 'CONTRACT_BROKEN', cause });
  });

  test('a hook that throws during a transfer, before anything else is answered', async () => {
    const cluster = await SimCluster.start({
      node: {
        trace: (event) => {
          if (event.kind === 'send' && event.message.type === 'MsgTimeoutNow') {
            throw new Error('hook');
          }
        },
      },
    });
    const leader = await cluster.leader();
    const node = cluster.node(leader);
    const transfer = node.transferLeadership(cluster.others(leader)[0]!);
    expect(await node.propose(command('a'))).toEqual({ outcome: 'rejected', reason: 'stopped' });
    await expect(transfer).rejects.toMatchObject({ code: 'REJECTED', reason: 'stopped' });
    expect(await cluster.world.result(node.fatal)).toBeInstanceOf(RaftInvariantError);
    await cluster.end();
  });

  test('an entry that another kind of host has put into the log', async () => {
    const foreign: readonly Entry[] = [
      { term: 1, index: 1, type: 'EntryNormal', data: command('short') },
      {
        term: 1,
        index: 1,
        type: 'EntryConfChange',
        // A change that adds node 1, with a context of one byte.
        data: Uint8Array.of(0x10, 0, 0x18, 1, 0x22, 1, 7),
      },
    ];
    for (const entry of foreign) {
      const cluster = await SimCluster.start({ size: 1 });
      const member = cluster.kill(1);
      member.store = new MemoryLogStore();
      const hardState = { term: 1, vote: 0, commit: 1 };
      await member.store.write({ entries: [entry], hardState }, { sync: true });
      const { node } = await cluster.boot(1);
      const error = await cluster.world.result(node!.fatal);
      expect(error.message).toBe('entry 1 was not proposed by this driver');
    }
  });

  test('a failure while a snapshot is captured ends the snapshot as well', async () => {
    const cluster = await SimCluster.start({ size: 1, node: { limits: { snapshotEntries: 2 } } });
    const { machine, node, store } = cluster.member(1);
    let release = (): void => undefined;
    machine.afterCapture = () => new Promise((resolve) => (release = resolve));
    const { snapshotCalls } = machine;
    const stored = store.durable.snapshot;
    void node!.propose(command('a'));
    void node!.propose(command('b'));
    await cluster.world.until('one is captured', () => machine.snapshotCalls > snapshotCalls);
    store.hooks.beforeWrite = () => Promise.reject(new Error('EIO'));
    void node!.propose(command('c'));
    await cluster.world.result(node!.fatal);
    release();
    await cluster.world.result(node!.stop());
    expect(store.durable.snapshot).toBe(stored);
  });

  test('a snapshot that cannot be restored prevents the start', async () => {
    const cluster = await SimCluster.start({ size: 1, node: { limits: { snapshotEntries: 2 } } });
    const member = cluster.member(1);
    await cluster.world.result(member.node!.propose(command('a')));
    await cluster.world.until('a snapshot is stored', () => {
      return member.store.durable.snapshot !== undefined;
    });
    cluster.kill(1);
    member.blobs.clear();
    await expect(cluster.boot(1)).rejects.toMatchObject({ code: 'STATE_MACHINE_FAILED' });
  });
});

describe('after a failure nothing goes on that was open', () => {
  const disk = (): Promise<never> => Promise.reject(new Error('EIO'));

  test('neither a command nor what comes after it', async () => {
    const cluster = await SimCluster.start({ size: 1 });
    const { machine, node, store } = cluster.member(1);
    let release = (): void => undefined;
    machine.beforeApply = () => new Promise((resolve) => (release = resolve));
    const first = node!.propose(command('a'));
    const { applied } = node!.driverStatus();
    await cluster.world.until('it is applied', () => machine.applyCalls === 1);
    store.hooks.beforeWrite = disk;
    const second = node!.propose(command('b'));
    await cluster.world.result(node!.fatal);
    release();
    await cluster.world.result(node!.stop());
    for (const proposal of [first, second]) {
      expect(await proposal).toEqual({ outcome: 'unknown', reason: 'stopped' });
    }
    expect(node!.driverStatus().applied).toBe(applied);
    expect(machine.applyCalls).toBe(1);
  });

  test('nor a change of the configuration', async () => {
    const cluster = await SimCluster.start({ size: 1 });
    cluster.kill(1);
    let release = (): void => undefined;
    let isOpen = false;
    const { node, store } = await cluster.boot(1, undefined, {
      onConfChange: ({ confState }) => {
        if (confState.learners.length === 0) return undefined;
        isOpen = true;
        return new Promise((resolve) => (release = resolve));
      },
    });
    await cluster.leader();
    const change = { type: 'ConfChangeAddLearnerNode', nodeId: 2 } as const;
    const proposal = node!.proposeConfChange({ version: 1, change });
    const outcome = proposal.catch((error: unknown) => error);
    await cluster.world.until('the host is told', () => isOpen);
    const { applied } = node!.driverStatus();
    store.hooks.beforeWrite = disk;
    void node!.propose(command('a'));
    await cluster.world.result(node!.fatal);
    release();
    await cluster.world.result(node!.stop());
    expect(await outcome).toMatchObject({ code: 'UNKNOWN', reason: 'stopped' });
    expect(node!.driverStatus().applied).toBe(applied);
  });

  test('nor the restoration of a snapshot', async () => {
    const cluster = await SimCluster.start({
      node: { limits: { snapshotEntries: 4, keepEntries: 1 } },
    });
    const leader = await cluster.leader();
    const late = cluster.member(cluster.others(leader)[0]!);
    cluster.partition(cluster.others(late.id));
    for (let i = 0; i < 12; i++) {
      await cluster.world.result(cluster.node(leader).propose(command(`${i}`)));
    }
    let release = (): void => undefined;
    late.machine.beforeRestore = () => new Promise((resolve) => (release = resolve));
    cluster.heal();
    await cluster.world.until('a snapshot arrives', () => late.machine.restoreCalls === 1);
    const { applied } = late.node!.driverStatus();
    late.store.hooks.beforeWrite = disk;
    void cluster.node(leader).propose(command('more'));
    await cluster.world.result(late.node!.fatal);
    release();
    await cluster.world.result(late.node!.stop());
    expect(late.node!.driverStatus().applied).toBe(applied);
    await cluster.end();
  });
});

describe('calls from inside', () => {
  test('a member may be stopped by its own observer', async () => {
    let stopped: Promise<void> | undefined;
    const cluster = await SimCluster.start({ size: 1 });
    cluster.kill(1);
    const { node } = await cluster.boot(1, undefined, {
      onRoleChange: ({ role }) => {
        if (role === 'StateLeader') stopped = cluster.node(1).stop();
      },
    });
    await cluster.world.until('it leads, and stops', () => stopped !== undefined);
    await cluster.world.result(stopped!);
    expect(await node!.propose(command('a'))).toEqual({ outcome: 'rejected', reason: 'stopped' });
    await expect(node!.transferLeadership(1)).rejects.toMatchObject({ reason: 'stopped' });
    node!.reportUnreachable(2);
    node!.receive(message('MsgHeartbeat', { from: 2, to: 1, term: 9 }));
    expect(node!.basicStatus().term).toBeLessThan(9);
  });

  test('reads that wait end with the member', async () => {
    const cluster = await SimCluster.start();
    const leader = cluster.member(await cluster.leader());
    const node = leader.node!;
    let release = (): void => undefined;
    leader.machine.beforeApply = () => new Promise((resolve) => (release = resolve));
    void node.propose(command('a'));
    await cluster.world.advance(300);
    const confirmed = node.linearizableRead();
    await cluster.world.advance(300);
    cluster.partition([leader.id]);
    const asking = node.linearizableRead();
    await cluster.world.advance(5);
    const waiting = node.linearizableRead();
    const all = Promise.allSettled([confirmed, asking, waiting]);
    leader.store.hooks.beforeWrite = () => Promise.reject(new Error('EIO'));
    void node.propose(command('b'));
    for (const result of await cluster.world.result(all)) {
      expect(result).toMatchObject({ status: 'rejected', reason: { reason: 'stopped' } });
    }
    release();
  });
});

test('the transitions of the core and the lines of both can be watched', async () => {
  const kinds = new Set<string>();
  const lines: string[] = [];
  const cluster = await SimCluster.start({
    size: 1,
    node: { trace: ({ kind }) => void kinds.add(kind) },
    logger: { enabled: (level) => level === 'INFO', log: (_, line) => lines.push(line) },
  });
  await cluster.world.result(cluster.node(1).propose(command('a')));
  expect([...kinds].toSorted()).toEqual([
    'append',
    'commit',
    'config',
    'ready',
    'receive',
    'role',
    'send',
  ]);
  expect(lines).toContain('1 became leader at term 2');
  await cluster.end();
});

test('a change whose context is too large is refused', async () => {
  const cluster = await SimCluster.start({ size: 1, node: { limits: { proposalSizeMax: 4 } } });
  const change = { type: 'ConfChangeAddLearnerNode', nodeId: 2 } as const;
  const proposal = cluster
    .node(1)
    .proposeConfChange({ version: 1, change, context: new Uint8Array(5) });
  await expect(cluster.world.result(proposal)).rejects.toMatchObject({ reason: 'tooLarge' });
  await cluster.end();
});
