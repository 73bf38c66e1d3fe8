import { describe, expect, test } from '@jest/globals';
import type { CommandBody } from '../src/index.js';
import { Bench, managerFields, nodeFields, tokenFields, valueBytes } from './support/bench.js';
import { sampleCommands } from './support/samples.js';

const COMMITMENT = valueBytes(9, 32);

/** A cluster of managers m1 (the founder) and m2 that hold generation 1 of the ring. */
function ringBench(): Bench {
  const bench = new Bench();
  const [create] = sampleCommands();
  if (create?.kind !== 'cluster.create') throw new Error('the first sample makes a cluster');
  bench.ok({ ...create, node: { ...create.node, id: 'm1' } });
  bench.ok({ kind: 'token.create', token: tokenFields('tm', { role: 'manager' }) });
  const manager = managerFields(2);
  bench.ok({ kind: 'node.join', tokenId: 'tm', node: nodeFields('m2', { manager }) });
  bench.set('a', 1);
  bench.set('a', 2);
  bench.set('b', 3);
  return bench;
}

const holds = (id: string, ringGeneration: number): CommandBody => ({
  kind: 'node.membership',
  id,
  membership: undefined,
  ringGeneration,
});
const rewrap = (
  bench: Bench,
  names: readonly string[],
  rest: Partial<CommandBody & { kind: 'ring.rewrap' }> = {},
): CommandBody => ({
  kind: 'ring.rewrap',
  keyId: 2,
  versions: names.map((name) => {
    const [secret = '', version = '1'] = name.split('@');
    const secretId = bench.state.secretByName(secret)?.id ?? 'gone';
    const moved = { wrappedDek: valueBytes(50, 90), digest: valueBytes(51, 32) };
    return { secretId, version: Number(version), ...moved };
  }),
  rootKeySealed: undefined,
  ...rest,
});

function spreading(): Bench {
  const bench = ringBench();
  bench.ok({ kind: 'ring.rotate' });
  bench.ok({ kind: 'ring.offer', keyId: 2, commitment: COMMITMENT });
  return bench;
}

function rewrapping(): Bench {
  const bench = spreading();
  for (const id of ['m1', 'm2']) bench.ok(holds(id, 2));
  bench.ok({ kind: 'ring.activate', keyId: 2 });
  return bench;
}

