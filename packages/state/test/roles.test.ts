import { beforeEach, describe, expect, test } from '@jest/globals';
import { limits } from '@conclave/kernel';
import type { CommandBody } from '../src/index.js';
import {
  Bench,
  equipment,
  managerFields,
  nodeFields,
  serviceSpec,
  START_MS,
  tokenFields,
} from './support/bench.js';

let bench: Bench;

beforeEach(() => {
  bench = new Bench();
  bench.ok({ kind: 'token.create', token: tokenFields('tm', { role: 'manager' }) });
});

/** A manager that votes and is there. */
function voter(id: string, raftId: number): void {
  const node = nodeFields(id, { manager: managerFields(raftId) });
  bench.ok({ kind: 'node.join', tokenId: 'tm', node });
  bench.ok({ kind: 'node.membership', id, membership: 'voter', ringGeneration: 1 });
  bench.observe(id, 'READY');
}

const role = (id: string, to: 'manager' | 'worker'): CommandBody => ({
  kind: 'node.set-role',
  id,
  role: to,
});

function equip(id: string, raftId: number, usedSerial = `cert-${id}`): CommandBody {
  const serial = `manager-${raftId}-${bench.log.length}`;
  const certificate = {
    serial,
    notBeforeMs: 0,
    root: 0,
    notAfterMs: START_MS * 3,
    publicKeyHash: `key-of-${serial}`,
  };
  return { kind: 'node.equip', id, usedSerial, certificate, manager: equipment(raftId) };
}

const demoted = (id: string): CommandBody => ({ kind: 'node.demoted', id });

describe('a worker that is promoted', () => {
  beforeEach(() => {
    voter('m1', 1);
    bench.node('w1');
  });

  test('stays a worker until it brings keys, and joins with these', () => {
    bench.no('CV_ROLE_FORBIDDEN', equip('w1', 7));
    expect(bench.ok(role('w1', 'manager'))).toMatchObject({ unchanged: false });
    expect(bench.ok(role('w1', 'manager'))).toMatchObject({ unchanged: true });
    expect(bench.state.nodeById('w1')).toMatchObject({ role: 'worker', wantedRole: 'manager' });
    expect(bench.ok(equip('w1', 7))).toMatchObject({ raftId: 7 });
    expect(bench.state.nodeById('w1')).toMatchObject({
      role: 'manager',
      manager: { raftId: 7, membership: 'joining', ringGeneration: 0 },
      previousCertificate: { serial: 'cert-w1' },
      previousUntilMs: START_MS * 2,
    });
    expect(bench.state.isRetiredRaftId(7)).toBe(true);
  });

  test('becomes none while tasks run on it', () => {
    bench.ok({ kind: 'service.create', id: 'service-web', spec: serviceSpec() });
    bench.task('t', 'service-web', 'w1');
    bench.ok(role('w1', 'manager'));
    bench.no('CV_NODE_IN_USE', equip('w1', 7));
    bench.report('t', 'RUNNING');
    bench.no('CV_NODE_IN_USE', equip('w1', 7));
    bench.report('t', 'SHUTDOWN');
    bench.ok(equip('w1', 7));
  });

  test('becomes none with a Raft id that anybody had, or another certificate than its own', () => {
    bench.ok(role('w1', 'manager'));
    bench.no('CV_ARGUMENT_INVALID', equip('w1', 1));
    bench.no('CV_UNAUTHENTICATED', equip('w1', 7, 'cert-m1'));
  });

  test('that lost the answer asks again, and keeps the Raft id under which it never took part', () => {
    bench.ok(role('w1', 'manager'));
    bench.ok(equip('w1', 7));
    bench.ok({
      kind: 'node.membership',
      id: 'w1',
      membership: 'learner',
      ringGeneration: undefined,
    });
    expect(bench.ok(equip('w1', 8))).toMatchObject({ raftId: 7 });
    expect(bench.state.isRetiredRaftId(8)).toBe(false);
    // From then on it has begun: nobody takes its place with what the worker had.
    bench.ok({ kind: 'node.membership', id: 'w1', membership: undefined, ringGeneration: 1 });
    bench.no('CV_NODE_IN_USE', equip('w1', 8));
  });

  test('may be called off, and counts towards the most managers', () => {
    bench.ok(role('w1', 'manager'));
    bench.ok(role('w1', 'worker'));
    bench.no('CV_ROLE_FORBIDDEN', equip('w1', 7));
    for (let count = 2; count <= limits.MANAGER_COUNT_MAX; count += 1) {
      bench.node(`x${count}`);
      bench.ok(role(`x${count}`, 'manager'));
    }
    bench.no('CV_LIMIT_EXCEEDED', role('w1', 'manager'));
    const node = nodeFields('last', { manager: managerFields(99) });
    bench.no('CV_LIMIT_EXCEEDED', { kind: 'node.join', tokenId: 'tm', node });
  });
});

