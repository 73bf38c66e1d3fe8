import { afterAll, afterEach, beforeAll, describe, expect, jest, test } from '@jest/globals';
import type { AdminRole } from '@conclave/kernel';
import { loadWire } from '@conclave/wire';
import type { Channel, CurrentIdentity, Listener } from '../src/index.js';
import { openBench } from './cluster-bench.js';
import type { Bench } from './cluster-bench.js';
import { failureOf, partly, within } from './fixture.js';

// Real sockets on a machine that may be busy.
jest.setTimeout(30_000);

let bench: Bench;
let listener: Listener;

beforeAll(async () => {
  bench = await openBench();
  listener = await bench.cluster.listen(bench.server, [
    ...bench.services(),
    partly('Secrets', {
      get: async () => ({ name: 'shop/db' }),
      remove: async () => ({ index: 1 }),
    }),
    partly('Services', { remove: async () => ({ index: 2 }) }),
  ]);
});
afterAll(async () => {
  await listener.close();
  await bench.listener.close();
});
afterEach(() => bench.reset());

const { Cluster, Secrets, Services } = loadWire();
const CALLS: Record<string, (via: Channel) => Promise<unknown>> = {
  read: (via) => via.unary(Secrets.Get, { secret: 'shop/db' }),
  'remove a secret': (via) => via.unary(Secrets.Remove, { secret: 'shop/db' }),
  'remove a service': (via) => via.unary(Services.Remove, { service: 'web' }),
};

function current(id: string, adminRoles: readonly AdminRole[]): CurrentIdentity {
  return { kind: 'admin', id, adminRoles, isActive: true, isSerialCurrent: true };
}

async function open(id: string, ...roles: AdminRole[]): Promise<Channel> {
  const identity = await bench.cluster.admin(id);
  bench.cluster.authority.set(id, current(id, roles));
  const via = bench.cluster.channel(listener, identity);
  bench.later(() => via.close());
  return via;
}

async function allowed(via: Channel): Promise<string[]> {
  const names: string[] = [];
  for (const [name, call] of Object.entries(CALLS)) {
    try {
      await call(via);
      names.push(name);
    } catch (error) {
      expect(error).toMatchObject({ code: 'CV_ROLE_FORBIDDEN' });
    }
  }
  return names;
}

describe('an administrator on the network', () => {
  test.each<[AdminRole[], string[]]>([
    [[], []],
    [['viewer'], ['read']],
    [['auditor'], ['read']],
    [['operator'], ['read', 'remove a service']],
    [['secret-writer'], ['read', 'remove a secret']],
    [
      ['operator', 'secret-writer'],
      ['read', 'remove a secret', 'remove a service'],
    ],
    [['admin'], ['read', 'remove a secret', 'remove a service']],
  ])('with the roles %j may %j', async (roles, names) => {
    expect(await allowed(await open('ann', ...roles))).toEqual(names);
  });

  test('has the roles of now, on a connection that was open before', async () => {
    const via = await open('ann', 'operator');
    expect(await allowed(via)).toEqual(['read', 'remove a service']);
    bench.cluster.authority.set('ann', current('ann', ['viewer']));
    expect(await allowed(via)).toEqual(['read']);
  });

  test.each<[string, CurrentIdentity | undefined, string]>([
    ['was ended', { ...current('eve', ['viewer']), isActive: false }, 'CV_UNAUTHENTICATED'],
    ['is unknown', undefined, 'CV_UNAUTHENTICATED'],
    [
      'has another serial',
      { ...current('eve', ['viewer']), isSerialCurrent: false },
      'CV_UNAUTHENTICATED',
    ],
    ['lost its roles', current('eve', []), 'CV_ROLE_FORBIDDEN'],
  ])('that %s loses its open stream within a second', async (_why, state, code) => {
    const via = await open('eve', 'viewer');
    const events = via.serverStream(Cluster.Watch, {})[Symbol.asyncIterator]();
    expect((await events.next()).done).toBe(false);
    const next = failureOf(events.next());
    bench.cluster.authority.set('eve', state);
    expect(await within(1_000, next)).toMatchObject({ code });
    expect(await failureOf(via.unary(Cluster.GetInfo, {}))).toMatchObject({ code });
  });
});
