import { describe, expect, test } from '@jest/globals';
import type { CommandBody } from '../src/index.js';
import { adminFields, Bench, managerFields, nodeFields, tokenFields } from './support/bench.js';
import { sampleCommands } from './support/samples.js';

const NEXT = { certificate: Uint8Array.of(21), keySealed: Uint8Array.of(22), keyId: 1 };
const CROSS = Uint8Array.of(23);
const ROOT_BEFORE = Uint8Array.of(1, 2, 3);
const rotate: CommandBody = { kind: 'root.rotate' };
const offer: CommandBody = { kind: 'root.offer', next: NEXT, crossCertificate: CROSS };

/** Managers m1 (the founder) and m2 and the worker w1. */
function rootBench(): Bench {
  const bench = new Bench();
  bench.no('CV_NOT_INITIALIZED', rotate);
  const [create] = sampleCommands();
  if (create?.kind !== 'cluster.create') throw new Error('the first sample makes a cluster');
  bench.ok({ ...create, node: { ...create.node, ...nodeFields('m1'), manager: managerFields(1) } });
  bench.ok({ kind: 'token.create', token: tokenFields('tm', { role: 'manager' }) });
  bench.ok({ kind: 'token.create', token: tokenFields('tw') });
  const manager = managerFields(2);
  bench.ok({ kind: 'node.join', tokenId: 'tm', node: nodeFields('m2', { manager }) });
  bench.ok({ kind: 'node.join', tokenId: 'tw', node: nodeFields('w1') });
  return bench;
}

const NODES = ['m1', 'm2', 'w1'];
const reached = (id: string, step: number, serial = `cert-${id}`): CommandBody => ({
  kind: 'node.root',
  id,
  step,
  serial,
});
const renew = (id: string, root: number): CommandBody => ({
  kind: 'node.renew',
  id,
  usedSerial: `cert-${id}`,
  certificate: {
    serial: `new-${id}`,
    notBeforeMs: 0,
    notAfterMs: 2e15,
    publicKeyHash: `key-${id}`,
    root,
  },
  previousUntilMs: 3e15,
});

function spreading(): Bench {
  const bench = rootBench();
  bench.ok(rotate);
  bench.ok(offer);
  return bench;
}

function renewing(): Bench {
  const bench = spreading();
  for (const id of NODES) bench.ok(reached(id, 1));
  bench.ok({ kind: 'root.activate', step: 1 });
  return bench;
}

function dropping(): Bench {
  const bench = renewing();
  for (const id of NODES) {
    bench.ok(renew(id, 2));
    bench.ok(reached(id, 2, `new-${id}`));
  }
  bench.ok({ kind: 'root.drop', step: 2 });
  return bench;
}

const phase = (bench: Bench): string | undefined => bench.state.cluster()?.rootRotation?.phase;