describe('a rotation of the key ring', () => {
  test('goes from phase to phase and ends with one version that everything is under', () => {
    const bench = ringBench();
    bench.ok({ kind: 'ring.rotate' });
    expect(bench.state.cluster()?.ringRotation).toMatchObject({ phase: 'offering', keyId: 0 });
    bench.ok({ kind: 'ring.offer', keyId: 2, commitment: COMMITMENT });
    const offered = { phase: 'spreading', keyId: 2, commitment: COMMITMENT, generation: 2 };
    expect(bench.state.cluster()?.ringRotation).toMatchObject(offered);
    expect(bench.state.managersWithoutRing(2)).toEqual(['host-m', 'host-m2']);
    bench.no('CV_STATE_STALE', { kind: 'ring.activate', keyId: 2 });
    bench.ok(holds('m1', 2));
    expect(bench.state.managersWithoutRing(2)).toEqual(['host-m2']);
    bench.no('CV_STATE_STALE', { kind: 'ring.activate', keyId: 2 });
    bench.ok(holds('m2', 2));
    bench.ok({ kind: 'ring.activate', keyId: 2 });
    expect(bench.state.cluster()).toMatchObject({ ringKeyId: 2, ringGeneration: 2, rootKeyId: 1 });
    expect(bench.state.countOtherKeys(2)).toBe(3);
    bench.no('CV_STATE_STALE', { kind: 'ring.retire', keyId: 2 });
    bench.ok(rewrap(bench, ['a@1', 'a@2', 'b@1']));
    expect(bench.state.countOtherKeys(2)).toBe(0);
    bench.no('CV_STATE_STALE', { kind: 'ring.retire', keyId: 2 });
    bench.ok(rewrap(bench, [], { rootKeySealed: Uint8Array.of(6) }));
    bench.ok({ kind: 'ring.retire', keyId: 2 });
    expect(bench.state.cluster()?.ringRotation).toMatchObject({ phase: 'retiring', generation: 3 });
    bench.ok(holds('m1', 3));
    bench.no('CV_STATE_STALE', { kind: 'ring.finish', keyId: 2 });
    bench.ok(holds('m2', 3));
    bench.ok({ kind: 'ring.finish', keyId: 2 });
    expect(bench.state.cluster()).toMatchObject({
      ringKeyId: 2,
      rootKeyId: 2,
      ringGeneration: 3,
      ringRotation: undefined,
      rootKeySealed: Uint8Array.of(6),
    });
  });

  test('comes one at a time, and a step out of order changes nothing', () => {
    const bench = ringBench();
    bench.no('CV_STATE_STALE', { kind: 'ring.offer', keyId: 2, commitment: COMMITMENT });
    bench.no('CV_STATE_STALE', { kind: 'ring.finish', keyId: 1 });
    bench.ok({ kind: 'ring.rotate' });
    bench.no('CV_ROTATION_RUNNING', { kind: 'ring.rotate' });
    bench.no('CV_STATE_STALE', { kind: 'ring.activate', keyId: 0 });
    bench.no('CV_STATE_STALE', { kind: 'ring.offer', keyId: 1, commitment: COMMITMENT });
    bench.ok({ kind: 'ring.offer', keyId: 2, commitment: COMMITMENT });
    bench.no('CV_STATE_STALE', rewrap(bench, ['a']));
    bench.no('CV_STATE_STALE', { kind: 'ring.retire', keyId: 2 });
  });

  test('an offer that was lost is replaced by a newer one, until it is in use', () => {
    const bench = spreading();
    bench.ok(holds('m1', 2));
    bench.no('CV_STATE_STALE', { kind: 'ring.offer', keyId: 2, commitment: valueBytes(1, 32) });
    bench.ok({ kind: 'ring.offer', keyId: 3, commitment: valueBytes(1, 32) });
    expect(bench.state.cluster()?.ringRotation).toMatchObject({ keyId: 3, generation: 3 });
    // What was held of the lost one does not count.
    bench.ok(holds('m2', 3));
    bench.no('CV_STATE_STALE', { kind: 'ring.activate', keyId: 3 });
    bench.ok(holds('m1', 3));
    bench.no('CV_STATE_STALE', { kind: 'ring.activate', keyId: 2 });
    bench.ok({ kind: 'ring.activate', keyId: 3 });
    bench.no('CV_STATE_STALE', { kind: 'ring.offer', keyId: 4, commitment: COMMITMENT });
  });

  test('a manager on its way out is not waited for', () => {
    const bench = spreading();
    bench.ok(holds('m1', 2));
    const leaving = { membership: 'removing', ringGeneration: undefined } as const;
    bench.ok({ kind: 'node.membership', id: 'm2', ...leaving });
    bench.ok({ kind: 'ring.activate', keyId: 2 });
  });
});

describe('a value', () => {
  test('sealed under another version than the current one has to be sealed again', () => {
    const bench = rewrapping();
    const late = bench.setCommand('c', 7);
    const old = { ...late, sealed: { ...late.sealed, keyId: 1 } };
    expect(bench.no('CV_VERSION_STALE', old).details).toMatchObject({ retry: true, version: 1 });
    bench.ok(late);
    expect(bench.state.countOtherKeys(2)).toBe(3);
  });

  test('keeps everything but its data key and its digest; nobody has read something old', () => {
    const bench = rewrapping();
    const before = bench.state.secretByName('a');
    const id = before?.id ?? '';
    const version = bench.state.secretVersion(id, 2);
    bench.ok(rewrap(bench, ['a@2']));
    expect(bench.state.secretByName('a')).toEqual(before);
    expect(bench.state.secretVersion(id, 2)).toEqual({
      ...version,
      digest: valueBytes(51, 32),
      sealed: { ...version?.sealed, keyId: 2, wrappedDek: valueBytes(50, 90) },
    });
    expect(bench.state.secretHistory(id)).toHaveLength(2);
  });

  test('that is gone, destroyed or moved already is skipped', () => {
    const bench = rewrapping();
    const id = bench.state.secretByName('a')?.id ?? '';
    bench.ok({ kind: 'secret.destroy-version', id, version: 1, force: false });
    bench.ok({ kind: 'secret.remove', id: bench.state.secretByName('b')?.id ?? '' });
    bench.ok(rewrap(bench, ['a@1', 'a@2', 'b@1', 'a@9']));
    expect(bench.state.countOtherKeys(2)).toBe(0);
    const digest = bench.state.digest();
    bench.ok(rewrap(bench, ['a@2']));
    expect(bench.state.digest()).toBe(digest);
  });
});
