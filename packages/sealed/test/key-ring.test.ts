import { beforeAll, describe, expect, test } from '@jest/globals';
import fc from 'fast-check';

import {
  KeyRing,
  openSealed,
  paddedSizeOf,
  PURPOSE,
  SecretBytes,
  sealEnvelope,
  sealIntake,
} from '../src/index.js';
import type { SealedValue, SubkeyContext } from '../src/index.js';
import { DeterministicRandom } from './deterministic-random.js';
import {
  ascii,
  bytesOf,
  CLUSTER,
  flipped,
  refusal,
  SECRET,
  secretFrom,
  secretOf,
} from './support.js';

const random = new DeterministicRandom('key-ring');
const PLACE = { clusterId: CLUSTER, secretId: SECRET, version: 3 };
const CONTEXTS: readonly SubkeyContext[] = [
  ...(['cvwrap__', 'cvcakey_'] as const),
  ...(['cvaudit_', 'cvbackup', 'cvdigest', 'cvintake'] as const),
];

beforeAll(openSealed);

describe('versions', () => {
  test('a new ring has version 1 and generation 1', () => {
    const ring = KeyRing.create(random);
    expect([ring.generation, ring.currentKeyId, ring.versions]).toEqual([1, 1, [1]]);
  });

  test('rotation adds a version and leaves the old ring as it was', () => {
    const ring = KeyRing.create(random);
    const rotated = ring.rotate(random);
    expect([rotated.generation, rotated.currentKeyId, rotated.versions]).toEqual([2, 2, [1, 2]]);
    expect(ring.versions).toEqual([1]);
    ring.wipe();
    expect(rotated.subkey(1, 'cvwrap__').size).toBe(32);
  });

  test('retiring removes a version for good; its number is not used again', () => {
    const only = KeyRing.create(random).rotate(random).retireAllBut({ keyId: 2, generation: 3 });
    const ring = only.rotate(random);
    expect([ring.generation, ring.currentKeyId, ring.versions]).toEqual([4, 3, [2, 3]]);
    expect(refusal(() => ring.subkey(1, 'cvwrap__')).reason).toBe('key');
    expect(refusal(() => ring.retireAllBut({ keyId: 1, generation: 5 })).reason).toBe('key');
  });

  test('a number can be left out, and never be taken again', () => {
    const ring = KeyRing.create(random).rotate(random, { keyId: 5, generation: 9 });
    expect([ring.generation, ring.versions]).toEqual([9, [1, 5]]);
    expect(() => ring.rotate(random, { keyId: 5 })).toThrow('newer');
  });

  test('the newest version is used unless another one was selected', () => {
    const ring = KeyRing.create(random).rotate(random);
    ring.selectCurrent(1);
    expect([ring.currentKeyId, ring.newestKeyId]).toEqual([1, 2]);
    expect(ring.sealValue({ ...PLACE, value: secretOf('pw'), random }).keyId).toBe(1);
    expect(refusal(() => ring.selectCurrent(3)).reason).toBe('key');
    expect(ring.currentKeyId).toBe(1);
  });

  test('a commitment names one version of one ring', () => {
    const ring = KeyRing.create(random).rotate(random);
    const again = KeyRing.decode(ring.encode());
    expect(again.commitment(2)).toEqual(ring.commitment(2));
    expect(again.commitment(1)).not.toEqual(ring.commitment(2));
    expect(KeyRing.create(random).commitment(1)).not.toEqual(ring.commitment(1));
    expect(refusal(() => ring.commitment(3)).reason).toBe('key');
  });

  test('a ring is bounded', () => {
    let ring = KeyRing.create(random);
    for (let count = 1; count < 64; count += 1) ring = ring.rotate(random);
    expect(refusal(() => ring.rotate(random)).code).toBe('CV_LIMIT_EXCEEDED');
    const only = ring.retireAllBut({ keyId: 64, generation: 65 });
    expect(only.rotate(random).versions).toEqual([64, 65]);
  });

  test('a wiped ring is of no use', () => {
    const ring = KeyRing.create(random);
    ring.wipe();
    expect(() => ring.subkey(1, 'cvwrap__')).toThrow('after their wipe');
    expect(() => ring.encode()).toThrow('after their wipe');
  });

  test('subkeys differ by version and by context', () => {
    const ring = KeyRing.create(random).rotate(random);
    const keys = ring.versions.flatMap((keyId) =>
      CONTEXTS.map((context) => Buffer.from(bytesOf(ring.subkey(keyId, context))).toString('hex')),
    );
    expect(new Set(keys).size).toBe(2 * CONTEXTS.length);
  });
});

