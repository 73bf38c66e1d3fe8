import { spawnSync } from 'node:child_process';
import {
  createHash,
  createPrivateKey,
  createPublicKey,
  diffieHellman,
  sign as nodeSign,
} from 'node:crypto';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';

import { beforeAll, describe, expect, test } from '@jest/globals';

import {
  createRecipientKeyPair,
  createSigningKey,
  hash,
  hashFields,
  keyedHash,
  KeyRing,
  openSealed,
  PURPOSE,
  RECIPIENT_ALGORITHM,
  recipientPublicKey,
  RunningHash,
  sealEnvelope,
  sign,
  verify,
} from '../src/index.js';
import { decapsulate, encapsulate } from '../src/encapsulation.js';
import { withScratch } from '../src/sodium.js';
import { hchacha20, xchachaSeal } from './independent/hchacha20.js';
import { blake2b } from './independent/blake2b.js';
import { DeterministicRandom } from './deterministic-random.js';
import { ascii, bytesOf, fromHex, secretFrom } from './support.js';

const random = new DeterministicRandom('independent');
const PKCS8_X25519 = fromHex('302e020100300506032b656e04220420');
const SPKI_X25519 = fromHex('302a300506032b656e032100');
const PKCS8_ED25519 = fromHex('302e020100300506032b657004220420');

beforeAll(openSealed);

describe('the independent implementations agree with published examples', () => {
  test('HChaCha20, draft-irtf-cfrg-xchacha section 2.2.1', () => {
    const key = Uint8Array.from({ length: 32 }, (_, offset) => offset);
    const input = fromHex('000000090000004a0000000031415927');
    const expected = '82413b4227b27bfed30e42508a877d73a0f9e4d58a74a853c12ec41326d3ecdc';
    expect(Buffer.from(hchacha20(key, input)).toString('hex')).toBe(expected);
  });

  test('BLAKE2b of node, 512 bits', () => {
    const input = ascii('abc');
    const expected = createHash('blake2b512').update(input).digest('hex');
    expect(Buffer.from(blake2b(input, { size: 64 })).toString('hex')).toBe(expected);
  });
});

describe('hashes', () => {
  test.each([0, 1, 127, 128, 129, 1000])('BLAKE2b-256 of %i bytes', (size) => {
    const input = random.bytes(size);
    const key = random.bytes(32);
    expect(hash(input)).toEqual(blake2b(input));
    expect(keyedHash(secretFrom(key), input)).toEqual(blake2b(input, { key }));
    expect(new RunningHash().update(input).digest()).toEqual(blake2b(input));
  });

  test('a hash of parts is the hash of the whole', () => {
    expect(hash(ascii('ab'), ascii(''), ascii('c'))).toEqual(blake2b(ascii('abc')));
    const running = new RunningHash().update(ascii('ab')).update(ascii('c'));
    expect(running.digest()).toEqual(blake2b(ascii('abc')));
  });

  test('fields carry their lengths', () => {
    const encoded = fromHex('00000002616200000008000000010000000200000001ff');
    expect(hashFields('ab', 0x1_0000_0002, Uint8Array.of(255))).toEqual(blake2b(encoded));
  });

  test('a running hash of more than one piece', () => {
    const input = random.bytes(200_000);
    expect(new RunningHash().update(input).digest()).toEqual(hash(input));
  });
});

test('subkeys are BLAKE2b with the subkey id as salt and the context as personalisation', () => {
  const ring = KeyRing.create(random);
  const key = bytesOf(ring.encode()).subarray(14);
  const salt = new Uint8Array(16);
  salt[0] = 1;
  const personal = new Uint8Array(16);
  personal.set(ascii('cvwrap__'));
  const expected = blake2b(new Uint8Array(0), { key, salt, personal });
  expect(bytesOf(ring.subkey(1, 'cvwrap__'))).toEqual(expected);
});

test.each([0, 1, 63, 1024, 20_000])('envelope of %i bytes', (size) => {
  const key = random.bytes(32);
  const plaintext = random.bytes(size);
  const envelope = sealEnvelope({
    purpose: PURPOSE.caKeyWrap,
    key: secretFrom(key),
    keyId: 0x01020304,
    fields: ['c1', 's1'],
    plaintext,
    random,
  });
  const nonce = envelope.subarray(10, 34);
  const aad = fromHex('4356' + '03' + '01' + '01' + '01020304' + '000000026331' + '000000027331');
  const sealed = xchachaSeal({ key, nonce, aad, plaintext });
  const length = Buffer.alloc(4);
  length.writeUInt32BE(sealed.length);
  const head = Buffer.from('CVEN\x01\x01\x01\x02\x03\x04', 'latin1');
  expect(envelope).toEqual(Uint8Array.from(Buffer.concat([head, nonce, length, sealed])));
});

