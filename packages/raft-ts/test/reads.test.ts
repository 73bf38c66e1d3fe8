import { describe, expect, test } from '@jest/globals';
import { message } from '../src/index.js';
import { bytes } from './support/bytes.js';
import { Cluster } from './support/cluster.js';

function read(cluster: Cluster, id: number, ctx: string): void {
  cluster.node(id).readIndex(bytes(ctx));
}

describe('read index', () => {
  test('a quorum confirms; followers ask the leader', () => {
    const cluster = new Cluster({ voters: [1, 2, 3], learners: [4] });
    cluster.elect(1);
    cluster.propose(1, 'a');
    cluster.settle();
    for (const id of [1, 2, 4]) read(cluster, id, `r${id}`);
    cluster.settle();
    for (const id of [1, 2, 4]) {
      expect(cluster.member(id).reads).toEqual([{ index: 3, ctx: `r${id}` }]);
    }
  });

  test('a leader that lost its quorum answers no reads', () => {
    const cluster = new Cluster({ voters: [1, 2, 3] });
    cluster.elect(1);
    cluster.isolate(1);
    cluster.elect(2);
    cluster.propose(2, 'newer');
    cluster.settle();
    read(cluster, 1, 'stale');
    cluster.settle();
    cluster.tickAll(5);
    expect(cluster.member(1).reads).toEqual([]);
    cluster.heal();
    cluster.tickAll(5);
    expect(cluster.member(1).reads).toEqual([]);
    // Nor when it leads again.
    cluster.elect(1);
    read(cluster, 1, 'fresh');
    cluster.tickAll(5);
    expect(cluster.member(1).reads).toEqual([{ index: 5, ctx: 'fresh' }]);
  });

  test('one round confirms all reads before it, and none after it', () => {
    const cluster = new Cluster({ voters: [1, 2, 3] });
    cluster.elect(1);
    read(cluster, 1, 'first');
    const round = cluster.member(1).handleReady();
    for (const m of round) cluster.deliver(m);
    read(cluster, 1, 'second');
    cluster.member(1).handleReady();
    for (const m of cluster.member(2).handleReady()) cluster.deliver(m);
    cluster.member(1).handleReady();
    expect(cluster.member(1).reads).toEqual([{ index: 2, ctx: 'first' }]);
    cluster.tickAll(1);
    expect(cluster.member(1).reads.map(({ ctx }) => ctx)).toEqual(['first', 'second']);
  });

  test('a delayed answer confirms no retry with the same context', () => {
    const cluster = new Cluster({ voters: [1, 2, 3] });
    cluster.elect(1);
    read(cluster, 1, 'same');
    for (const m of cluster.member(1).handleReady()) cluster.deliver(m);
    const delayed = [...cluster.member(2).handleReady(), ...cluster.member(3).handleReady()];
    for (const m of delayed) cluster.deliver(m);
    cluster.member(1).handleReady();
    expect(cluster.member(1).reads).toHaveLength(1);
    read(cluster, 1, 'same');
    for (const m of delayed) cluster.deliver(m);
    cluster.member(1).handleReady();
    expect(cluster.member(1).reads).toHaveLength(1);
  });

  test('open reads are bounded; what is more is dropped', () => {
    const cluster = new Cluster({ voters: [1, 2] });
    cluster.elect(1);
    cluster.settle();
    cluster.isolate(1);
    const open = 100_000;
    for (let i = 0; i <= open; i++) cluster.node(1).readIndex(Uint8Array.of(1));
    cluster.settle();
    cluster.heal();
    cluster.tickAll(1);
    expect(cluster.member(1).reads).toHaveLength(open);
  });

  test('a confirmation of a read that was never asked for counts nothing', () => {
    const cluster = new Cluster({ voters: [1, 2, 3] });
    cluster.elect(1);
    const forged = { from: 2, to: 1, term: 1, context: Uint8Array.of(9, 0, 0, 0, 0, 0, 0, 0) };
    cluster.deliver(message('MsgHeartbeatResp', forged));
    cluster.deliver(message('MsgHeartbeatResp', { ...forged, context: bytes('odd') }));
    const tooLarge = new Uint8Array(8).fill(0xff);
    cluster.deliver(message('MsgHeartbeatResp', { ...forged, context: tooLarge }));
    read(cluster, 1, 'r');
    cluster.deliver(message('MsgHeartbeatResp', forged));
    cluster.member(1).handleReady();
    expect(cluster.member(1).reads).toEqual([]);
  });

  test('in a joint configuration both majorities confirm', () => {
    const cluster = new Cluster({ voters: [1, 2, 3] });
    cluster.elect(1);
    cluster.addBlank(4);
    cluster.addBlank(5);
    const changes = [
      { type: 'ConfChangeAddNode', nodeId: 4 },
      { type: 'ConfChangeAddNode', nodeId: 5 },
      { type: 'ConfChangeRemoveNode', nodeId: 2 },
      { type: 'ConfChangeRemoveNode', nodeId: 3 },
    ] as const;
    cluster.change(1, { version: 2, transition: 'jointExplicit', changes });
    cluster.isolate(1, 4, 5);
    read(cluster, 1, 'r');
    cluster.settle();
    expect(cluster.member(1).reads).toEqual([]);
    cluster.heal();
    cluster.tickAll(2);
    expect(cluster.member(1).reads).toHaveLength(1);
  });

  test('waits for the first commit of the term, also on a lease', () => {
    for (const readOnlyOption of ['safe', 'leaseBased'] as const) {
      const config = { readOnlyOption, checkQuorum: true };
      const cluster = new Cluster({ voters: [1, 2, 3], config });
      cluster.elect(2);
      cluster.arrives = ({ type }) => type !== 'MsgApp';
      cluster.node(2).transferLeader(1);
      cluster.settle();
      expect(cluster.leaders()).toEqual([1]);
      read(cluster, 1, 'r');
      cluster.settle();
      expect(cluster.member(1).reads).toEqual([]);
      cluster.heal();
      cluster.tickAll(2);
      expect(cluster.member(1).reads).toEqual([{ index: 3, ctx: 'r' }]);
    }
  });

  test('a single voter needs no round, but its first commit', () => {
    const cluster = new Cluster({ voters: [1] });
    cluster.elect(1);
    cluster.member(1).restart();
    cluster.node(1).campaign();
    cluster.member(1).handleReady();
    read(cluster, 1, 'early');
    expect(cluster.role(1)).toBe('StateLeader');
    expect(cluster.node(1).peekReady().readStates).toEqual([]);
    cluster.settle();
    read(cluster, 1, 'late');
    cluster.settle();
    expect(cluster.member(1).reads).toEqual([
      { index: 3, ctx: 'early' },
      { index: 3, ctx: 'late' },
    ]);
  });

  test("a single voter answers at once with the reference's rule", () => {
    const cluster = new Cluster({ voters: [1], config: { deferSoleVoterReads: false } });
    cluster.elect(1);
    cluster.member(1).restart();
    cluster.node(1).campaign();
    cluster.member(1).handleReady();
    read(cluster, 1, 'early');
    expect(cluster.node(1).peekReady().readStates).toHaveLength(1);
  });

  test('on a lease no round is needed', () => {
    const config = { readOnlyOption: 'leaseBased', checkQuorum: true } as const;
    const cluster = new Cluster({ voters: [1, 2, 3], config });
    cluster.elect(1);
    read(cluster, 1, 'r');
    expect(cluster.member(1).handleReady()).toEqual([]);
    expect(cluster.member(1).reads).toEqual([{ index: 2, ctx: 'r' }]);
  });

  test('without a leader it is dropped', () => {
    const cluster = new Cluster({ voters: [1, 2, 3] });
    read(cluster, 1, 'r');
    expect(cluster.node(1).hasReady()).toBe(false);
  });
});
