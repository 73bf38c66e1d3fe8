import { describe, expect, test } from '@jest/globals';
import { limits } from '@conclave/kernel';
import type { CommandBody } from '../src/index.js';
import {
  Bench,
  bindingSpec,
  managerFields,
  nodeFields,
  START_MS,
  tokenFields,
} from './support/bench.js';

const cluster: CommandBody = {
  kind: 'cluster.create',
  cluster: {
    id: 'cluster',
    createdAtMs: START_MS,
    epoch: 1,
    rootCertificate: Uint8Array.of(1, 2),
    rootKeySealed: Uint8Array.of(3),
    rootKeyId: 1,
    rootGeneration: 1,
    rootStep: 0,
    rootRotation: undefined,
    formerRoots: [],
    ringGeneration: 1,
    ringKeyId: 1,
    ringCommitment: Uint8Array.of(3),
    ringRotatedAtMs: 0,
    ringRotation: undefined,
    recovery: { generation: 1, publicKey: Uint8Array.of(2), threshold: 0, shareHashes: [] },
    stagedRecovery: undefined,
    stagedRecoveryBy: [],
    oldRecoveryOn: [],
    compromise: undefined,
    settings: {
      secretValueBytesMax: 1024,
      heartbeatPeriodMs: 1500,
      certificates: limits.CERTIFICATES_DEFAULT,
    },
  },
  node: {
    ...nodeFields('m1', { state: 'READY', manager: managerFields(1) }),
    role: 'manager',
    wantedRole: 'manager',
    waiting: undefined,
    tokenId: '',
  },
};
const join = (
  id: string,
  tokenId: string,
  fields: Parameters<typeof nodeFields>[1] = {},
): CommandBody => ({ kind: 'node.join', tokenId, node: nodeFields(id, fields) });

function clusterBench(): Bench {
  const bench = new Bench();
  bench.ok(cluster);
  bench.ok({ kind: 'token.create', token: tokenFields('tw') });
  bench.ok({ kind: 'token.create', token: tokenFields('tm', { role: 'manager', usesLeft: 50 }) });
  return bench;
}

describe('the cluster', () => {
  test('is created once, by a manager', () => {
    const bench = new Bench();
    const { node } = cluster as CommandBody & { kind: 'cluster.create' };
    const worker = { ...cluster, node: { ...node, role: 'worker' } } as CommandBody;
    bench.no('CV_ARGUMENT_INVALID', worker);
    bench.ok(cluster);
    bench.no('CV_ALREADY_INITIALIZED', cluster);
    expect(bench.state.cluster()).toMatchObject({ id: 'cluster', epoch: 1, objectVersion: 2 });
    expect(bench.state.nodeByRaftId(1)?.id).toBe('m1');
  });

  test('has settings once it is there, and keeps those that a change does not name', () => {
    const certificates = { managerLifeMs: undefined, workerLifeMs: 70_000, adminLifeMs: undefined };
    const change = { kind: 'cluster.settings', objectVersion: 0, certificates } as const;
    const bench = new Bench();
    bench.no('CV_NOT_INITIALIZED', change);
    bench.ok(cluster);
    const before = bench.state.cluster()?.settings;
    bench.ok(change);
    expect(bench.state.cluster()?.settings).toEqual({
      ...before,
      certificates: { ...limits.CERTIFICATES_DEFAULT, workerLifeMs: 70_000 },
    });
  });

  test('refuses a change of settings that were read before another change', () => {
    const bench = new Bench();
    bench.ok(cluster);
    const objectVersion = bench.state.cluster()?.objectVersion ?? 0;
    const lives = { managerLifeMs: 80_000, workerLifeMs: undefined, adminLifeMs: 90_000 };
    const change = { kind: 'cluster.settings', objectVersion, certificates: lives } as const;
    bench.ok(change);
    const after = bench.state.cluster();
    bench.no('CV_VERSION_STALE', change);
    expect(bench.state.cluster()).toBe(after);
    expect(after?.settings.certificates).toMatchObject({
      managerLifeMs: 80_000,
      adminLifeMs: 90_000,
    });
  });
});