test('a committing envelope', () => {
  const key = random.bytes(32);
  const fields = ['c', 's', 9] as const;
  const place = { purpose: PURPOSE.ringFile, key: secretFrom(key), keyId: 0, fields };
  const envelope = sealEnvelope({ ...place, plaintext: ascii('ring'), random });
  const nonce = envelope.subarray(10, 34);
  const commitment = blake2b(Buffer.concat([ascii('commit'), nonce]), { key });
  expect(envelope.subarray(38, 70)).toEqual(commitment);
  const tuple = '43560e0102' + '00000000' + '0000000163' + '0000000173';
  const aad = fromHex(`${tuple}000000080000000000000009`);
  const sealed = xchachaSeal({ key, nonce, aad, plaintext: ascii('ring') });
  expect(envelope.subarray(70)).toEqual(sealed);
});

test('Ed25519 signatures are those of node', () => {
  const { privateKey, publicKey } = createSigningKey(random);
  const message = ascii('message');
  const der = Buffer.concat([PKCS8_ED25519, bytesOf(privateKey)]);
  const key = createPrivateKey({ key: der, format: 'der', type: 'pkcs8' });
  const spki = createPublicKey(key).export({ format: 'der', type: 'spki' });
  expect(publicKey).toEqual(Uint8Array.from(spki.subarray(-32)));
  const signature = sign(privateKey, message);
  expect(signature).toEqual(Uint8Array.from(nodeSign(null, message, key)));
  expect(verify(publicKey, message, signature)).toBe(true);
});

test('X25519 recipients agree on what node agrees on', () => {
  const pair = createRecipientKeyPair(random, RECIPIENT_ALGORITHM.x25519);
  const { ciphertext, shared } = encapsulate(pair.publicKey, random);
  const privateKey = createPrivateKey({
    key: Buffer.concat([PKCS8_X25519, bytesOf(pair.privateKey)]),
    format: 'der',
    type: 'pkcs8',
  });
  const publicKey = createPublicKey({
    key: Buffer.concat([SPKI_X25519, ciphertext]),
    format: 'der',
    type: 'spki',
  });
  const expected = Uint8Array.from(diffieHellman({ privateKey, publicKey }));
  expect(bytesOf(shared)).toEqual(expected);
  expect(decapsulate(pair, ciphertext)?.use((view) => Uint8Array.from(view))).toEqual(expected);
});

test('the classical half of X-Wing is the X25519 key of its expanded seed', () => {
  const seed = random.bytes(32);
  const publicKey = recipientPublicKey(secretFrom(seed));
  const expanded = createHash('shake256', { outputLength: 96 }).update(seed).digest();
  const classical = recipientPublicKey(
    secretFrom(expanded.subarray(64)),
    RECIPIENT_ALGORITHM.x25519,
  );
  expect(publicKey.subarray(1 + 1184)).toEqual(classical.subarray(1));
});

test('X-Wing is SHA3-256 over both shared secrets, the classical half and its label', () => {
  const pair = createRecipientKeyPair(random);
  const { ciphertext, shared } = encapsulate(pair.publicKey, random);
  const seed = bytesOf(pair.privateKey);
  const expanded = createHash('shake256', { outputLength: 96 }).update(seed).digest();
  const classical = {
    publicKey: Uint8Array.of(2, ...pair.publicKey.subarray(1 + 1184)),
    privateKey: secretFrom(expanded.subarray(64)),
  };
  const point = ciphertext.subarray(1088);
  const classicalShared = decapsulate(classical, point)?.use((view) => Uint8Array.from(view));
  const latticeShared = withScratch({ bytes: 8192, pieces: 5, isDeep: true }, (scratch, raw) => {
    const kem = raw as unknown as Record<string, (...words: number[]) => number>;
    const [publicKey, secretKey] = [scratch.reserve(1184), scratch.reserve(2400)];
    const output = scratch.reserve(32);
    const seedAt = scratch.put(expanded.subarray(0, 64));
    kem['_crypto_kem_mlkem768_seed_keypair']?.(publicKey, secretKey, seedAt);
    const text = scratch.put(ciphertext.subarray(0, 1088));
    kem['_crypto_kem_mlkem768_dec']?.(output, text, secretKey);
    return scratch.copy(output, 32);
  });
  const expected = createHash('sha3-256')
    .update(latticeShared)
    .update(classicalShared ?? '')
    .update(point)
    .update(classical.publicKey.subarray(1))
    .update('\\.//^\\')
    .digest();
  expect(bytesOf(shared)).toEqual(Uint8Array.from(expected));
});

const hasPython = spawnSync('python3', ['--version']).status === 0;

// CI has Python, and counts a skip as a failure.
(hasPython ? test : test.skip)(
  'Python opens every frozen vector, and none with a byte changed',
  () => {
    const [program, vectors] = ['independent/vectors.py', 'vectors/format-1.json'].map((path) =>
      join(import.meta.dirname, path),
    ) as [string, string];
    const checked = spawnSync('python3', ['-B', program, vectors], { encoding: 'utf8' });
    const count = Object.keys(JSON.parse(readFileSync(vectors, 'utf8')) as object).length;
    expect(checked).toMatchObject({ status: 0, stderr: '', stdout: `${count}\n` });
  },
);