describe('encoding', () => {
  test('a ring comes back whole', () => {
    const ring = KeyRing.create(random).rotate(random).rotate(random, { keyId: 7 });
    const decoded = KeyRing.decode(ring.encode());
    expect([decoded.generation, decoded.versions]).toEqual([3, [1, 2, 7]]);
    expect(decoded.encode().equals(ring.encode())).toBe(true);
  });

  test('anything else is refused', () => {
    const encoded = bytesOf(KeyRing.create(random).rotate(random).encode());
    const decode = (bytes: Uint8Array): unknown => KeyRing.decode(secretFrom(bytes));
    for (const offset of [0, 1, 2, 3, 4, 9]) {
      expect(refusal(() => decode(flipped(encoded, offset))).reason).toBe('malformed');
    }
    for (let size = 0; size < encoded.length; size += 1) {
      expect(refusal(() => decode(encoded.subarray(0, size))).reason).toBe('malformed');
    }
    const twice = Uint8Array.from(encoded);
    twice.set(twice.subarray(10, 14), 46);
    expect(refusal(() => decode(twice)).reason).toBe('malformed');
    const empty = encoded.subarray(0, 10);
    empty[9] = 0;
    expect(refusal(() => decode(empty)).reason).toBe('malformed');
  });
});

describe('values', () => {
  test('any value comes back and only its padded size shows', () => {
    const ring = KeyRing.create(random);
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 3000 }), (bytes) => {
        const value = secretFrom(bytes);
        const sealed = ring.sealValue({ ...PLACE, value, random });
        expect(sealed.size).toBe(paddedSizeOf(bytes.length));
        expect(sealed.envelope.length).toBe(38 + sealed.size + 16);
        expect(value.isWiped).toBe(false);
        expect(bytesOf(ring.openValue({ ...PLACE, sealed }))).toEqual(bytes);
      }),
    );
  });

  test('equal values give unlike bytes: every version has its own data key', () => {
    const ring = KeyRing.create(random);
    const seal = (): SealedValue => ring.sealValue({ ...PLACE, value: secretOf('same'), random });
    const [first, second] = [seal(), seal()];
    expect(first.envelope).not.toEqual(second.envelope);
    const spliced = { ...first, wrappedDek: second.wrappedDek };
    expect(refusal(() => ring.openValue({ ...PLACE, sealed: spliced })).reason).toBe('forged');
  });

  test('a value opens only at its place', () => {
    const ring = KeyRing.create(random);
    const sealed = ring.sealValue({ ...PLACE, value: secretOf('pw'), random });
    const moves = [{ clusterId: 'other' }, { secretId: 'other' }, { version: 4 }];
    for (const move of moves) {
      expect(refusal(() => ring.openValue({ ...PLACE, ...move, sealed })).reason).toBe('forged');
    }
    const resized = { ...sealed, size: 256 };
    expect(refusal(() => ring.openValue({ ...PLACE, sealed: resized })).reason).toBe('forged');
    const other = KeyRing.create(random);
    expect(refusal(() => other.openValue({ ...PLACE, sealed })).reason).toBe('forged');
  });

  test('a wrapped key of another size is refused', () => {
    const ring = KeyRing.create(random);
    const sealed = ring.sealValue({ ...PLACE, value: secretOf('pw'), random });
    const wrappedDek = sealEnvelope({
      purpose: PURPOSE.dekWrap,
      key: ring.subkey(1, 'cvwrap__'),
      keyId: 1,
      fields: [CLUSTER, SECRET, 3],
      plaintext: SecretBytes.random(random, 16),
      random,
    });
    const short = { ...sealed, wrappedDek };
    expect(refusal(() => ring.openValue({ ...PLACE, sealed: short })).reason).toBe('malformed');
  });

  test('rewrapping moves the data key to the current version and leaves the value alone', () => {
    const ring = KeyRing.create(random);
    const sealed = ring.sealValue({ ...PLACE, value: secretOf('pw'), random });
    const rotated = ring.rotate(random);
    const rewrapped = rotated.rewrap({ ...PLACE, sealed, random });
    expect(rewrapped.keyId).toBe(2);
    expect(rewrapped.envelope).toBe(sealed.envelope);
    const retired = rotated.retireAllBut({ keyId: 2, generation: 3 });
    expect(retired.openValue({ ...PLACE, sealed: rewrapped }).equals(secretOf('pw'))).toBe(true);
    expect(refusal(() => retired.openValue({ ...PLACE, sealed })).reason).toBe('key');
  });

  test('digests tell equal values of one secret, and nothing across secrets or versions', () => {
    const ring = KeyRing.create(random).rotate(random);
    const digest = (secretId: string, text: string, keyId?: number): string => {
      const version = keyId === undefined ? {} : { keyId };
      const bytes = ring.digestValue({ secretId, value: secretOf(text), ...version });
      return Buffer.from(bytes).toString('hex');
    };
    expect(digest('a', 'pw')).toBe(digest('a', 'pw'));
    expect(digest('a', 'pw')).toBe(digest('a', 'pw', 2));
    const all = [digest('a', 'pw'), digest('a', 'px'), digest('b', 'pw'), digest('a', 'pw', 1)];
    expect(new Set([...all, digest('ap', 'w')]).size).toBe(5);
  });
});