describe('joining', () => {
  test('takes the role from the token and one of its uses', () => {
    const bench = clusterBench();
    expect(bench.ok(join('w1', 'tw'))).toEqual({ id: 'w1', role: 'worker', raftId: 0 });
    expect(bench.state.nodeById('w1')).toMatchObject({ role: 'worker', tokenId: 'tw' });
    expect(bench.state.tokenById('tw')).toMatchObject({ usesLeft: 99, admittedNodes: ['w1'] });
    const manager = managerFields(2);
    expect(bench.ok(join('m2', 'tm', { manager }))).toMatchObject({ role: 'manager', raftId: 2 });
    expect(bench.state.nodeById('m2')?.manager?.membership).toBe('joining');
  });

  test('a bad token admits nobody and loses no use', () => {
    const bench = clusterBench();
    const bad = [
      tokenFields('expired', { expiresAtMs: bench.atMs }),
      tokenFields('revoked', { isRevoked: true }),
      tokenFields('used', { usesLeft: 0 }),
    ];
    for (const token of bad) bench.ok({ kind: 'token.create', token });
    for (const id of ['expired', 'revoked', 'used', 'unknown']) {
      bench.no('CV_TOKEN_INVALID', join('w1', id));
    }
    expect(bench.state.nodeById('w1')).toBeUndefined();
  });

  test('the last use is the last', () => {
    const bench = clusterBench();
    bench.ok({ kind: 'token.create', token: tokenFields('once', { usesLeft: 1 }) });
    bench.ok(join('w1', 'once'));
    bench.no('CV_TOKEN_INVALID', join('w2', 'once'));
  });

  test('an id, a public key or a serial is bound to one node', () => {
    const bench = clusterBench();
    bench.ok(join('w1', 'tw'));
    bench.no('CV_ARGUMENT_INVALID', join('w1', 'tw'));
    const certificate = {
      serial: 'fresh',
      notAfterMs: 1,
      publicKeyHash: 'key-w1',
      root: 1,
      notBeforeMs: 0,
    };
    bench.no('CV_ARGUMENT_INVALID', join('w2', 'tw', { certificate }));
    const sameSerial = {
      serial: 'cert-w1',
      notAfterMs: 1,
      publicKeyHash: 'fresh',
      root: 1,
      notBeforeMs: 0,
    };
    bench.no('CV_ARGUMENT_INVALID', join('w2', 'tw', { certificate: sameSerial }));
  });

  test('a Raft id is never used again, not even after the removal', () => {
    const bench = clusterBench();
    bench.no('CV_ARGUMENT_INVALID', join('m2', 'tm', { manager: managerFields(1) }));
    bench.ok(join('m2', 'tm', { manager: managerFields(2) }));
    bench.ok({ kind: 'node.remove', id: 'm2', force: false });
    expect(bench.state.nodeByRaftId(2)).toBeUndefined();
    expect(bench.state.isRetiredRaftId(2)).toBe(true);
    expect(bench.state.isRetiredRaftId(3)).toBe(false);
    bench.no('CV_ARGUMENT_INVALID', join('m3', 'tm', { manager: managerFields(2) }));
  });

  test('an id is never used again; that its node was removed stays on record', () => {
    const bench = clusterBench();
    bench.ok(join('w1', 'tw'));
    expect(bench.state.isRemovedNode('w1')).toBe(false);
    bench.ok({ kind: 'node.remove', id: 'w1', force: false });
    expect(bench.state.isRemovedNode('w1')).toBe(true);
    expect(bench.state.isRemovedNode('w2')).toBe(false);
    bench.no('CV_ARGUMENT_INVALID', join('w1', 'tw'));
  });

  test('the record of removed nodes is bounded; the oldest go', () => {
    const bench = clusterBench();
    const total = limits.REMOVED_NODES_MAX + 1;
    for (let number = 0; number < total; number += 1) {
      const token = `t${Math.floor(number / 50)}`;
      if (number % 50 === 0) bench.ok({ kind: 'token.create', token: tokenFields(token) });
      bench.apply(join(`w${number}`, token));
      bench.apply({ kind: 'node.remove', id: `w${number}`, force: false });
    }
    expect([...bench.state.nodes()]).toHaveLength(1);
    const kept = (number: number): boolean => bench.state.isRemovedNode(`w${number}`);
    expect([kept(0), kept(1), kept(total - 1)]).toEqual([false, true, true]);
  });

  test('manager data and role have to fit; managers are bounded', () => {
    const bench = clusterBench();
    bench.no('CV_ARGUMENT_INVALID', join('w1', 'tw', { manager: managerFields(9) }));
    bench.no('CV_ARGUMENT_INVALID', join('m2', 'tm'));
    for (let number = 2; number <= limits.MANAGER_COUNT_MAX; number += 1) {
      bench.ok(join(`m${number}`, 'tm', { manager: managerFields(number) }));
    }
    bench.no('CV_LIMIT_EXCEEDED', join('m99', 'tm', { manager: managerFields(99) }));
  });

  test('hosts that wait for approval keep no manager out, and are bounded when approved', () => {
    const bench = clusterBench();
    const token = tokenFields('ta', { role: 'manager', needsApproval: true, usesLeft: 100 });
    bench.ok({ kind: 'token.create', token });
    for (let number = 0; number <= limits.MANAGER_COUNT_MAX; number += 1) {
      bench.ok(join(`a${number}`, 'ta', { manager: managerFields(100 + number) }));
    }
    for (let number = 2; number < limits.MANAGER_COUNT_MAX; number += 1) {
      bench.ok(join(`m${number}`, 'tm', { manager: managerFields(number) }));
    }
    bench.ok({ kind: 'node.approve', id: 'a0' });
    bench.no('CV_LIMIT_EXCEEDED', { kind: 'node.approve', id: 'a1' });
    expect(bench.state.nodeById('a1')?.waiting).toBeDefined();
    bench.no('CV_LIMIT_EXCEEDED', join('m99', 'tm', { manager: managerFields(99) }));
  });
});

