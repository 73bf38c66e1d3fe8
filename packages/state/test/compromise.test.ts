import { beforeEach, describe, expect, test } from '@jest/globals';
import type { CommandBody } from '../src/index.js';
import { adminFields, Bench, managerFields, nodeFields, tokenFields } from './support/bench.js';
import { sampleCommands } from './support/samples.js';

const begin = (...evict: string[]): CommandBody => ({
  kind: 'compromise.begin',
  evict,
  endsAdmins: false,
});
const FINISH: CommandBody = { kind: 'compromise.finish' };
const STAGE: CommandBody = {
  kind: 'recovery.stage',
  recovery: { publicKey: Uint8Array.of(7), threshold: 0, shareHashes: [] },
};

let bench: Bench;

/** Managers m1 to m3, which vote and are READY, and the workers w1 and w2. */
beforeEach(() => {
  bench = new Bench();
  const [create] = sampleCommands();
  if (create?.kind !== 'cluster.create') throw new Error('the first sample makes a cluster');
  const founder = { ...create.node, id: 'm1', hostname: 'm1', state: 'READY' as const };
  bench.ok({ ...create, node: founder });
  bench.ok({ kind: 'token.create', token: tokenFields('tm', { role: 'manager' }) });
  for (const [place, id] of ['m2', 'm3'].entries()) {
    const node = nodeFields(id, { hostname: id, manager: managerFields(place + 2) });
    bench.ok({ kind: 'node.join', tokenId: 'tm', node });
    bench.ok({ kind: 'node.membership', id, membership: 'voter', ringGeneration: 1 });
    bench.observe(id, 'READY');
  }
  for (const id of ['w1', 'w2']) bench.node(id, { hostname: id });
});

const steps = (): string[] => bench.state.openCompromiseSteps();
const membershipOf = (id: string): string | undefined =>
  bench.state.nodeById(id)?.manager?.membership;

