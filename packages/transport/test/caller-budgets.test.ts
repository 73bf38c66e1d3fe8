import { describe, expect, test } from '@jest/globals';
import type { CertificateIdentity } from '@conclave/pki';
import { callerKind } from '../src/authority.js';
import { CallerBudgets } from '../src/caller-budgets.js';
import type { CallerKind } from '../src/caller-budgets.js';
import type { Peer } from '../src/index.js';
import * as limits from '../src/limits.js';
import { FakeAuthority } from './fixture.js';

const SESSION = '/conclave.v1.Dispatcher/Session';
const RENEW = '/conclave.v1.Identity/Renew';
const CHALLENGE = '/conclave.v1.Join/Challenge';
const RECOVER = '/conclave.v1.Join/Recover';

function budgetsAt(): { budgets: CallerBudgets; time: { ms: number } } {
  const time = { ms: 0 };
  return { budgets: new CallerBudgets({ now: () => 0, monotonic: () => time.ms }), time };
}

const node = (id: string): Peer => ({
  kind: 'certificate',
  identity: { kind: 'node', id } as CertificateIdentity,
  address: '10.0.0.1',
});
const anonymous = (address: string): Peer => ({ kind: 'anonymous', address });

/** How many calls of `most` are let in. */
function taken(
  budgets: CallerBudgets,
  call: { readonly peer: Peer; readonly kind: CallerKind; readonly path: string },
  most = 5_000,
): number {
  let count = 0;
  while (count < most && budgets.take(call.peer, call.kind, call.path)) count += 1;
  return count;
}

describe('calls', () => {
  test('a worker has a burst, then a rate, and no other worker pays for it', () => {
    const { budgets, time } = budgetsAt();
    const one = { peer: node('w1'), kind: 'worker', path: SESSION } as const;
    const { burst, perSecond } = limits.WORKER_CALL_RATE;
    expect(taken(budgets, one)).toBe(burst);
    expect(taken(budgets, { ...one, peer: node('w2') })).toBe(burst);
    time.ms = 2_000;
    expect(taken(budgets, one)).toBe(2 * perSecond);
  });

  test.each(['worker', 'admin'] as const)('a %s renews now and then', (kind) => {
    const { budgets } = budgetsAt();
    const one = { peer: node('n1'), kind } as const;
    expect(taken(budgets, { ...one, path: RENEW })).toBe(limits.IDENTITY_CHANGE_RATE.burst);
    expect(taken(budgets, { ...one, path: SESSION })).toBeGreaterThan(20);
  });

  test('managers and the socket of the host are not rationed', () => {
    const { budgets } = budgetsAt();
    expect(taken(budgets, { peer: node('m1'), kind: 'manager', path: RENEW })).toBe(5_000);
    const local = { peer: { kind: 'local' }, kind: 'local', path: SESSION } as const;
    expect(taken(budgets, local)).toBe(5_000);
  });

  test('a manager that was demoted has the budget of a worker', () => {
    const { budgets } = budgetsAt();
    taken(budgets, { peer: node('m1'), kind: 'manager', path: SESSION });
    const demoted = { peer: node('m1'), kind: 'worker', path: SESSION } as const;
    expect(taken(budgets, demoted)).toBe(limits.WORKER_CALL_RATE.burst);
  });

  test('an address that sent a burst of joins may still ask for challenges', () => {
    const { budgets, time } = budgetsAt();
    const one = { peer: anonymous('10.0.0.1'), kind: 'anonymous' } as const;
    const { burst, perSecond } = limits.JOIN_RATE;
    expect(taken(budgets, { ...one, path: RECOVER })).toBe(burst);
    expect(budgets.take(one.peer, one.kind, CHALLENGE)).toBe(true);
    time.ms = 1_000;
    expect(taken(budgets, { ...one, path: RECOVER })).toBe(perSecond);
  });

  test('without a certificate the address pays, and all of them together', () => {
    const { budgets, time } = budgetsAt();
    const from = (address: string): number =>
      taken(budgets, { peer: anonymous(address), kind: 'anonymous', path: CHALLENGE });
    const { burst } = limits.JOIN_CALL_RATE;
    expect(from('10.0.0.1')).toBe(burst);
    expect(from('::ffff:10.0.0.1')).toBe(0);
    let total = burst;
    for (let count = 2; count < 100; count += 1) total += from(`10.0.0.${count}`);
    expect(total).toBe(limits.JOIN_CALL_RATE_TOTAL.burst);
    time.ms = 1_000;
    expect(from('10.0.1.1')).toBe(burst);
  });
});

