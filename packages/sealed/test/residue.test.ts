/** Nothing secret stays in the memory of libsodium after any function of the door. */
import { beforeAll, describe, expect, test } from '@jest/globals';
import { equalBytes } from '@conclave/kernel';
import sodium from 'libsodium-wrappers';

import {
  agentHello,
  agentOpen,
  createRecipientKeyPair,
  createSigningKey,
  hash,
  keyedHash,
  KeyRing,
  managerAccept,
  openFromRecipient,
  openSealed,
  parseToken,
  PURPOSE,
  RECIPIENT_ALGORITHM,
  RunningHash,
  sealEnvelope,
  sealIntake,
  sealToRecipient,
  sign,
  signJoin,
  storageSeal,
  storageUnseal,
  unsealBytes,
  unsealEnvelope,
  verify,
  verifyJoin,
} from '../src/index.js';
import type { SecretBytes } from '../src/index.js';
import { withScratch } from '../src/sodium.js';
import { DeterministicRandom } from './deterministic-random.js';
import { countTraces } from './heap-scan.js';
import { RecordingRandom } from './recording-random.js';
import {
  ascii,
  bytesOf,
  CLUSTER,
  createToken,
  NODE,
  refusal,
  SECRET,
  secretFrom,
} from './support.js';

const random = new RecordingRandom(new DeterministicRandom('residue'));
const plants: Uint8Array[] = [];

/** Remembers bytes that must not be found again, and gives a secret of them. */
function planted(bytes: Uint8Array): SecretBytes {
  plants.push(Uint8Array.from(bytes));
  return secretFrom(bytes);
}

function plantedRandom(size: number): SecretBytes {
  return planted(random.bytes(size));
}

/** Remembers the content of a secret that our code made. */
function remember(secret: SecretBytes): SecretBytes {
  plants.push(bytesOf(secret));
  return secret;
}

function traces(): number {
  return countTraces([...plants, ...random.given]);
}

beforeAll(openSealed);

describe('the scanner finds what is there', () => {
  test('scratch content before the wipe, none after it', () => {
    const plant = random.bytes(64);
    const found = withScratch({ bytes: 64, pieces: 1 }, (scratch) => {
      scratch.put(plant);
      return countTraces([plant]);
    });
    expect(found).toBe(8);
    expect(countTraces([plant])).toBe(0);
  });

  test('what a raw call leaves on the stack', () => {
    const key = random.bytes(32);
    const [found, subkey] = withScratch({ bytes: 72, pieces: 3 }, (scratch, raw) => {
      const output = scratch.reserve(32);
      const context = scratch.put(ascii('cvwrap__'));
      const keyAt = scratch.put(key);
      raw._crypto_kdf_derive_from_key(output, 32, 1, 0, context, keyAt);
      const made = Uint8Array.from(scratch.view(output, 32));
      scratch.view(output, 32).fill(0);
      return [countTraces([made]), made];
    });
    expect(found).toBe(4);
    expect(countTraces([subkey])).toBe(0);
  });

  test('what the ordinary wrappers leave behind', () => {
    // Not recorded: these stay there for the rest of this file.
    const source = new DeterministicRandom('wrappers');
    const key = source.bytes(32);
    const plaintext = source.bytes(100);
    const nonce = source.bytes(24);
    sodium.crypto_aead_xchacha20poly1305_ietf_encrypt(plaintext, null, null, nonce, key);
    expect(countTraces([key])).toBeGreaterThan(0);
  });
});

