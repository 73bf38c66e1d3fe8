import { beforeAll, describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { isConclaveError } from '@conclave/kernel';
import type { Random } from '@conclave/kernel';
import { DAMAGE_KINDS, damaged, decodeHostile, FUZZ_RUNS } from '@conclave/testing';
import {
  createRoot,
  fromPem,
  generateNodeKey,
  identityOf,
  issueCertificate,
  proveKey,
  rootPin,
  toPem,
  verifyChain,
  verifyKeyProof,
} from '../src/index.js';

const NOW = Date.UTC(2030, 0, 1);
const damages = fc.array(
  fc.record({
    kind: fc.constantFrom(...DAMAGE_KINDS),
    at: fc.nat(),
    value: fc.integer({ min: 0, max: 255 }),
  }),
  { minLength: 1, maxLength: 4 },
);
const random: Random = { bytes: (count) => new Uint8Array(count).fill(7), below: () => 0 };

const CODES = [
  'CV_UNAUTHENTICATED',
  'CV_CA_MISMATCH',
  'CV_ARGUMENT_INVALID',
  'CV_CERTIFICATE_EXPIRED',
];
const isRefusal = (error: unknown): boolean => isConclaveError(error) && CODES.includes(error.code);

let rootDer: Uint8Array;
let leafDer: Uint8Array;

beforeAll(async () => {
  const root = await createRoot({ clusterId: 'cluster', now: NOW, random });
  rootDer = root.certificateDer;
  leafDer = await issueCertificate({
    rootDer,
    rootPrivateKey: root.privateKeyPkcs8,
    clusterId: 'cluster',
    subject: { kind: 'node', role: 'manager', id: 'm1' },
    spkiDer: generateNodeKey().spkiDer,
    serial: random.bytes(16),
    notBefore: NOW,
    notAfter: NOW + 1_000_000,
  });
});

describe('hostile bytes instead of', () => {
  test('a certificate: no changed one is believed', () => {
    fc.assert(
      fc.property(damages, fc.uint8Array({ maxLength: 300 }), (how, invented) => {
        const bytes = damaged(leafDer, how);
        const verify = (der: Uint8Array): unknown =>
          verifyChain({ leafDer: der, rootDer, now: NOW, usage: 'client' });
        const believed = decodeHostile(() => verify(bytes), isRefusal);
        if (!Buffer.from(bytes).equals(leafDer)) expect(believed).toBeUndefined();
        decodeHostile(() => identityOf(bytes), isRefusal);
        decodeHostile(() => verify(invented), isRefusal);
      }),
      { numRuns: FUZZ_RUNS },
    );
  });

  test('a root', () => {
    fc.assert(
      fc.property(damages, (how) => {
        const bytes = damaged(rootDer, how);
        decodeHostile(() => rootPin(bytes), isRefusal);
        decodeHostile(
          () => verifyChain({ leafDer, rootDer: bytes, now: NOW, usage: 'client' }),
          isRefusal,
        );
      }),
      { numRuns: FUZZ_RUNS },
    );
  });

  test('a PEM block', () => {
    const valid = toPem('CERTIFICATE', Uint8Array.of(1, 2, 3, 4, 5));
    fc.assert(
      fc.property(damages, fc.uint8Array({ maxLength: 200 }), (how, invented) => {
        decodeHostile(() => fromPem('CERTIFICATE', damaged(valid, how)), isRefusal);
        decodeHostile(() => fromPem('PRIVATE KEY', invented), isRefusal);
      }),
      { numRuns: FUZZ_RUNS },
    );
  });

  test('a public key and its proof: none that was changed holds', () => {
    const key = generateNodeKey();
    const message = Uint8Array.of(1, 2, 3);
    const proof = proveKey(key.privateKeyPem, message);
    fc.assert(
      fc.property(damages, (how) => {
        const spki = damaged(key.spkiDer, how);
        const isHeld = decodeHostile(() => verifyKeyProof(spki, message, proof), isRefusal);
        if (!Buffer.from(spki).equals(key.spkiDer)) expect(isHeld ?? false).toBe(false);
        const other = damaged(proof, how);
        const isProven = decodeHostile(
          () => verifyKeyProof(key.spkiDer, message, other),
          isRefusal,
        );
        if (!Buffer.from(other).equals(proof)) expect(isProven ?? false).toBe(false);
      }),
      { numRuns: FUZZ_RUNS },
    );
  });
});
