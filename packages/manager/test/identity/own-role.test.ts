import { beforeEach, describe, expect, test } from '@jest/globals';
import { ConclaveError, limits } from '@conclave/kernel';
import type { NodeRow } from '@conclave/state';
import { OwnRole } from '../../src/identity/own-role.js';
import { FoundedCluster, FOUNDER_ID } from '../founded-cluster.js';

const NEW_RAFT_ID = 7;

let cluster: FoundedCluster;
let asked: string[];

interface Others {
  /** What each of the other managers has on record for this host; undefined: it is gone. */
  readonly roles: Readonly<Record<string, NodeRow['role'] | undefined>>;
  /** Whom this host knows; default all. */
  readonly known?: readonly string[];
  /** Whom the others list; default nobody, which decides nothing. */
  readonly listed?: readonly string[];
}

const placeOf = (nodeId: string) => ({ nodeId, raftId: 3, address: `${nodeId}:7420` });
const named = (nodeId: string) => ({
  ...placeOf(nodeId),
  joinAddress: `${nodeId}:7421`,
  signingPublicKey: Uint8Array.of(1, 2),
});

/** What this host is, by other managers that answer every question. */
function askedOf(
  roles: Others['roles'],
  raftId: number,
  { known, listed = [] }: Omit<Others, 'roles'> = {},
): OwnRole {
  const peers = {
    list: () => (known ?? Object.keys(roles)).map(placeOf),
    at: ({ nodeId }: { readonly nodeId: string }) => ({
      unary: () => {
        asked.push(nodeId);
        const role = roles[nodeId];
        if (role === undefined) {
          return Promise.reject(new ConclaveError('CV_PEER_UNREACHABLE', 'is gone'));
        }
        return Promise.resolve({ role, managers: listed.map(named), certificate: [nodeId.length] });
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

describe('a manager that was away while others were replaced', () => {
  const roles = { a: undefined, b: 'worker', c: 'worker', d: 'worker' } as const;

  test('asks those that an answer lists, and believes most of them', async () => {
    const options = { known: ['a', 'b'], listed: ['b', 'c', 'd'] };
    const role = askedOf(roles, NEW_RAFT_ID, options);
    expect(await role.isDemoted()).toBe(true);
    expect(asked).toEqual(['a', 'b', 'c', 'd']);
    // What it becomes turns to them, and so does its request for a certificate.
    expect(role.managers.map(({ nodeId }) => nodeId)).toEqual(['b', 'c', 'd']);
    asked = [];
    await role.requestCertificate({});
    expect(asked).toEqual(['b']);
  });

  test('believes no list whose managers do not say so themselves', async () => {
    const one = { b: 'worker', c: 'manager', d: undefined } as const;
    const role = askedOf(one, NEW_RAFT_ID, { known: ['a', 'b'], listed: ['b', 'c', 'd'] });
    expect(await role.isDemoted()).toBe(false);
    expect(role.managers).toEqual([]);
  });

  test('asks nobody twice, and no more than there can be managers', async () => {
    const many = Array.from({ length: 50 }, (_, number) => `n${number}`);
    const all = { b: 'worker', c: 'worker' } as const;
    await askedOf(all, NEW_RAFT_ID, { known: ['b', 'c'], listed: ['b', ...many] }).isDemoted();
    expect(asked).toHaveLength(2 + limits.MANAGER_COUNT_MAX);
  });
});
