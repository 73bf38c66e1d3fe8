import { beforeAll, describe, expect, test } from '@jest/globals';
import fc from 'fast-check';

import { generateNodeKey, identityOf, verifyChain } from '../src/index.js';
import type { CreatedRoot } from '../src/index.js';
import { crooked } from './crooked.js';
import type { Crookedness } from './crooked.js';
import {
  ADMIN,
  CLUSTER,
  HOUR_MS,
  issue,
  MANAGER,
  newRoot,
  NODE,
  NOW,
  refusal,
  WORKER,
} from './support.js';

let root: CreatedRoot;
beforeAll(async () => {
  root = await newRoot();
});

function verify(
  leafDer: Uint8Array,
  options: { rootDer?: Uint8Array; now?: number; usage?: 'server' | 'client'; grace?: number } = {},
): unknown {
  const { rootDer = root.certificateDer, now = NOW, usage = 'client', grace = 0 } = options;
  return verifyChain({ leafDer, rootDer, now, usage, expiredGraceMs: grace });
}

describe('time', () => {
  test('the leaf must have begun and not ended, to the second', async () => {
    const { der } = await issue(root, WORKER);
    const [from, to] = [NOW - 600_000, NOW + HOUR_MS];
    expect(await refusal(() => verify(der, { now: from - 1 }))).toBe('CV_CERTIFICATE_EXPIRED');
    expect(verify(der, { now: from })).toBeDefined();
    expect(verify(der, { now: to })).toBeDefined();
    expect(await refusal(() => verify(der, { now: to + 1 }))).toBe('CV_CERTIFICATE_EXPIRED');
  });

  test('recovery accepts an expired leaf for its grace only', async () => {
    const { der } = await issue(root, WORKER);
    const now = NOW + HOUR_MS + 5000;
    expect(verify(der, { now, grace: 5000 })).toBeDefined();
    expect(await refusal(() => verify(der, { now, grace: 4999 }))).toBe('CV_CERTIFICATE_EXPIRED');
  });

  test('a root outside its time refuses every leaf', async () => {
    const { der } = await issue(root, WORKER, { notAfter: NOW + 3650 * 24 * HOUR_MS });
    const now = NOW + 3653 * 24 * HOUR_MS;
    expect(await refusal(() => verify(der, { now, grace: 1e12 }))).toBe('CV_CERTIFICATE_EXPIRED');
  });
});

describe('issuer', () => {
  test('a foreign root of the same cluster id is refused', async () => {
    const foreign = await newRoot();
    const { der } = await issue(foreign, MANAGER);
    expect(await refusal(() => verify(der))).toBe('CV_CA_MISMATCH');
  });

  test('a root of another cluster is refused', async () => {
    const other = await newRoot('other');
    const { der } = await issue(other, MANAGER, { clusterId: 'other' });
    expect(await refusal(() => verify(der))).toBe('CV_CA_MISMATCH');
  });

  test('a leaf is not its own root, and a root is not a leaf', async () => {
    const { der } = await issue(root, MANAGER);
    expect(await refusal(() => verify(der, { rootDer: der }))).toBe('CV_UNAUTHENTICATED');
    expect(await refusal(() => identityOf(root.certificateDer))).toBe('CV_UNAUTHENTICATED');
    expect(await refusal(() => verify(root.certificateDer))).toBe('CV_UNAUTHENTICATED');
  });

  test('no part of a leaf can be changed', async () => {
    const { der } = await issue(root, MANAGER);
    const codes = ['CV_CA_MISMATCH', 'CV_UNAUTHENTICATED'];
    for (let offset = 0; offset < der.length; offset += 5) {
      const changed = Uint8Array.from(der);
      changed[offset] = (changed[offset] ?? 0) ^ 1;
      expect(codes).toContain(await refusal(() => verify(changed)));
    }
  });
});

describe('usage', () => {
  test.each([
    ['worker', WORKER],
    ['admin', ADMIN],
  ])('the certificate of a %s is no server', async (_, subject) => {
    const { der } = await issue(root, subject);
    expect(await refusal(() => verify(der, { usage: 'server' }))).toBe('CV_UNAUTHENTICATED');
  });

  test('that of a manager is both', async () => {
    const { der } = await issue(root, MANAGER);
    expect(verify(der, { usage: 'server' })).toEqual(verify(der, { usage: 'client' }));
  });
});

describe('profile', () => {
  const named = (...words: string[]): { [name: string]: string[] }[] =>
    words.map((word, offset) => ({ [['O', 'OU', 'CN'][offset] ?? 'L']: [word] }));

  test('the crooked ones are refused for what is crooked only', async () => {
    expect(verify(await crooked(root, {}))).toBeDefined();
  });

  test.each<[string, Crookedness]>([
    ['a subject of another cluster', { subject: named('other', 'worker', NODE) }],
    ['a subject that says more', { subject: named(CLUSTER, 'worker', NODE, 'Berlin') }],
    ['a subject that says less', { subject: named(CLUSTER, 'worker') }],
    ['a subject of an unknown role', { subject: named(CLUSTER, 'root', NODE) }],
    ['a subject with a line end', { subject: named(CLUSTER, 'worker', `${NODE}\nCN=x`) }],
    ['a role that its usage denies', { subject: named(CLUSTER, 'manager', NODE) }],
    ['names of another node', { names: { role: 'worker', id: 'other', clusterId: CLUSTER } }],
    ['names of another role', { names: { role: 'manager', id: NODE, clusterId: CLUSTER } }],
    ['names of another cluster', { names: { role: 'worker', id: NODE, clusterId: 'other' } }],
    ['a key of another curve', { curve: 'P-384' }],
  ])('%s is refused', async (_, change) => {
    expect(await refusal(async () => verify(await crooked(root, change)))).toBe(
      'CV_UNAUTHENTICATED',
    );
  });
});

describe('bytes', () => {
  test('nothing may follow the certificate, and PEM is no DER', async () => {
    const { der } = await issue(root, WORKER);
    const long = Uint8Array.of(...der, 0);
    expect(await refusal(() => verify(long))).toBe('CV_UNAUTHENTICATED');
    const pem = `-----BEGIN CERTIFICATE-----\n${Buffer.from(der).toString('base64')}\n-----END CERTIFICATE-----\n`;
    const text = new TextEncoder().encode(pem);
    expect(await refusal(() => verify(text))).toBe('CV_UNAUTHENTICATED');
    expect(await refusal(() => verify(new Uint8Array(100_000)))).toBe('CV_UNAUTHENTICATED');
  });

  test('garbage is refused, never a crash', async () => {
    await fc.assert(
      fc.asyncProperty(fc.uint8Array({ maxLength: 300 }), async (bytes) => {
        expect(await refusal(() => identityOf(bytes))).toBe('CV_UNAUTHENTICATED');
      }),
    );
  });
});

test('a key pair per call', () => {
  expect(generateNodeKey().spkiDer).not.toEqual(generateNodeKey().spkiDer);
});