describe('a rotation of the root', () => {
  test('puts the new root in force only when every node trusts it', () => {
    const bench = spreading();
    expect(bench.state.cluster()).toMatchObject({ rootStep: 1, rootGeneration: 1 });
    for (const id of NODES) {
      bench.no('CV_STATE_STALE', { kind: 'root.activate', step: 1 });
      expect(bench.state.nodesBehindRoot(1)).toContain(`host-${id}`);
      bench.ok(reached(id, 1));
    }
    bench.no('CV_STATE_STALE', { kind: 'root.activate', step: 0 });
    bench.ok({ kind: 'root.activate', step: 1 });
    expect(bench.state.cluster()).toMatchObject({
      rootCertificate: NEXT.certificate,
      rootKeySealed: NEXT.keySealed,
      rootGeneration: 2,
      rootStep: 2,
      rootRotation: { phase: 'renewing', next: undefined, previousCertificate: ROOT_BEFORE },
    });
  });

  test('ends the tokens that name the root before', () => {
    const bench = renewing();
    expect([...bench.state.tokens()].map(({ isRevoked }) => isRevoked)).toEqual([true, true]);
    bench.ok({ kind: 'token.create', token: tokenFields('late') });
    expect(bench.state.tokenById('late')?.isRevoked).toBe(false);
  });

  test('drops the root before only when every node uses a certificate under the new one', () => {
    const bench = renewing();
    // Trust is not enough, nor is a certificate that the node does not use.
    bench.no('CV_STATE_STALE', reached('w1', 2));
    bench.ok(renew('w1', 2));
    bench.no('CV_STATE_STALE', reached('w1', 2));
    bench.ok(reached('w1', 2, 'new-w1'));
    bench.no('CV_STATE_STALE', { kind: 'root.drop', step: 2 });
    for (const id of ['m1', 'm2']) {
      bench.ok(renew(id, 2));
      bench.ok(reached(id, 2, `new-${id}`));
    }
    expect(bench.state.nodeById('w1')?.previousCertificate).toBeDefined();
    bench.ok({ kind: 'root.drop', step: 2 });
    expect(bench.state.nodeById('w1')).toMatchObject({
      certificate: { root: 2 },
      previousCertificate: undefined,
    });
    const none = { length: 0 };
    expect(bench.state.cluster()?.rootRotation).toMatchObject({
      previousCertificate: none,
      crossCertificate: none,
    });
  });

  test('finishes when no node trusts the root before, and the next one starts from there', () => {
    const bench = dropping();
    for (const id of NODES) {
      bench.no('CV_STATE_STALE', { kind: 'root.finish', step: 3 });
      bench.ok(reached(id, 3, `new-${id}`));
    }
    bench.ok({ kind: 'root.finish', step: 3 });
    expect(bench.state.cluster()).toMatchObject({ rootGeneration: 2, rootRotation: undefined });
    bench.ok(rotate);
    expect(phase(bench)).toBe('making');
  });

  test('takes no certificate that was issued under the root before', () => {
    const bench = renewing();
    bench.no('CV_STATE_STALE', renew('w1', 1));
    bench.no('CV_STATE_STALE', { kind: 'admin.create', admin: adminFields('late') });
  });

  test('ends administrators who have not renewed, and their certificates of before', () => {
    const bench = rootBench();
    bench.ok({ kind: 'admin.create', admin: adminFields('ann') });
    bench.ok({ kind: 'admin.create', admin: adminFields('bob') });
    bench.ok(rotate);
    bench.ok(offer);
    for (const id of NODES) bench.ok(reached(id, 1));
    bench.ok({ kind: 'root.activate', step: 1 });
    const certificate = {
      serial: 'next',
      notAfterMs: 2e15,
      publicKeyHash: 'key-next',
      root: 2,
      notBeforeMs: 0,
    };
    const usedSerial = bench.state.adminById('bob')?.certificate.serial ?? '';
    bench.ok({ kind: 'admin.renew', id: 'bob', usedSerial, certificate, previousUntilMs: 3e15 });
    for (const id of NODES) {
      bench.ok(renew(id, 2));
      bench.ok(reached(id, 2, `new-${id}`));
    }
    bench.ok({ kind: 'root.drop', step: 2 });
    expect(bench.state.adminById('ann')?.isRevoked).toBe(true);
    expect(bench.state.adminById('bob')).toMatchObject({
      isRevoked: false,
      previousCertificate: undefined,
    });
  });

  test('that is asked for again begins anew, before or behind the point where one is in force', () => {
    const early = spreading();
    early.ok(rotate);
    expect(early.state.cluster()?.rootRotation).toMatchObject({ phase: 'making', next: undefined });
    early.ok({ ...offer, next: { ...NEXT, certificate: Uint8Array.of(31) } } as CommandBody);
    expect(early.state.cluster()).toMatchObject({ rootStep: 2, rootGeneration: 1 });
    // What was said about the one that was given up does not count.
    early.no('CV_STATE_STALE', reached('w1', 1));
    const late = dropping();
    late.ok(rotate);
    for (const id of NODES) late.ok(reached(id, 3, `new-${id}`));
    late.ok({ kind: 'root.finish', step: 3 });
    expect(phase(late)).toBe('making');
  });

  test('waits neither for a node that is removed nor for a manager on its way out', () => {
    const bench = spreading();
    bench.ok(reached('m1', 1));
    bench.ok({ kind: 'node.remove', id: 'w1', force: true });
    const removing = { membership: 'removing', ringGeneration: undefined } as const;
    bench.ok({ kind: 'node.membership', id: 'm2', ...removing });
    bench.ok({ kind: 'root.activate', step: 1 });
  });

  test('waits for a node that joins meanwhile', () => {
    const bench = spreading();
    for (const id of NODES) bench.ok(reached(id, 1));
    bench.ok({ kind: 'node.join', tokenId: 'tw', node: nodeFields('w2') });
    bench.no('CV_STATE_STALE', { kind: 'root.activate', step: 1 });
    bench.ok(reached('w2', 1));
    bench.ok({ kind: 'root.activate', step: 1 });
  });

  test('and one of the key ring keep out of each other, and a stale seal is refused', () => {
    const bench = rootBench();
    bench.ok(rotate);
    bench.no('CV_ROTATION_RUNNING', { kind: 'ring.rotate' });
    bench.no('CV_STATE_STALE', { ...offer, next: { ...NEXT, keyId: 2 } } as CommandBody);
    const other = rootBench();
    other.ok({ kind: 'ring.rotate' });
    other.no('CV_ROTATION_RUNNING', rotate);
  });
});
