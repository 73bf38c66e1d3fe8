import { beforeAll, describe, expect, test } from '@jest/globals';

import { crossSign, isCrossSigned, isIssuedBy, reachedRoots, verifyChain } from '../src/index.js';
import type { CreatedRoot } from '../src/index.js';
import { issue, MANAGER, newRoot, NOW, random, refusal, WORKER } from './support.js';

let older: CreatedRoot;
let newer: CreatedRoot;
let cross: Uint8Array;

function certify(root: CreatedRoot, by: CreatedRoot): Promise<Uint8Array> {
  const { certificateDer: byDer, privateKeyPkcs8: byPrivateKey } = by;
  return crossSign({ byDer, byPrivateKey, rootDer: root.certificateDer, random });
}

beforeAll(async () => {
  [older, newer] = await Promise.all([newRoot(), newRoot()]);
  cross = await certify(newer, older);
});

describe('a root that another one has certified', () => {
  test('leads who trusts the older root to leaves under the newer one', async () => {
    const { der: leafDer } = await issue(newer, MANAGER);
    const asked = { leafDer, now: NOW, usage: 'server' } as const;
    const rootDer = older.certificateDer;
    expect(await refusal(() => verifyChain({ ...asked, rootDer }))).toBe('CV_CA_MISMATCH');
    expect(verifyChain({ ...asked, rootDer, crossDer: cross })).toMatchObject({ role: 'manager' });
    expect(isIssuedBy(leafDer, cross)).toBe(true);
    expect(isIssuedBy(leafDer, rootDer)).toBe(false);
  });

  test('leads nobody the other way, and not to leaves of the older root', async () => {
    const { der: leafDer } = await issue(older, WORKER);
    const asked = { leafDer, now: NOW, usage: 'client' } as const;
    for (const root of [older, newer]) {
      const chain = { ...asked, rootDer: root.certificateDer, crossDer: cross };
      expect(await refusal(() => verifyChain(chain))).toBe('CV_CA_MISMATCH');
    }
  });

  test('is known by both keys', async () => {
    const [old, next] = [older.certificateDer, newer.certificateDer];
    const foreign = await newRoot();
    expect(isCrossSigned(cross, old, next)).toBe(true);
    expect(isCrossSigned(cross, next, old)).toBe(false);
    expect(isCrossSigned(cross, foreign.certificateDer, next)).toBe(false);
    expect(isCrossSigned(cross, old, foreign.certificateDer)).toBe(false);
    expect(isCrossSigned(new Uint8Array(0), old, next)).toBe(false);
    expect(isCrossSigned(next, next, next)).toBe(true);
    expect(isCrossSigned(await certify(newer, foreign), old, next)).toBe(false);
  });

  test('is reached over the ones in between, in their order and from a known one only', async () => {
    const newest = await newRoot();
    const crossesDer = [cross, await certify(newest, newer)];
    const rootsDer = [newest.certificateDer];
    const known = [older.certificateDer];
    expect(reachedRoots(known, { rootsDer, crossesDer })).toEqual(rootsDer);
    expect(reachedRoots([newer.certificateDer], { rootsDer, crossesDer })).toEqual(rootsDer);
    expect(reachedRoots(rootsDer, { rootsDer: [...rootsDer, ...known], crossesDer })).toEqual(
      rootsDer,
    );
    for (const missing of [
      [],
      [cross],
      [crossesDer[1] ?? cross],
      [crossesDer[1] ?? cross, cross],
    ]) {
      expect(reachedRoots(known, { rootsDer, crossesDer: missing })).toEqual([]);
    }
    const foreign = await newRoot();
    const forged = [await certify(foreign, newest), Uint8Array.of(1), ...crossesDer];
    const offered = { rootsDer: [foreign.certificateDer, ...rootsDer], crossesDer: forged };
    expect(reachedRoots(known, offered)).toEqual(rootsDer);
  });

  test('is never made between two clusters', async () => {
    const foreign = await newRoot('clusterbbbbbbbbbbbbbbbbbbb');
    expect(await refusal(() => certify(foreign, older))).toBe('CV_ARGUMENT_INVALID');
  });
});