describe('a certificate that does not count', () => {
  const authority = new FakeAuthority();
  const clock = { now: () => 1_000, monotonic: () => 0 };
  const kindOf = (peer: Peer): CallerKind => callerKind(peer, { authority, clock });
  const shown = (id: string, serial: string, fields: object = {}): Peer => {
    const kind = id === 'ann' ? 'admin' : 'node';
    const identity = { kind, id, serial, role: 'manager', notAfterMs: 2_000, ...fields };
    return { kind: 'certificate', identity: identity as CertificateIdentity, address: '10.0.0.1' };
  };
  for (const role of ['worker', 'manager'] as const) {
    authority.set(role, { kind: 'node', id: role, role, isActive: true, isSerialCurrent: true });
  }
  const ann = { kind: 'admin', id: 'ann', isActive: true, isSerialCurrent: true } as const;
  authority.set('ann', { ...ann, adminRoles: ['admin'] });
  authority.set('gone', { kind: 'node', id: 'gone', isActive: false, isSerialCurrent: true });
  authority.replaced.add('old');

  test.each([
    ['worker', 'worker'],
    ['manager', 'manager'],
    ['ann', 'admin'],
  ] as const)('is apart from that of %s which does', (id, kind) => {
    const { budgets } = budgetsAt();
    const [old, good] = [shown(id, 'old'), shown(id, 'new')];
    expect(kindOf(good)).toBe(kind);
    expect(taken(budgets, { peer: old, kind: kindOf(old), path: SESSION })).toBe(
      limits.WORKER_CALL_RATE.burst,
    );
    expect(taken(budgets, { peer: good, kind: kindOf(good), path: SESSION }, 100)).toBe(100);
    budgets.of(old, kindOf(old)).hold(limits.ADMIN_HELD_BYTES_MAX);
    expect(budgets.of(good, kindOf(good)).hold(1)).toBe(true);
  });

  test('is one that has ended, of who was removed, or of nobody', () => {
    expect(kindOf(shown('manager', 'new', { notAfterMs: 999 }))).toBe('refused');
    expect(kindOf(shown('gone', 'new'))).toBe('refused');
    expect(kindOf(shown('nobody', 'new'))).toBe('refused');
  });

  test('of a node is apart from that of an administrator with the same id', () => {
    const { budgets } = budgetsAt();
    const one = { kind: 'refused', path: SESSION } as const;
    taken(budgets, { ...one, peer: shown('ann', 'old') });
    expect(budgets.take(shown('ann', 'old', { kind: 'node' }), 'refused', SESSION)).toBe(true);
  });
});

describe('bytes of requests', () => {
  test('are counted over all connections of a caller, and come back', () => {
    const { budgets } = budgetsAt();
    const max = limits.WORKER_HELD_BYTES_MAX;
    expect(budgets.of(node('w1'), 'worker').hold(max)).toBe(true);
    expect(budgets.of(node('w1'), 'worker').hold(1)).toBe(false);
    expect(budgets.of(node('w2'), 'worker').hold(1)).toBe(true);
    expect(budgets.of(node('w1'), 'worker').hold(-1)).toBe(true);
  });
});

describe('memory', () => {
  test('callers are forgotten in the order of their last call, never while they hold anything', () => {
    const { budgets } = budgetsAt();
    const spend = (id: string): number =>
      taken(budgets, { peer: node(id), kind: 'worker', path: SESSION }, 1_000);
    expect(spend('quiet')).toBe(limits.WORKER_CALL_RATE.burst);
    expect(spend('busy')).toBe(limits.WORKER_CALL_RATE.burst);
    budgets.of(node('busy'), 'worker').hold(1);
    for (let count = 0; count < limits.CALLER_COUNT_MAX; count += 1) {
      budgets.take(node(`w${count}`), 'worker', SESSION);
    }
    expect(spend('busy')).toBe(0);
    expect(spend('quiet')).toBe(limits.WORKER_CALL_RATE.burst);
  });
});
