import { describe, expect, test } from '@jest/globals';
import type { CommandBody } from '../src/index.js';
import { limits } from '@conclave/kernel';
import {
  adminFields,
  Bench,
  managerFields,
  nodeFields,
  START_MS,
  tokenFields,
} from './support/bench.js';
import { sampleCommands } from './support/samples.js';

const NEXT = { certificate: Uint8Array.of(21), keySealed: Uint8Array.of(22), keyId: 1 };
const CROSS = Uint8Array.of(23);
const ROOT_BEFORE = Uint8Array.of(1, 2, 3);
const rotate: CommandBody = { kind: 'root.rotate', distrustsFormer: false };
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
      expect(bench.state.nodesBehindRoot(1, 0)).toContain(`host-${id}`);
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

describe('nodes that are off while the root is replaced', () => {
  const END_MS = START_MS + 1_000_000;
  const certificateOf = (id: string, root = 1, notAfterMs = END_MS) => ({
    serial: `cert-${id}`,
    notBeforeMs: 0,
    notAfterMs,
    publicKeyHash: `key-${id}`,
    root,
  });

  /** As {@link rootBench}, with the worker `off` and the manager `down`, both until END_MS. */
  function offBench(): Bench {
    const bench = rootBench();
    const certificate = certificateOf('off');
    bench.ok({ kind: 'node.join', tokenId: 'tw', node: nodeFields('off', { certificate }) });
    return bench;
  }

  /** All but `off` take the steps until the one before is dropped everywhere. */
  function rotateWithout(bench: Bench, from: number): void {
    const serial = (id: string): string => bench.state.nodeById(id)?.certificate.serial ?? '';
    const step = (): number => bench.state.cluster()?.rootStep ?? 0;
    bench.ok({
      ...offer,
      next: { ...NEXT, certificate: Uint8Array.of(100 + from) },
    } as CommandBody);
    for (const id of NODES) bench.ok(reached(id, step(), serial(id)));
    bench.ok({ kind: 'root.activate', step: step() });
    for (const id of NODES) {
      const certificate = { ...certificateOf(id, from + 1, 2e15), serial: `${from}-${id}` };
      const usedSerial = serial(id);
      bench.ok({ kind: 'node.renew', id, usedSerial, certificate, previousUntilMs: 3e15 });
      bench.ok(reached(id, step(), serial(id)));
    }
    bench.ok({ kind: 'root.drop', step: step() });
    for (const id of NODES) bench.ok(reached(id, step(), serial(id)));
    bench.ok({ kind: 'root.finish', step: step() });
  }

  test('a worker is waited for until its certificate has ended, a manager longer', () => {
    const bench = offBench();
    const manager = managerFields(3);
    const down = nodeFields('down', { manager, certificate: certificateOf('down') });
    bench.ok({ kind: 'node.join', tokenId: 'tm', node: down });
    bench.ok(rotate);
    bench.ok(offer);
    for (const id of NODES) bench.ok(reached(id, 1));
    bench.no('CV_STATE_STALE', { kind: 'root.activate', step: 1 }, { atMs: END_MS });
    expect(bench.state.nodesBehindRoot(1, END_MS)).toEqual(['host-off', 'host-down']);
    bench.no('CV_STATE_STALE', { kind: 'root.activate', step: 1 }, { atMs: END_MS + 1 });
    expect(bench.state.nodesBehindRoot(1, END_MS + 1)).toEqual(['host-down']);
    bench.ok({ kind: 'node.membership', id: 'down', membership: 'removing', ringGeneration: 0 });
    bench.ok({ kind: 'root.activate', step: 1 }, { atMs: END_MS + 1 });
  });

  test('it keeps what it comes back with, and is waited for again once it is back', () => {
    const bench = offBench();
    const newer = { ...certificateOf('off'), serial: 'newer-off' };
    const renewal = { kind: 'node.renew', id: 'off', previousUntilMs: END_MS } as const;
    bench.ok({ ...renewal, usedSerial: 'cert-off', certificate: newer });
    bench.atMs = END_MS + 1;
    bench.ok(rotate);
    rotateWithout(bench, 1);
    expect(bench.state.nodeById('off')).toMatchObject({
      certificate: { serial: 'newer-off', root: 1 },
      previousCertificate: { serial: 'cert-off' },
    });
    const next = { ...certificateOf('off', 2, 2e15), serial: 'back' };
    bench.ok({ ...renewal, usedSerial: 'cert-off', certificate: next });
    bench.ok(rotate);
    bench.ok(offer);
    expect(bench.state.nodesBehindRoot(4, bench.atMs)).toContain('host-off');
  });

  test('roots that were replaced are kept, each with what leads to the next, the newest few', () => {
    const bench = offBench();
    bench.atMs = END_MS + 1;
    const count = limits.FORMER_ROOTS_MAX + 1;
    for (let from = 1; from <= count; from += 1) {
      bench.ok(rotate);
      rotateWithout(bench, from);
    }
    const kept = bench.state.cluster()?.formerRoots ?? [];
    const generations = kept.map(({ generation }) => generation);
    expect(generations).toEqual(Array.from({ length: count - 1 }, (_, place) => place + 2));
    expect(kept[0]).toEqual({
      generation: 2,
      certificate: Uint8Array.of(101),
      crossCertificate: CROSS,
    });
  });

  test('none is kept that may vouch for nobody any more, whenever that is said', () => {
    const distrust = { kind: 'root.rotate', distrustsFormer: true } as const;
    const bench = offBench();
    bench.atMs = END_MS + 1;
    bench.ok(rotate);
    rotateWithout(bench, 1);
    expect(bench.state.cluster()?.formerRoots).toHaveLength(1);
    bench.ok(distrust);
    expect(bench.state.cluster()?.formerRoots).toEqual([]);
    rotateWithout(bench, 2);
    expect(bench.state.cluster()).toMatchObject({ formerRoots: [], rootRotation: undefined });
    // Too late for the rotation under way: for the one that follows it, and for what is kept.
    const late = renewing();
    expect(late.state.cluster()?.formerRoots).toHaveLength(1);
    late.ok(distrust);
    late.ok(rotate);
    expect(late.state.cluster()).toMatchObject({
      formerRoots: [],
      rootRotation: { phase: 'renewing', isRepeated: true, distrustsFormer: true },
    });
  });

  test('a host that waits for approval is not waited for, and not approved too late', () => {
    const bench = rootBench();
    const needsApproval = true;
    bench.ok({ kind: 'token.create', token: tokenFields('ta', { needsApproval }) });
    const managing = tokenFields('tma', { needsApproval, role: 'manager' });
    bench.ok({ kind: 'token.create', token: managing });
    const manager = managerFields(3);
    const certificate = certificateOf('old');
    for (const id of ['wa', 'wb', 'wc']) {
      bench.ok({ kind: 'node.join', tokenId: 'ta', node: nodeFields(id) });
    }
    const old = nodeFields('old', { manager, certificate });
    bench.ok({ kind: 'node.join', tokenId: 'tma', node: old });
    bench.no('CV_NODE_OUTDATED', { kind: 'node.approve', id: 'old' }, { atMs: END_MS + 1 });
    bench.ok(rotate);
    bench.ok(offer);
    bench.ok({ kind: 'node.approve', id: 'wa' });
    for (const id of [...NODES, 'wa']) bench.ok(reached(id, 1));
    bench.ok({ kind: 'root.activate', step: 1 });
    // The root before is trusted yet: it follows, and is waited for.
    bench.ok({ kind: 'node.approve', id: 'wb' });
    for (const id of [...NODES, 'wa', 'wb']) {
      bench.no('CV_STATE_STALE', { kind: 'root.drop', step: 2 });
      bench.ok(renew(id, 2));
      bench.ok(reached(id, 2, `new-${id}`));
    }
    bench.ok({ kind: 'root.drop', step: 2 });
    bench.no('CV_NODE_OUTDATED', { kind: 'node.approve', id: 'wc' });
    expect(bench.state.nodeById('wc')?.waiting).toBeDefined();
  });
});
