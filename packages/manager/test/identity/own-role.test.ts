import { beforeEach, describe, expect, test } from '@jest/globals';
import type { NodeRow } from '@conclave/state';
import { OwnRole } from '../../src/identity/own-role.js';
import { FoundedCluster, FOUNDER_ID } from '../founded-cluster.js';

const NEW_RAFT_ID = 7;

let cluster: FoundedCluster;
let asked: string[];

/** Another manager that answers every question with the role that it has on record. */
function askedOf(roles: Readonly<Record<string, NodeRow['role']>>, raftId: number): OwnRole {
  const peers = {
    list: () => Object.keys(roles).map((nodeId) => ({ nodeId })),
    byNodeId: (nodeId: string) => ({
      unary: () => {
        asked.push(nodeId);
        return Promise.resolve({ role: roles[nodeId] });
      },
    }),
  };
  const worker = [...cluster.state.nodes()].find(({ role }) => role === 'worker');
  return new OwnRole({
    nodeId: worker?.id ?? '',
    raftId,
    peers: peers as unknown as ConstructorParameters<typeof OwnRole>[0]['peers'],
    state: () => cluster.state,
  });
}

beforeEach(async () => {
  asked = [];
  cluster = await FoundedCluster.create();
  cluster.apply(cluster.founding.body);
  cluster.addWorker('one');
});

describe('a manager whose own tables call it a worker', () => {
  test('asks the others while its tables are from before its promotion', async () => {
    const role = askedOf({ a: 'manager', b: 'manager', c: 'worker' }, NEW_RAFT_ID);
    expect(await role.isDemoted()).toBe(false);
    expect(asked).toEqual(['a', 'b', 'c']);
  });

  test('believes them once they know the Raft id that it has', async () => {
    const { raftId = 0 } = cluster.state.nodeById(FOUNDER_ID)?.manager ?? {};
    expect(await askedOf({ a: 'manager' }, raftId).isDemoted()).toBe(true);
    expect(asked).toEqual([]);
  });

  test('believes most of the others', async () => {
    const most = askedOf({ a: 'worker', b: 'worker', c: 'manager' }, NEW_RAFT_ID);
    expect(await most.isDemoted()).toBe(true);
    expect(await askedOf({ a: 'worker', b: 'manager' }, NEW_RAFT_ID).isDemoted()).toBe(false);
  });
});
