import { generateKeyPairSync } from 'node:crypto';
import type { KeyObject } from 'node:crypto';

import { beforeAll, describe, expect, test } from '@jest/globals';

import { fromPem, generateNodeKey, proveKey, verifyKeyProof } from '../src/index.js';
import type { CreatedRoot } from '../src/index.js';
import { issue, newRoot, refusal, WORKER } from './support.js';

const message = new TextEncoder().encode('challenge');

let root: CreatedRoot;
beforeAll(async () => {
  root = await newRoot();
});

function pairOf(kind: 'P-384' | 'secp256k1' | 'ed25519' | 'rsa'): { publicKey: KeyObject } {
  if (kind === 'ed25519') return generateKeyPairSync('ed25519');
  if (kind === 'rsa') return generateKeyPairSync('rsa', { modulusLength: 2048 });
  return generateKeyPairSync('ec', { namedCurve: kind });
}

function spkiOf(kind: Parameters<typeof pairOf>[0]): Uint8Array {
  return Uint8Array.from(pairOf(kind).publicKey.export({ type: 'spki', format: 'der' }));
}

function compressed(spkiDer: Uint8Array): Uint8Array {
  const head = Buffer.from('3039301306072a8648ce3d020106082a8648ce3d030107032200', 'hex');
  const sign = 2 + ((spkiDer[90] ?? 0) & 1);
  return Uint8Array.from([...head, sign, ...spkiDer.subarray(27, 59)]);
}

const plain = generateNodeKey().spkiDer;
const offCurve = Uint8Array.from(plain);
offCurve[90] = (offCurve[90] ?? 0) ^ 1;

describe.each([
  ['empty', new Uint8Array(0)],
  ['garbage', new Uint8Array(91).fill(0x30)],
  ['cut', plain.subarray(0, 90)],
  ['followed by a byte', Uint8Array.of(...plain, 0)],
  ['off the curve', offCurve],
  ['the point at infinity', Uint8Array.of(...plain.subarray(0, 27), ...new Uint8Array(64))],
  ['compressed', compressed(plain)],
  ['P-384', spkiOf('P-384')],
  ['secp256k1', spkiOf('secp256k1')],
  ['Ed25519', spkiOf('ed25519')],
  ['RSA', spkiOf('rsa')],
])('a public key that is %s', (_, spkiDer) => {
  test('gets no certificate', async () => {
    expect(await refusal(() => issue(root, WORKER, { spkiDer }))).toBe('CV_ARGUMENT_INVALID');
  });

  test('proves nothing', async () => {
    const work = (): unknown => verifyKeyProof(spkiDer, message, new Uint8Array(64));
    expect(await refusal(work)).toBe('CV_ARGUMENT_INVALID');
  });
});

describe('proof of possession', () => {
  const key = generateNodeKey();

  test('holds for its key and message only', () => {
    const proof = proveKey(key.privateKeyPem, message);
    expect(proof.length).toBe(64);
    expect(verifyKeyProof(key.spkiDer, message, proof)).toBe(true);
    expect(verifyKeyProof(key.spkiDer, message.subarray(1), proof)).toBe(false);
    expect(verifyKeyProof(generateNodeKey().spkiDer, message, proof)).toBe(false);
    expect(verifyKeyProof(key.spkiDer, message, proof.subarray(1))).toBe(false);
    expect(verifyKeyProof(key.spkiDer, message, new Uint8Array(64))).toBe(false);
    proof[10] = (proof[10] ?? 0) ^ 1;
    expect(verifyKeyProof(key.spkiDer, message, proof)).toBe(false);
  });

  test('an unreadable private key is refused without quoting it', async () => {
    const pem = Uint8Array.from(key.privateKeyPem).fill(0x41, 60, 100);
    expect(await refusal(() => proveKey(pem, message))).toBe('CV_ARGUMENT_INVALID');
    expect(() => proveKey(pem, message)).toThrow(/^private key cannot be read$/);
  });

  test('the private key is one PEM block in memory of its own', () => {
    expect(fromPem('PRIVATE KEY', key.privateKeyPem).length).toBe(138);
    expect(key.privateKeyPem.byteLength).toBe(key.privateKeyPem.buffer.byteLength);
  });
});
