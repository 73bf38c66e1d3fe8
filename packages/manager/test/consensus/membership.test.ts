import { beforeAll, describe, expect, test } from '@jest/globals';
import { SILENT_LOGGER } from '@conclave/kernel';
import type { NodeRow } from '@conclave/state';
import type { ConfChange } from 'raft-ts';
import { Membership } from '../../src/consensus/membership.js';
import { FoundedCluster, settle } from '../founded-cluster.js';

const LOOK_MS = 500;

/** A leader's view of the configuration; changes take effect at once unless the test says no. */
class Bench {
  readonly voters = new Set([1]);
  readonly learners = new Set<number>();
  outgoing: number[] = [];
  readonly match = new Map<number, number>();
  commit = 100;
  self = 1;
  readonly silent = new Set<number>();
  transfers = 0;
  readonly changes: string[] = [];
  onChange: () => Promise<void> = () => Promise.resolve();
  membership: Membership;

  readonly cluster: FoundedCluster;

  constructor(cluster: FoundedCluster) {
    this.cluster = cluster;
    this.membership = this.lead();
  }

  /** Another leader goes on where the one before stopped. */
  lead(): Membership {
    this.membership = new Membership(
      {
        state: () => this.cluster.state,
        confState: () => ({
          voters: [...this.voters],
          votersOutgoing: this.outgoing,
          learners: [...this.learners],
          learnersNext: [],
          autoLeave: false,
        }),
        matchOf: (raftId) => this.match.get(raftId),
        commitIndex: () => this.commit,
        proposeConfChange: (change) => this.#change(change),
        propose: async (body) =>
          (await this.cluster.proposer.propose({ kind: 'system', id: 'leader' }, body)).result,
        selfRaftId: () => this.self,
        activeVoters: () => new Set([...this.voters].filter((voter) => !this.silent.has(voter))),
        transferLeadership: () => {
          this.transfers += 1;
          return Promise.resolve();
        },
      },
      this.cluster.time,
      SILENT_LOGGER,
    );
    return this.membership;
  }

  addManager(name: string, raftId: number): string {
    const id = name.padEnd(26, 'a');
    const founder = [...this.cluster.state.nodes()][0] as NodeRow;
    const manager = founder.manager as NonNullable<NodeRow['manager']>;
    const tokenId = `token${name}`;
    this.cluster.apply({
      kind: 'token.create',
      token: {
        id: tokenId,
        role: 'manager',
        publicKey: new Uint8Array(32),
        createdAtMs: 0,
        createdBy: { kind: 'admin', id: 'local' },
        expiresAtMs: 2e12,
        usesLeft: 1,
        needsApproval: false,
        addressRanges: [],
        hostnamePattern: '',
        isRevoked: false,
        admittedNodes: [],
      },
    });
    const {
      objectVersion: _v,
      role: _role,
      wantedRole: _w,
      waiting: _n,
      tokenId: _token,
      ...row
    } = founder;
    this.cluster.apply({
      kind: 'node.join',
      tokenId,
      node: {
        ...row,
        id,
        certificate: {
          serial: name,
          notAfterMs: 2e12,
          publicKeyHash: name,
          root: 1,
          notBeforeMs: 0,
        },
        manager: { ...manager, raftId, membership: 'joining', ringGeneration: 0 },
      },
    });
    return id;
  }

  membershipOf(id: string): string | undefined {
    return this.cluster.state.nodeById(id)?.manager?.membership;
  }

  async looks(count = 1): Promise<void> {
    await this.cluster.time.advance(count * LOOK_MS, () => settle());
  }

  async #change(change: ConfChange): Promise<void> {
    await this.onChange();
    const changes = 'changes' in change ? change.changes : [];
    for (const { type, nodeId } of changes) {
      this.changes.push(`${type} ${nodeId}`);
      this.voters.delete(nodeId);
      this.learners.delete(nodeId);
      if (type === 'ConfChangeAddNode') this.voters.add(nodeId);
      if (type === 'ConfChangeAddLearnerNode') this.learners.add(nodeId);
    }
  }
}

let bench: Bench;

async function began(): Promise<void> {
  bench = new Bench(await FoundedCluster.running());
  bench.membership.start();
  await settle();
}

function has(id: string, membership: 'removing' | undefined, ringGeneration?: number): void {
  bench.cluster.apply({ kind: 'node.membership', id, membership, ringGeneration });
  bench.membership.wake();
}

describe('a manager that joins', () => {
  let id: string;
  beforeAll(async () => {
    await began();
    id = bench.addManager('beta', 2);
    await bench.looks();
  });

  test('is a learner at once', () => {
    expect(bench.changes).toEqual(['ConfChangeAddLearnerNode 2']);
    expect(bench.membershipOf(id)).toBe('learner');
  });

  test('does not vote with the whole log but no ring', async () => {
    bench.match.set(2, bench.commit);
    await bench.looks(3);
    expect(bench.membershipOf(id)).toBe('learner');
  });

  test('does not vote with the ring but far behind', async () => {
    bench.match.set(2, bench.commit - 65);
    has(id, undefined, 1);
    await bench.looks(3);
    expect(bench.membershipOf(id)).toBe('learner');
    expect(bench.changes).toHaveLength(1);
  });

  test('votes with both', async () => {
    bench.match.set(2, bench.commit - 64);
    await bench.looks();
    expect(bench.changes.slice(1)).toEqual(['ConfChangeAddNode 2']);
    expect(bench.membershipOf(id)).toBe('voter');
  });

  test('is left alone from then on', async () => {
    const before = bench.cluster.proposals.length;
    await bench.looks(5);
    expect(bench.cluster.proposals).toHaveLength(before);
  });
});