// Attack row M03.
describe('no trace after', () => {
  test.each([0, 20, 1000, 300_000])('envelopes of %i bytes', (size) => {
    const key = plantedRandom(32);
    const plaintext = planted(new DeterministicRandom(`value ${size}`).bytes(size));
    const place = { purpose: PURPOSE.hardState, key, fields: [CLUSTER, NODE, 1, 2] } as const;
    const envelope = sealEnvelope({ ...place, keyId: 1, plaintext, random });
    expect(traces()).toBe(0);
    expect(unsealEnvelope({ ...place, envelope }).equals(plaintext)).toBe(true);
    expect(traces()).toBe(0);
    expect(equalBytes(unsealBytes({ ...place, envelope }), bytesOf(plaintext))).toBe(true);
    expect(traces()).toBe(0);
    const stored = storageSeal({ ...place, keyId: 1, plaintext: bytesOf(plaintext), random });
    const unsealed = storageUnseal({ ...place, envelope: stored });
    expect(equalBytes(unsealed, bytesOf(plaintext))).toBe(true);
    expect(traces()).toBe(0);
  });

  test('an envelope that was refused', () => {
    const key = plantedRandom(32);
    const place = { purpose: PURPOSE.ringFile, key, fields: [CLUSTER, 's', 1] } as const;
    const envelope = sealEnvelope({ ...place, keyId: 1, plaintext: plantedRandom(40), random });
    expect(
      refusal(() => unsealEnvelope({ ...place, fields: [CLUSTER, 't', 1], envelope })),
    ).toEqual({ code: 'CV_ENVELOPE_FORGED', reason: 'forged' });
    expect(traces()).toBe(0);
  });

  test('hashes', () => {
    const message = plantedRandom(300);
    keyedHash(plantedRandom(32), bytesOf(message));
    expect(traces()).toBe(0);
    message.use((view) => hash(view));
    expect(traces()).toBe(0);
    message.use((view) => new RunningHash().update(view).digest());
    expect(traces()).toBe(0);
  });

  test('every function of a key ring', () => {
    const ring = KeyRing.create(random);
    remember(ring.encode());
    remember(ring.subkey(1, 'cvwrap__'));
    remember(ring.subkey(1, 'cvdigest'));
    remember(ring.subkey(1, 'cvintake'));
    remember(ring.subkey(1, 'cvcakey_'));
    expect(traces()).toBe(0);
    const value = plantedRandom(19);
    const place = { clusterId: CLUSTER, secretId: SECRET, version: 1 };
    const sealed = ring.sealValue({ ...place, value, random });
    expect(traces()).toBe(0);
    expect(ring.openValue({ ...place, sealed }).equals(value)).toBe(true);
    expect(traces()).toBe(0);
    const rotated = ring.rotate(random);
    rotated.rewrap({ ...place, sealed, random });
    expect(traces()).toBe(0);
    ring.digestValue({ secretId: SECRET, value });
    expect(traces()).toBe(0);
    const intake = { clusterId: CLUSTER, context: ascii('request') };
    const publicKey = ring.intakePublicKey();
    expect(traces()).toBe(0);
    const taken = sealIntake({ ...intake, publicKey, value, random });
    expect(traces()).toBe(0);
    expect(ring.openIntake({ ...intake, sealed: taken }).equals(value)).toBe(true);
    expect(traces()).toBe(0);
    const caPlace = { clusterId: CLUSTER, serial: '01' };
    const envelope = ring.sealCaKey({ ...caPlace, key: plantedRandom(185), random });
    ring.openCaKey({ ...caPlace, envelope });
    expect(traces()).toBe(0);
  });

  test.each(Object.values(RECIPIENT_ALGORITHM))('recipients of algorithm %i', (algorithm) => {
    const keyPair = createRecipientKeyPair(random, algorithm);
    expect(traces()).toBe(0);
    const plaintext = plantedRandom(50);
    const context = ascii('context');
    const { publicKey } = keyPair;
    const sealed = sealToRecipient({ publicKey, context, plaintext, random });
    expect(traces()).toBe(0);
    expect(openFromRecipient({ keyPair, context, sealed }).equals(plaintext)).toBe(true);
    expect(traces()).toBe(0);
  });

  test('a session', () => {
    const { hello, privateKey } = agentHello(random);
    expect(traces()).toBe(0);
    const binding = { clusterId: CLUSTER, nodeId: NODE, agentSerial: '1', managerSerial: '2' };
    const { accept, sealer } = managerAccept({ hello, binding, random });
    expect(traces()).toBe(0);
    const { opener } = agentOpen({ hello, privateKey, accept, binding });
    expect(traces()).toBe(0);
    const plaintext = plantedRandom(70);
    const frame = sealer.seal({ aad: [SECRET, 1], plaintext });
    expect(traces()).toBe(0);
    expect(opener.open({ aad: [SECRET, 1], frame }).equals(plaintext)).toBe(true);
    expect(traces()).toBe(0);
    opener.close(sealer.close());
    expect(traces()).toBe(0);
  });

  test('signatures and tokens', () => {
    const { privateKey, publicKey } = createSigningKey(random);
    expect(traces()).toBe(0);
    const signature = sign(privateKey, ascii('message'));
    expect(traces()).toBe(0);
    expect(verify(publicKey, ascii('message'), signature)).toBe(true);
    expect(traces()).toBe(0);
    const pin = new Uint8Array(32);
    const token = createToken({ role: 'worker', pin, id: new Uint8Array(8), random });
    plants.push(token.text.subarray(70));
    expect(traces()).toBe(0);
    const { seed } = parseToken(token.text);
    expect(traces()).toBe(0);
    const proof = signJoin(seed, ascii('join'));
    expect(traces()).toBe(0);
    expect(verifyJoin(token.publicKey, ascii('join'), proof)).toBe(true);
    expect(traces()).toBe(0);
  });
});
