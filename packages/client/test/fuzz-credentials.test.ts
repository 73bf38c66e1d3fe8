import { beforeAll, describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { isConclaveError } from '@conclave/kernel';
import { createRoot, generateNodeKey, identityOf, isKeyOf, issueCertificate } from '@conclave/pki';
import { openSealed, SecretBytes } from '@conclave/sealed';
import { DAMAGE_KINDS, damaged, decodeHostile, FUZZ_RUNS } from '@conclave/testing';
import { createAdminKey, decodeCredentials, decodeRequest, encodeRequest } from '../src/index.js';
import { encodeCredentials, encodeGrant } from '../src/index.js';
import type { AdminCredentials } from '../src/index.js';

const CLUSTER_ID = 'caaaaaaaaaaaaaaaaaaaaaaaaa';
const NOW_MS = Date.UTC(2026, 0, 1);
const damages = fc.array(
  fc.record({
    kind: fc.constantFrom(...DAMAGE_KINDS),
    at: fc.nat(),
    value: fc.integer({ min: 0, max: 255 }),
  }),
  { minLength: 1, maxLength: 4 },
);
const refusedWith =
  (code: string) =>
  (error: unknown): boolean =>
    isConclaveError(error) && error.code === code;

let credentials: AdminCredentials;

beforeAll(async () => {
  await openSealed();
  const root = await createRoot({
    clusterId: CLUSTER_ID,
    now: NOW_MS,
    random: { bytes: (count) => new Uint8Array(count).fill(3), below: () => 0 },
  });
  const key = generateNodeKey();
  const certificateDer = await issueCertificate({
    rootDer: root.certificateDer,
    rootPrivateKey: root.privateKeyPkcs8,
    clusterId: CLUSTER_ID,
    subject: { kind: 'admin', id: 'ann' },
    spkiDer: key.spkiDer,
    serial: new Uint8Array(16).fill(1),
    notBefore: NOW_MS,
    notAfter: NOW_MS + 3_600_000,
  });
  credentials = {
    clusterId: CLUSTER_ID,
    name: 'ann',
    roles: ['viewer'],
    addresses: ['10.0.0.1:7420'],
    certificateDer,
    rootsDer: [root.certificateDer],
    privateKey: SecretBytes.take(key.privateKeyPem),
  };
});

const bytesOf = (secret: SecretBytes): Uint8Array => secret.use((view) => view.slice());

/** Nothing checks the signature here: the managers do. Everything else fits together. */
function expectFit(read: AdminCredentials): void {
  const { kind, clusterId } = identityOf(read.certificateDer);
  expect({ kind, clusterId }).toEqual({ kind: 'admin', clusterId: read.clusterId });
  expect(read.privateKey.use((pem) => isKeyOf(pem, read.certificateDer))).toBe(true);
  for (const list of [read.roles, read.addresses]) {
    expect(list.every((word) => typeof word === 'string')).toBe(true);
  }
  expect(read.rootsDer.length).toBeGreaterThan(0);
}

describe('hostile bytes instead of', () => {
  test('the file of a context', () => {
    const valid = bytesOf(encodeCredentials(credentials));
    fc.assert(
      fc.property(damages, fc.uint8Array({ maxLength: 300 }), (how, invented) => {
        for (const bytes of [damaged(valid, how), invented]) {
          const read = decodeHostile(
            () => decodeCredentials(SecretBytes.take(Uint8Array.from(bytes))),
            refusedWith('CV_CONTEXT_INVALID'),
          );
          if (read === undefined) continue;
          expectFit(read);
        }
      }),
      { numRuns: FUZZ_RUNS },
    );
  });

  test('what an administrator is granted on request', () => {
    const valid = Buffer.from(encodeGrant(credentials));
    fc.assert(
      fc.property(damages, (how) => {
        const bytes = SecretBytes.take(damaged(valid, how));
        const own = credentials.privateKey;
        const read = decodeHostile(
          () => decodeCredentials(bytes, own),
          refusedWith('CV_CONTEXT_INVALID'),
        );
        if (read !== undefined) expectFit(read);
      }),
      { numRuns: FUZZ_RUNS },
    );
  });

  test('a request for a certificate', () => {
    const valid = Buffer.from(encodeRequest(createAdminKey('ann').proven));
    fc.assert(
      fc.property(damages, fc.string({ unit: 'binary' }), (how, invented) => {
        for (const text of [Buffer.from(damaged(valid, how)).toString(), invented]) {
          const read = decodeHostile(() => decodeRequest(text), refusedWith('CV_ARGUMENT_INVALID'));
          if (read === undefined) continue;
          expect(read.publicKey).toBeInstanceOf(Uint8Array);
          expect(read.proof).toBeInstanceOf(Uint8Array);
        }
      }),
      { numRuns: FUZZ_RUNS },
    );
  });
});