describe('one change at a time', () => {
  test('nothing is begun while a joint configuration is in force', async () => {
    await began();
    bench.outgoing = [1];
    const id = bench.addManager('beta', 2);
    await bench.looks(3);
    expect(bench.changes).toEqual([]);
    bench.outgoing = [];
    await bench.looks();
    expect(bench.membershipOf(id)).toBe('learner');
  });

  test('a refused change is tried again, and recorded only when it took effect', async () => {
    await began();
    bench.onChange = () => Promise.reject(new Error('leadership was lost'));
    const id = bench.addManager('beta', 2);
    await bench.looks(2);
    expect(bench.membershipOf(id)).toBe('joining');
    bench.onChange = () => Promise.resolve();
    await bench.looks();
    expect(bench.membershipOf(id)).toBe('learner');
  });

  test('a new leader goes on where the one before stopped between change and record', async () => {
    await began();
    const id = bench.addManager('beta', 2);
    bench.cluster.failure = new Error('leadership was lost');
    await bench.looks();
    expect(bench.learners.has(2)).toBe(true);
    expect(bench.membershipOf(id)).toBe('joining');
    bench.membership.stop();
    bench.cluster.failure = undefined;
    bench.lead().start();
    await bench.looks();
    expect(bench.changes).toEqual(['ConfChangeAddLearnerNode 2']);
    expect(bench.membershipOf(id)).toBe('learner');
  });

  test('a leader that stopped begins nothing', async () => {
    await began();
    bench.membership.stop();
    bench.addManager('beta', 2);
    bench.membership.wake();
    await bench.looks(3);
    expect(bench.changes).toEqual([]);
  });

  test('a record that is ahead of the configuration is made true', async () => {
    await began();
    const id = bench.addManager('beta', 2);
    bench.match.set(2, bench.commit);
    has(id, undefined, 1);
    await bench.looks(2);
    expect(bench.membershipOf(id)).toBe('voter');
    bench.voters.delete(2);
    await bench.looks();
    expect(bench.voters.has(2)).toBe(true);
  });
});

describe('a manager that goes', () => {
  async function withVoter(): Promise<string> {
    await began();
    const id = bench.addManager('beta', 2);
    bench.match.set(2, bench.commit);
    has(id, undefined, 1);
    await bench.looks(2);
    return id;
  }

  test('leaves the configuration at once, its record when nobody else removed it', async () => {
    const id = await withVoter();
    has(id, 'removing');
    await bench.looks();
    expect(bench.voters.has(2)).toBe(false);
    expect(bench.cluster.state.nodeById(id)).toBeDefined();
    await bench.looks(7);
    expect(bench.cluster.state.nodeById(id)).toBeUndefined();
  });

  test('is a worker at once when it is demoted, and listed', async () => {
    const id = await withVoter();
    bench.cluster.apply({ kind: 'node.set-role', id, role: 'worker' });
    bench.membership.wake();
    await bench.looks();
    expect(bench.voters.has(2)).toBe(false);
    expect(bench.cluster.state.nodeById(id)).toMatchObject({ role: 'worker', manager: undefined });
    await bench.looks(8);
    expect(bench.cluster.state.nodeById(id)).toBeDefined();
  });

  test('stays while too few of the others answer the leader', async () => {
    const id = await withVoter();
    bench.voters.add(3);
    bench.silent.add(3);
    has(id, 'removing');
    await bench.looks(2);
    expect(bench.voters.has(2)).toBe(true);
    bench.silent.delete(3);
    await bench.looks();
    expect(bench.voters.has(2)).toBe(false);
  });

  test('is not called back by a step that was under way', async () => {
    await began();
    const id = bench.addManager('beta', 2);
    bench.match.set(2, bench.commit);
    has(id, undefined, 1);
    bench.onChange = () => {
      if (bench.changes.length === 1) has(id, 'removing');
      return Promise.resolve();
    };
    await bench.looks();
    expect(bench.changes).toEqual([
      'ConfChangeAddLearnerNode 2',
      'ConfChangeAddNode 2',
      'ConfChangeRemoveNode 2',
    ]);
    expect(bench.membershipOf(id)).toBe('removing');
  });

  test('leaves the configuration when its record went while a change was under way', async () => {
    await withVoter();
    const learner = bench.addManager('gamma', 3);
    bench.onChange = () => {
      bench.onChange = () => Promise.resolve();
      bench.cluster.apply({ kind: 'node.remove', id: learner, force: true });
      return Promise.resolve();
    };
    await bench.looks(2);
    expect(bench.cluster.state.nodeById(learner)).toBeUndefined();
    expect([...bench.learners]).toEqual([]);
    // A member that nobody has heard of is not touched: its record may be on its way.
    bench.learners.add(9);
    await bench.looks(2);
    expect([...bench.learners]).toEqual([9]);
    expect([...bench.voters]).toEqual([1, 2]);
  });

  test('when it leads, it hands over and leaves the rest to the next leader', async () => {
    const id = await withVoter();
    bench.self = 2;
    has(id, 'removing');
    await bench.looks(2);
    expect(bench.transfers).toBeGreaterThan(0);
    expect(bench.voters.has(2)).toBe(true);
    bench.membership.stop();
    bench.self = 1;
    bench.lead().start();
    await bench.looks();
    expect(bench.voters.has(2)).toBe(false);
  });
});