describe('tokens', () => {
  test('are revoked once and admit nobody after', () => {
    const bench = clusterBench();
    expect(bench.ok({ kind: 'token.revoke', id: 'tw' })).toMatchObject({ unchanged: false });
    expect(bench.ok({ kind: 'token.revoke', id: 'tw' })).toMatchObject({ unchanged: true });
    bench.no('CV_TOKEN_INVALID', join('w1', 'tw'));
    bench.no('CV_TOKEN_NOT_FOUND', { kind: 'token.revoke', id: 'nobody' });
    bench.no('CV_ARGUMENT_INVALID', { kind: 'token.create', token: tokenFields('tw') });
  });

  test('are bounded: spent ones make room, usable ones do not', () => {
    const bench = new Bench();
    for (let number = 0; number < limits.TOKEN_COUNT_MAX; number += 1) {
      bench.ok({ kind: 'token.create', token: tokenFields(`t${number}`) });
    }
    bench.no('CV_LIMIT_EXCEEDED', { kind: 'token.create', token: tokenFields('more') });
    bench.ok({ kind: 'token.revoke', id: 't7' });
    bench.ok({ kind: 'token.create', token: tokenFields('more') });
    expect(bench.state.tokenById('t7')).toBeUndefined();
    expect([...bench.state.tokens()]).toHaveLength(limits.TOKEN_COUNT_MAX);
  });
});

