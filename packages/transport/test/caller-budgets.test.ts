import { describe, expect, test } from '@jest/globals';
import type { CertificateIdentity } from '@conclave/pki';
import { CallerBudgets } from '../src/caller-budgets.js';
import type { CallerKind } from '../src/caller-budgets.js';
import type { Peer } from '../src/index.js';
import * as limits from '../src/limits.js';

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