describe('a manager that is demoted', () => {
  test('is refused when it is the last one, or when too few of the rest are there', () => {
    voter('m1', 1);
    bench.no('CV_LAST_MANAGER', role('m1', 'worker'));
    voter('m2', 2);
    voter('m3', 3);
    bench.observe('m3', 'DOWN');
    bench.no('CV_LAST_MANAGER', role('m2', 'worker'));
    bench.ok(role('m3', 'worker'));
  });

  test('two at once leave a quorum, whichever comes first', () => {
    for (const [at, id] of ['m1', 'm2', 'm3'].entries()) voter(id, at + 1);
    bench.ok(role('m1', 'worker'));
    bench.ok(role('m2', 'worker'));
    bench.no('CV_LAST_MANAGER', role('m3', 'worker'));
  });

  test('is on its way out, then a worker, then may be promoted with another Raft id', () => {
    voter('m1', 1);
    voter('m2', 2);
    bench.no('CV_NODE_IN_USE', demoted('m2'));
    bench.ok(role('m2', 'worker'));
    expect(bench.state.nodeById('m2')).toMatchObject({
      role: 'manager',
      wantedRole: 'worker',
      manager: { membership: 'removing' },
    });
    bench.no('CV_NODE_IN_USE', role('m2', 'manager'));
    bench.ok(demoted('m2'));
    expect(bench.state.nodeById('m2')).toMatchObject({ role: 'worker', manager: undefined });
    expect(bench.ok(demoted('m2'))).toMatchObject({ unchanged: true });
    bench.ok(role('m2', 'manager'));
    bench.no('CV_ARGUMENT_INVALID', equip('m2', 2));
    bench.ok(equip('m2', 3));
    // What it was certified as before counts for a worker only, and for the manager no more.
    expect(bench.state.nodeById('m2')).toMatchObject({ role: 'manager', manager: { raftId: 3 } });
  });

  test('is not demoted when it leaves', () => {
    voter('m1', 1);
    voter('m2', 2);
    const leaving = { membership: 'removing', ringGeneration: undefined } as const;
    bench.ok(role('m2', 'worker'));
    bench.ok({ kind: 'node.membership', id: 'm2', ...leaving });
    bench.no('CV_NODE_IN_USE', demoted('m2'));
    bench.no('CV_NODE_IN_USE', role('m2', 'worker'));
    bench.ok({ kind: 'node.remove', id: 'm2', force: true });
  });

  test('a hundred times over has a hundred Raft ids, and is a member once', () => {
    voter('m1', 1);
    bench.node('w1');
    for (let raftId = 2; raftId < 102; raftId += 1) {
      const used = bench.state.nodeById('w1')?.certificate.serial ?? '';
      bench.ok(role('w1', 'manager'));
      bench.ok(equip('w1', raftId, used));
      bench.ok(role('w1', 'worker'));
      bench.ok(demoted('w1'));
      expect(bench.state.nodeByRaftId(raftId)).toBeUndefined();
      expect(bench.state.isRetiredRaftId(raftId)).toBe(true);
    }
    expect([...bench.state.nodes()].filter(({ manager }) => manager !== undefined)).toHaveLength(1);
  });
});

describe('a node whose token asks for approval', () => {
  beforeEach(() => {
    voter('m1', 1);
    const needsApproval = true;
    const token = tokenFields('ta', { role: 'manager', needsApproval });
    bench.ok({ kind: 'token.create', token });
    const node = nodeFields('m2', { manager: managerFields(2) });
    bench.ok({ kind: 'node.join', tokenId: 'ta', node });
  });

  test('is listed, and is no manager before somebody approves it', () => {
    expect(bench.state.nodeById('m2')).toMatchObject({
      role: 'manager',
      manager: undefined,
      waiting: { manager: { raftId: 2, membership: 'joining' } },
    });
    expect(bench.state.nodeByRaftId(2)).toBeUndefined();
    expect(bench.state.isRetiredRaftId(2)).toBe(true);
    bench.no('CV_ARGUMENT_INVALID', {
      kind: 'node.membership',
      id: 'm2',
      membership: 'voter',
      ringGeneration: 1,
    });
    bench.no('CV_NODE_IN_USE', role('m2', 'worker'));
    bench.no('CV_NODE_IN_USE', equip('m2', 3));
    expect(bench.ok({ kind: 'node.approve', id: 'm2' })).toMatchObject({ unchanged: false });
    expect(bench.state.nodeById('m2')).toMatchObject({
      waiting: undefined,
      manager: { raftId: 2, membership: 'joining' },
    });
    expect(bench.ok({ kind: 'node.approve', id: 'm2' })).toMatchObject({ unchanged: true });
  });

  test('is turned away by its removal, and its Raft id is nobody else’s', () => {
    bench.ok({ kind: 'node.remove', id: 'm2', force: false });
    bench.no('CV_NODE_NOT_FOUND', { kind: 'node.approve', id: 'm2' });
    expect(bench.state.isRetiredRaftId(2)).toBe(true);
  });
});