describe('a node', () => {
  test('is found by all that names it, through a renewal', () => {
    const bench = clusterBench();
    bench.ok(join('w1', 'tw'));
    expect(bench.state.nodeBySerial('cert-w1')?.id).toBe('w1');
    const certificate = {
      serial: 'second',
      notAfterMs: START_MS,
      publicKeyHash: 'key-2',
      root: 1,
      notBeforeMs: 0,
    };
    const renew = {
      kind: 'node.renew',
      id: 'w1',
      usedSerial: 'cert-w1',
      certificate,
      previousUntilMs: 77,
    } as const;
    expect(bench.ok(renew)).toMatchObject({ unchanged: false });
    expect(bench.ok(renew)).toMatchObject({ unchanged: true });
    expect(bench.state.nodeBySerial('cert-w1')?.id).toBe('w1');
    expect(bench.state.nodeBySerial('second')).toMatchObject({ previousUntilMs: 77 });
    const third = { ...certificate, serial: 'third' };
    bench.ok({ ...renew, usedSerial: 'second', certificate: third });
    expect(bench.state.nodeBySerial('cert-w1')).toBeUndefined();
    bench.no('CV_UNAUTHENTICATED', { ...renew, certificate: { ...certificate, serial: 'late' } });
    expect(bench.state.nodeByHostname('host-w1').map((row) => row.id)).toEqual(['w1']);
    bench.no('CV_NODE_NOT_FOUND', { ...renew, id: 'nobody' });
    const taken = { ...certificate, serial: 'cert-m1' };
    bench.no('CV_ARGUMENT_INVALID', { ...renew, certificate: taken });
    const takenKey = {
      serial: 'new',
      notAfterMs: 1,
      publicKeyHash: 'key-m1',
      root: 1,
      notBeforeMs: 0,
    };
    bench.no('CV_ARGUMENT_INVALID', { ...renew, certificate: takenKey });
  });

  test('keeps the certificate that it uses when the answer to a renewal was lost', () => {
    const bench = clusterBench();
    bench.ok(join('w1', 'tw'));
    const renew = (serial: string, usedSerial: string): void => {
      const certificate = {
        serial,
        notAfterMs: START_MS,
        publicKeyHash: 'key-2',
        root: 1,
        notBeforeMs: 0,
      };
      bench.ok({ kind: 'node.renew', id: 'w1', usedSerial, certificate, previousUntilMs: 77 });
    };
    renew('lost', 'cert-w1');
    renew('second', 'cert-w1');
    expect(bench.state.nodeBySerial('cert-w1')?.id).toBe('w1');
    expect(bench.state.nodeBySerial('lost')).toBeUndefined();
    renew('third', 'second');
    expect(bench.state.nodeBySerial('cert-w1')).toBeUndefined();
    expect(bench.state.nodeBySerial('second')?.id).toBe('w1');
  });

  test('gets no certificate from a clock that is ahead', () => {
    const bench = clusterBench();
    bench.ok(join('w1', 'tw'));
    const issued = { notAfterMs: bench.atMs * 2, publicKeyHash: 'key-w1', root: 1 };
    const renewal = (serial: string, notBeforeMs: number): CommandBody => ({
      kind: 'node.renew',
      id: 'w1',
      usedSerial: 'cert-w1',
      certificate: { ...issued, serial, notBeforeMs },
      previousUntilMs: bench.atMs + 10,
    });
    bench.no('CV_CLOCK_SKEW', renewal('early', bench.atMs + 1_000));
    expect(bench.state.nodeById('w1')?.certificate.serial).toBe('cert-w1');
    bench.ok(renewal('now', bench.atMs));
    expect(bench.state.nodeById('w1')?.certificate.serial).toBe('now');
  });

  test('is updated by operators: availability and labels', () => {
    const bench = clusterBench();
    bench.ok(join('w1', 'tw', { labels: { zone: 'a', old: '1' } }));
    const read = bench.state.appliedIndex;
    const update = {
      kind: 'node.update',
      id: 'w1',
      objectVersion: read,
      availability: 'drain',
      labelsSet: { zone: 'b' },
      labelsRemove: ['old'],
    } as const;
    bench.ok(update);
    expect(bench.state.nodeById('w1')).toMatchObject({ availability: 'drain' });
    expect(bench.state.nodeById('w1')?.labels).toEqual({ zone: 'b' });
    bench.no('CV_VERSION_STALE', update);
    bench.no('CV_NODE_NOT_FOUND', { ...update, id: 'nobody' });
    const many = Object.fromEntries(
      Array.from({ length: limits.LABEL_COUNT_MAX }, (_, place) => [`k${place}`, '']),
    );
    bench.no('CV_ARGUMENT_INVALID', { ...update, objectVersion: 0, labelsSet: many });
  });

  test('is observed; a new session counts and describes it', () => {
    const bench = clusterBench();
    bench.ok(join('w1', 'tw'));
    const session = {
      id: 'session-1',
      daemonVersion: '9',
      executors: ['container'],
    };
    const ready = { id: 'w1', state: 'READY', message: '', session } as const;
    const gone = { ...ready, id: 'nobody', session: undefined };
    expect(bench.ok({ kind: 'nodes.observe', nodes: [ready, gone] })).toEqual({
      applied: 1,
      unchanged: 0,
      unknown: 1,
    });
    const { id: sessionId, ...description } = session;
    expect(bench.state.nodeById('w1')).toMatchObject({
      state: 'READY',
      sessionId,
      sessionCount: 1,
      stateAtMs: bench.atMs,
      ...description,
    });
    const since = bench.atMs;
    const again = { ...ready, session: undefined };
    expect(bench.ok({ kind: 'nodes.observe', nodes: [again] })).toMatchObject({ unchanged: 1 });
    bench.ok({ kind: 'nodes.observe', nodes: [ready] });
    expect(bench.state.nodeById('w1')).toMatchObject({ sessionCount: 2, stateAtMs: since });
    expect(bench.state.nodeByHostname('host-w1')).toHaveLength(1);
  });

  test('has a membership and addresses when it is a manager', () => {
    const bench = clusterBench();
    bench.ok(join('m2', 'tm', { manager: managerFields(2) }));
    bench.ok(join('w1', 'tw'));
    const to = (id: string, membership: 'learner' | 'voter', ringGeneration?: number) =>
      ({ kind: 'node.membership', id, membership, ringGeneration }) as const;
    bench.ok(to('m2', 'learner'));
    bench.ok(to('m2', 'voter', 4));
    expect(bench.ok(to('m2', 'voter'))).toMatchObject({ unchanged: true });
    expect(bench.state.nodeById('m2')?.manager).toMatchObject({
      membership: 'voter',
      ringGeneration: 4,
    });
    bench.no('CV_ARGUMENT_INVALID', to('w1', 'voter'));
    bench.no('CV_NODE_NOT_FOUND', to('nobody', 'voter'));
    const addresses = { clusterAddress: 'a:1', joinAddress: 'a:2' };
    bench.ok({ kind: 'node.addresses', id: 'm2', ...addresses });
    expect(bench.ok({ kind: 'node.addresses', id: 'm2', ...addresses })).toMatchObject({
      unchanged: true,
    });
    expect(bench.state.nodeById('m2')?.manager).toMatchObject(addresses);
    bench.no('CV_ARGUMENT_INVALID', { kind: 'node.addresses', id: 'w1', ...addresses });
    bench.no('CV_NODE_NOT_FOUND', { kind: 'node.addresses', id: 'nobody', ...addresses });
  });
});

