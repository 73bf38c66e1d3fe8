import { createHash, X509Certificate } from 'node:crypto';

import { beforeAll, describe, expect, test } from '@jest/globals';
import { toHex } from '@conclave/kernel';

import {
  CERTIFICATE_SKEW_MS,
  createRoot,
  generateNodeKey,
  identityOf,
  ROOT_LIFE_MS,
  rootPin,
  verifyChain,
} from '../src/index.js';
import type { CertificateSubject, CreatedRoot } from '../src/index.js';
import {
  ADMIN,
  CLUSTER,
  HOUR_MS,
  issue,
  MANAGER,
  newRoot,
  NODE,
  NOW,
  random,
  refusal,
  WORKER,
} from './support.js';

let root: CreatedRoot;
beforeAll(async () => {
  root = await newRoot();
});

describe('root', () => {
  test('its pin is the hash of its public key info', () => {
    const { publicKey } = new X509Certificate(root.certificateDer);
    const spki = publicKey.export({ type: 'spki', format: 'der' });
    const expected = createHash('sha256').update(spki).digest('hex');
    expect(toHex(root.pin)).toBe(expected);
    expect(rootPin(root.certificateDer)).toEqual(root.pin);
  });

  test('lives ten years from ten minutes ago', () => {
    const { validFrom, validTo, ca } = new X509Certificate(root.certificateDer);
    expect(Date.parse(validFrom)).toBe(NOW - CERTIFICATE_SKEW_MS);
    expect(Date.parse(validTo)).toBe(NOW + ROOT_LIFE_MS);
    expect(ca).toBe(true);
  });

  test('two roots share nothing', async () => {
    const other = await newRoot();
    expect(other.pin).not.toEqual(root.pin);
    expect(other.privateKeyPkcs8).not.toEqual(root.privateKeyPkcs8);
  });

  test('its private key owns its memory, so that it can be wiped', () => {
    expect(root.privateKeyPkcs8.byteLength).toBe(root.privateKeyPkcs8.buffer.byteLength);
  });

  test('a leaf is no root', async () => {
    const { der } = await issue(root, MANAGER);
    expect(await refusal(() => rootPin(der))).toBe('CV_UNAUTHENTICATED');
  });

  test.each(['', 'Upper', 'a b', 'a.b', 'a/b', '-a', 'a'.repeat(64)])(
    'the cluster id %p is refused',
    async (clusterId) => {
      expect(await refusal(() => createRoot({ clusterId, now: NOW, random }))).toBe(
        'CV_ARGUMENT_INVALID',
      );
    },
  );
});

describe('leaf', () => {
  const cases: [string, CertificateSubject, string][] = [
    ['manager', MANAGER, `URI:conclave://${CLUSTER}/node/${NODE}, DNS:manager.${CLUSTER}.internal`],
    ['worker', WORKER, `URI:conclave://${CLUSTER}/node/${NODE}`],
    ['admin', ADMIN, `URI:conclave://${CLUSTER}/admin/alice`],
  ];

  test.each(cases)('of a %s carries the names of the profile', async (role, subject, names) => {
    const { der } = await issue(root, subject);
    const certificate = new X509Certificate(der);
    expect(certificate.subjectAltName).toBe(names);
    expect(certificate.subject).toBe(`O=${CLUSTER}\nOU=${role}\nCN=${subject.id}`);
    expect(certificate.ca).toBe(false);
    const client = '1.3.6.1.5.5.7.3.2';
    expect(certificate.keyUsage).toEqual(
      role === 'manager' ? ['1.3.6.1.5.5.7.3.1', client] : [client],
    );
  });

  test.each(cases)('of a %s reads back as its identity', async (role, subject) => {
    const key = generateNodeKey();
    const serial = Uint8Array.of(0, 0, ...random.bytes(14));
    const { der } = await issue(root, subject, { key, serial });
    const expected = {
      clusterId: CLUSTER,
      kind: subject.kind,
      id: subject.id,
      role,
      serial: toHex(serial),
      notBeforeMs: NOW - CERTIFICATE_SKEW_MS,
      notAfterMs: NOW + HOUR_MS,
      spkiHash: new Uint8Array(createHash('sha256').update(key.spkiDer).digest()),
    };
    expect(identityOf(der)).toEqual(expected);
    const chain = { leafDer: der, rootDer: root.certificateDer, now: NOW };
    expect(verifyChain({ ...chain, usage: 'client' })).toEqual(expected);
  });

  test('a serial with its highest bit set keeps its 128 bits', async () => {
    const serial = new Uint8Array(16).fill(255);
    const { der } = await issue(root, WORKER, { serial });
    expect(identityOf(der).serial).toBe('ff'.repeat(16));
  });

  test.each([
    ['short serial', { serial: new Uint8Array(15).fill(1) }],
    ['empty span', { notAfter: NOW }],
    ['end that is no number', { notAfter: Number.NaN }],
    ['end behind the root', { notAfter: NOW + ROOT_LIFE_MS + 1000 }],
    ['other cluster', { clusterId: 'other' }],
    ['malformed cluster', { clusterId: 'a.b' }],
  ])('a %s is refused', async (_, options) => {
    expect(await refusal(() => issue(root, WORKER, options))).toBe('CV_ARGUMENT_INVALID');
  });

  test.each(['', 'a,CN=b', 'a\nOU=manager', '../x', 'ä'])('the id %p is refused', async (id) => {
    const work = (): unknown => issue(root, { kind: 'node', role: 'worker', id });
    expect(await refusal(work)).toBe('CV_ARGUMENT_INVALID');
    expect(await refusal(() => issue(root, { kind: 'admin', id }))).toBe('CV_ARGUMENT_INVALID');
  });
});
