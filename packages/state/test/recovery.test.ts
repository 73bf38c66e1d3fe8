import { beforeEach, describe, expect, test } from '@jest/globals';
import { limits } from '@conclave/kernel';
import type { CommandBody, RecoveryRow } from '../src/index.js';
import { Bench, managerFields, nodeFields, START_MS, tokenFields } from './support/bench.js';

const recovery = (mark: number): Omit<RecoveryRow, 'generation'> => ({
  publicKey: Uint8Array.of(mark),
  threshold: 0,
  shareHashes: [],
});
const stage = (mark: number): CommandBody => ({ kind: 'recovery.stage', recovery: recovery(mark) });
const sealed = (id: string, generation: number): CommandBody => ({
  kind: 'recovery.sealed',
  id,
  generation,
});
const confirm = (generation: number): CommandBody => ({ kind: 'recovery.confirm', generation });

let bench: Bench;

beforeEach(() => {
  bench = new Bench();
  for (const body of [stage(1), sealed('m1', 1), confirm(1)]) bench.no('CV_NOT_INITIALIZED', body);
  bench.ok({
    kind: 'cluster.create',
    cluster: {
      id: 'cluster',
      createdAtMs: START_MS,
      epoch: 1,
      rootCertificate: Uint8Array.of(1),
      rootKeySealed: Uint8Array.of(2),
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
      recovery: { generation: 1, ...recovery(1) },
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
      ...nodeFields('m1', { hostname: 'one', manager: managerFields(1) }),
      role: 'manager',
      wantedRole: 'manager',
      waiting: undefined,
      tokenId: '',
    },
  });
  bench.ok({ kind: 'token.create', token: tokenFields('t', { role: 'manager', usesLeft: 5 }) });
});

const joinManager = (id: string, raftId: number): void => {
  const node = nodeFields(id, { hostname: `host-${id}`, manager: managerFields(raftId) });
  bench.ok({ kind: 'node.join', tokenId: 't', node });
};

describe('a new recovery key', () => {
  test('is in force once every manager has sealed to it and its owner has confirmed', () => {
    joinManager('m2', 2);
    bench.ok(stage(2));
    bench.no('CV_RECOVERY_PENDING', confirm(2));
    bench.ok(sealed('m2', 2));
    bench.no('CV_RECOVERY_PENDING', confirm(2));
    bench.ok(sealed('m1', 2));
    bench.ok(confirm(2));
    expect(bench.state.cluster()).toMatchObject({
      recovery: { generation: 2, publicKey: Uint8Array.of(2) },
      stagedRecovery: undefined,
      stagedRecoveryBy: [],
      oldRecoveryOn: ['m1', 'm2'],
    });
    // A repetition, of whichever step, changes nothing.
    const before = bench.state.cluster();
    bench.ok(confirm(2));
    expect(bench.state.cluster()).toEqual(before);
  });

  test('ends the one before only when every manager has said so', () => {
    joinManager('m2', 2);
    bench.ok(stage(2));
    bench.ok(sealed('m1', 2));
    bench.ok(sealed('m2', 2));
    expect(bench.state.managersWithOldRecovery()).toEqual([]);
    bench.ok(confirm(2));
    expect(bench.state.managersWithOldRecovery()).toEqual(['one', 'host-m2']);
    bench.ok(sealed('m1', 2));
    // What was said of an earlier one, or is said again, counts for nothing.
    for (const body of [sealed('m2', 1), sealed('m1', 2)]) bench.ok(body);
    expect(bench.state.managersWithOldRecovery()).toEqual(['host-m2']);
    // Who is there only since then never had the one before.
    joinManager('m3', 3);
    expect(bench.state.managersWithOldRecovery()).toEqual(['host-m2']);
    bench.ok({ kind: 'node.remove', id: 'm2', force: true });
    expect(bench.state.managersWithOldRecovery()).toEqual([]);
  });

  test('waits for a manager that joins meanwhile', () => {
    bench.ok(stage(2));
    bench.ok(sealed('m1', 2));
    joinManager('m2', 2);
    bench.no('CV_RECOVERY_PENDING', confirm(2));
    bench.ok(sealed('m2', 2));
    bench.ok(confirm(2));
  });

  test('gives up one that was staged before, whose late reports count for nothing', () => {
    bench.ok(stage(2));
    bench.ok(stage(3));
    bench.ok(sealed('m1', 2));
    bench.no('CV_RECOVERY_PENDING', confirm(2));
    bench.no('CV_RECOVERY_PENDING', confirm(3));
    expect(bench.state.cluster()?.recovery.generation).toBe(1);
    bench.ok(sealed('m1', 3));
    bench.ok(confirm(3));
    bench.ok(stage(4));
    expect(bench.state.cluster()?.stagedRecovery?.generation).toBe(4);
  });

  test('cannot be confirmed when none is staged', () => {
    bench.no('CV_RECOVERY_PENDING', confirm(2));
  });
});