describe('removing a node', () => {
  const remove = (id: string, force = false) => ({ kind: 'node.remove', id, force }) as const;

  test('is refused while READY without force, and for a member even with force', () => {
    const bench = clusterBench();
    bench.node('w1');
    bench.no('CV_NODE_IN_USE', remove('w1'));
    bench.ok(remove('w1', true));
    bench.no('CV_NODE_NOT_FOUND', remove('w1', true));
    bench.ok(join('m2', 'tm', { manager: managerFields(2) }));
    for (const membership of ['learner', 'voter'] as const) {
      bench.ok({ kind: 'node.membership', id: 'm2', membership, ringGeneration: undefined });
      const refusal = bench.no('CV_NODE_IN_USE', remove('m2', true));
      expect(refusal.details['membership']).toBe(membership);
    }
    const removing = { membership: 'removing', ringGeneration: undefined } as const;
    bench.observe('m1', 'READY');
    bench.ok({ kind: 'node.membership', id: 'm2', ...removing });
    bench.ok(remove('m2'));
  });

  test('two that leave at once do not take the quorum with them', () => {
    const bench = clusterBench();
    const note = (id: string, membership: 'voter' | 'removing') =>
      ({ kind: 'node.membership', id, membership, ringGeneration: undefined }) as const;
    bench.no('CV_LAST_MANAGER', note('m1', 'removing'));
    for (const raftId of [2, 3, 4]) {
      const id = `m${raftId}`;
      bench.ok(join(id, 'tm', { state: 'READY', manager: managerFields(raftId) }));
      // One that does not vote yet is not missed.
      if (raftId === 2) bench.no('CV_LAST_MANAGER', note('m1', 'removing'));
      bench.ok(note(id, 'voter'));
    }
    bench.observe('m4', 'DOWN');
    bench.ok(note('m1', 'removing'));
    bench.ok(note('m1', 'removing'));
    const refusal = bench.no('CV_LAST_MANAGER', note('m2', 'removing'));
    expect(refusal.message).toContain('1 of 2 voters');
    bench.ok(note('m4', 'removing'));
  });

  test('revokes it, orphans its live tasks and keeps what it was exposed to', () => {
    const bench = clusterBench();
    bench.node('w1');
    bench.node('w2');
    bench.set('a', 1);
    bench.service('web', { bindings: [bindingSpec({ secretId: 'id-a' })] });
    for (const id of ['t1', 't2', 't3']) bench.task(id, 'service-web', 'w1');
    bench.task('other', 'service-web', 'w2');
    bench.report('t2', 'RUNNING');
    bench.report('t3', 'COMPLETE');
    bench.observe('w1', 'DOWN');
    expect(bench.ok(remove('w1'))).toEqual({ id: 'w1', orphaned: 2, exposures: 1 });
    const states = ['t1', 't2', 't3', 'other'].map((id) => bench.state.taskById(id)?.state);
    expect(states).toEqual(['ORPHANED', 'ORPHANED', 'COMPLETE', 'ASSIGNED']);
    expect(bench.state.nodeBySerial('cert-w1')).toBeUndefined();
    expect(bench.state.exposureOfNode('w1')).toMatchObject([{ secretName: 'a', version: 1 }]);
  });
});