describe('a recovery from a compromise', () => {
  test('takes a worker out and ends all tokens in the entry that begins it', () => {
    bench.ok({ kind: 'admin.create', admin: adminFields('ann') });
    expect(bench.ok(begin('w1'))).toEqual({ evicted: 1 });
    expect(bench.state.nodeById('w1')).toBeUndefined();
    expect(bench.state.isRemovedNode('w1')).toBe(true);
    expect([...bench.state.tokens()].every(({ isRevoked }) => isRevoked)).toBe(true);
    expect(bench.state.adminById('ann')?.isRevoked).toBe(false);
    expect(bench.state.cluster()?.compromise).toMatchObject({
      evicted: [{ id: 'w1', hostname: 'w1', isManager: false }],
    });
    expect(steps()).toEqual(['root', 'ring', 'recovery-key']);
  });

  test('ends administrators when it is asked to, whoever of them asks for more', () => {
    bench.ok({ kind: 'admin.create', admin: adminFields('ann', { roles: ['admin'] }) });
    bench.ok({ kind: 'compromise.begin', evict: [], endsAdmins: true });
    expect(bench.state.adminById('ann')?.isRevoked).toBe(true);
    bench.no('CV_UNAUTHENTICATED', begin('w1'), { by: { kind: 'admin', id: 'ann' } });
  });

  test.each([true, false])(
    'ends those made since then with the root of before: %p',
    (endsAdmins) => {
      bench.ok({ kind: 'compromise.begin', evict: ['m3'], endsAdmins });
      // More of them with another wish: what was asked for once stays.
      bench.ok(begin('w1'));
      // Proposed by m3 before it was evicted, with a certificate under the root of before.
      bench.ok({ kind: 'admin.create', admin: adminFields('eve', { roles: ['admin'] }) });
      bench.ok({ kind: 'node.remove', id: 'm3', force: true });
      bench.ok({ kind: 'root.rotate', distrustsFormer: true });
      const next = { certificate: Uint8Array.of(9), keySealed: Uint8Array.of(9), keyId: 1 };
      bench.ok({ kind: 'root.offer', next, crossCertificate: Uint8Array.of(9) });
      // A copy: each report changes the table.
      const nodes = [...bench.state.nodes()];
      for (const { id, certificate } of nodes) {
        bench.ok({ kind: 'node.root', id, step: 1, serial: certificate.serial });
      }
      expect(bench.state.adminById('eve')?.isRevoked).toBe(false);
      bench.ok({ kind: 'root.activate', step: 1 });
      expect(bench.state.adminById('eve')?.isRevoked).toBe(endsAdmins);
    },
  );

  test('takes a manager out of the quorum, and nothing counts before it is struck', () => {
    bench.ok(begin('m3'));
    expect(membershipOf('m3')).toBe('removing');
    for (const body of [STAGE, { kind: 'root.rotate', distrustsFormer: false } as const])
      bench.ok(body);
    expect(steps()).toEqual(['evict', 'root', 'ring', 'recovery-key']);
    expect(bench.state.cluster()?.compromise).toMatchObject({
      isRootAsked: false,
      recoveryGeneration: 0,
    });
    bench.ok({ kind: 'node.remove', id: 'm3', force: true });
    expect(steps()).toEqual(['root', 'ring', 'recovery-key']);
  });

  test('is refused when too few of the managers that stay are READY', () => {
    bench.no('CV_LAST_MANAGER', begin('m2', 'm3', 'm1'));
    bench.observe('m2', 'DOWN');
    bench.no('CV_LAST_MANAGER', begin('w1', 'm3'));
    // The one that is down may go.
    bench.ok(begin('m2'));
  });

  test('is refused when a node has gone meanwhile', () => {
    bench.no('CV_NODE_NOT_FOUND', begin('w1', 'gone'));
  });

  test('counts a step when it was asked for since then and is over', () => {
    bench.ok(STAGE);
    bench.ok(begin('w1'));
    // Staged before: whoever had a hand in it is out now.
    bench.ok({ kind: 'recovery.sealed', id: 'm1', generation: 2 });
    expect(steps()).toContain('recovery-key');
    bench.ok({ kind: 'root.rotate', distrustsFormer: false });
    expect(bench.state.cluster()).toMatchObject({
      compromise: { isRootAsked: true },
      // No root of before may vouch for the one that is made now.
      rootRotation: { distrustsFormer: true },
    });
    expect(steps()).toContain('root');
    bench.no('CV_STATE_STALE', FINISH);
    bench.ok(STAGE);
    for (const id of ['m1', 'm2', 'm3']) {
      bench.ok({ kind: 'recovery.sealed', id, generation: 3 });
    }
    bench.ok({ kind: 'recovery.confirm', generation: 3 });
    expect(steps()).toContain('recovery-key');
    for (const id of ['m1', 'm2', 'm3']) {
      bench.ok({ kind: 'recovery.sealed', id, generation: 3 });
    }
    expect(steps()).toEqual(['root', 'ring']);
  });

  test('asked for again it adds nodes; for a manager every key is made once more', () => {
    bench.ok(begin('w1'));
    bench.ok({ kind: 'root.rotate', distrustsFormer: false });
    const first = bench.state.cluster()?.compromise;
    bench.ok(begin('w2'));
    expect(bench.state.cluster()?.compromise).toEqual({
      ...first,
      evicted: [...(first?.evicted ?? []), { id: 'w2', hostname: 'w2', isManager: false }],
    });
    bench.ok(begin('m3'));
    expect(bench.state.cluster()?.compromise).toMatchObject({
      evicted: [{ id: 'w1' }, { id: 'w2' }, { id: 'm3', isManager: true }],
      isRootAsked: false,
      startedAtMs: first?.startedAtMs,
    });
  });

  test('that is not on its way has no steps, and its end changes nothing', () => {
    expect(steps()).toEqual([]);
    expect(bench.ok(FINISH)).toEqual({ unchanged: true });
  });
});