describe('intake', () => {
  const place = { clusterId: CLUSTER, context: ascii('app/db') };

  test('opens also after a rotation, until the version is retired', () => {
    const ring = KeyRing.create(random);
    const publicKey = ring.intakePublicKey();
    const sealed = sealIntake({ ...place, publicKey, value: secretOf('pw'), random });
    const rotated = ring.rotate(random);
    expect(rotated.openIntake({ ...place, sealed }).equals(secretOf('pw'))).toBe(true);
    const retired = rotated.retireAllBut({ keyId: 2, generation: 3 });
    expect(refusal(() => retired.openIntake({ ...place, sealed })).reason).toBe('key');
    expect(rotated.intakePublicKey()).not.toEqual(publicKey);
  });

  test('is bound to cluster, request and ring, and to every byte', () => {
    const ring = KeyRing.create(random);
    const publicKey = ring.intakePublicKey();
    const sealed = sealIntake({ ...place, publicKey, value: secretOf('pw'), random });
    const open = (change: object, by: KeyRing = ring): unknown =>
      by.openIntake({ ...place, sealed, ...change });
    expect(refusal(() => open({ clusterId: 'other' })).code).toBe('CV_ENVELOPE_FORGED');
    expect(refusal(() => open({ context: ascii('app/dc') })).code).toBe('CV_ENVELOPE_FORGED');
    expect(refusal(() => open({}, KeyRing.create(random))).code).toBe('CV_ENVELOPE_FORGED');
    expect(refusal(() => open({ sealed: new Uint8Array(0) })).code).toBe('CV_ENVELOPE_FORGED');
    for (let offset = 0; offset < sealed.length; offset += 7) {
      expect(refusal(() => open({ sealed: flipped(sealed, offset) })).code).toBe(
        'CV_ENVELOPE_FORGED',
      );
    }
  });

  test('hides the size of the value', () => {
    const publicKey = KeyRing.create(random).intakePublicKey();
    const size = (text: string): number =>
      sealIntake({ ...place, publicKey, value: secretOf(text), random }).length;
    expect(size('')).toBe(size('x'.repeat(63)));
    expect(size('x'.repeat(64))).toBe(size(''.padEnd(255, 'x')));
  });

  test('a malformed public key is the fault of the caller', () => {
    const publicKey = KeyRing.create(random).intakePublicKey();
    for (const bad of [publicKey.subarray(1), new Uint8Array(0), flipped(publicKey, 4)]) {
      const seal = (): unknown =>
        sealIntake({ ...place, publicKey: bad, value: secretOf('pw'), random });
      expect(refusal(seal).code).toBe('CV_ARGUMENT_INVALID');
    }
  });
});

test('the key of a CA opens for its cluster and serial only', () => {
  const ring = KeyRing.create(random);
  const key = SecretBytes.random(random, 185);
  const place = { clusterId: CLUSTER, serial: '0a' };
  const envelope = ring.sealCaKey({ ...place, key, random });
  expect(
    ring
      .rotate(random)
      .openCaKey({ ...place, envelope })
      .equals(key),
  ).toBe(true);
  expect(refusal(() => ring.openCaKey({ ...place, serial: '0b', envelope })).reason).toBe('forged');
  expect(refusal(() => ring.openCaKey({ ...place, clusterId: 'x', envelope })).reason).toBe(
    'forged',
  );
});
