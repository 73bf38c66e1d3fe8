import { beforeAll, describe, expect, test } from '@jest/globals';

import {
  createRecipientKeyPair,
  openFromRecipient,
  openSealed,
  RECIPIENT_ALGORITHM,
  recipientPublicKey,
  sealToRecipient,
} from '../src/index.js';
import { DeterministicRandom } from './deterministic-random.js';
import { ascii, flipped, refusal, secretOf } from './support.js';

const random = new DeterministicRandom('recipient');
const context = ascii('slot 1');
const { xwing, x25519 } = RECIPIENT_ALGORITHM;

beforeAll(openSealed);

describe.each([
  [xwing, 1217],
  [x25519, 33],
])('algorithm %i', (algorithm, publicKeyBytes) => {
  const plaintext = secretOf('ring');

  test('opens with the private key and context it was made for', () => {
    const keyPair = createRecipientKeyPair(random, algorithm);
    const { publicKey, privateKey } = keyPair;
    expect(publicKey.length).toBe(publicKeyBytes);
    expect(publicKey[0]).toBe(algorithm);
    expect(recipientPublicKey(privateKey, algorithm)).toEqual(publicKey);
    const sealed = sealToRecipient({ publicKey, context, plaintext, random });
    expect(openFromRecipient({ keyPair, context, sealed }).equals(plaintext)).toBe(true);
    expect(privateKey.isWiped).toBe(false);
  });

  test('another key is told apart from a change', () => {
    const keyPair = createRecipientKeyPair(random, algorithm);
    const { publicKey } = keyPair;
    const sealed = sealToRecipient({ publicKey, context, plaintext, random });
    const other = createRecipientKeyPair(random, algorithm);
    expect(refusal(() => openFromRecipient({ keyPair: other, context, sealed })).reason).toBe(
      'key',
    );
    const changed = flipped(sealed, sealed.length - 1);
    expect(refusal(() => openFromRecipient({ keyPair, context, sealed: changed })).reason).toBe(
      'forged',
    );
  });

  test('no byte and no context can be changed', () => {
    const keyPair = createRecipientKeyPair(random, algorithm);
    const { publicKey } = keyPair;
    const sealed = sealToRecipient({ publicKey, context, plaintext, random });
    const open = (bytes: Uint8Array, at: Uint8Array = context): unknown =>
      openFromRecipient({ keyPair, context: at, sealed: bytes });
    expect(refusal(() => open(sealed, ascii('slot 2'))).code).toBe('CV_ENVELOPE_FORGED');
    for (let offset = 0; offset < sealed.length; offset += 1) {
      expect(refusal(() => open(flipped(sealed, offset))).code).toBe('CV_ENVELOPE_FORGED');
      expect(refusal(() => open(sealed.subarray(0, offset))).code).toBe('CV_ENVELOPE_FORGED');
    }
  });

  test('padding hides the size', () => {
    const keyPair = createRecipientKeyPair(random, algorithm);
    const request = { publicKey: keyPair.publicKey, context, random, isPadded: true };
    const short = sealToRecipient({ ...request, plaintext: secretOf('a') });
    const long = sealToRecipient({ ...request, plaintext: secretOf('a'.repeat(63)) });
    expect(short.length).toBe(long.length);
    const opened = openFromRecipient({ keyPair, context, sealed: short, isPadded: true });
    expect(opened.equals(secretOf('a'))).toBe(true);
  });
});

test('X-Wing is the default', () => {
  expect(createRecipientKeyPair(random).publicKey[0]).toBe(xwing);
});

test('what was sealed for one algorithm is malformed for the other', () => {
  const hybrid = createRecipientKeyPair(random);
  const classical = createRecipientKeyPair(random, x25519);
  const { publicKey } = classical;
  const sealed = sealToRecipient({ publicKey, context, plaintext: secretOf('x'), random });
  expect(refusal(() => openFromRecipient({ keyPair: hybrid, context, sealed })).reason).toBe(
    'malformed',
  );
});

test('points of small order are refused on both sides', () => {
  const zero = new Uint8Array(33);
  zero[0] = x25519;
  const request = { publicKey: zero, context, plaintext: secretOf('x'), random };
  expect(refusal(() => sealToRecipient(request)).code).toBe('CV_ARGUMENT_INVALID');
  const keyPair = createRecipientKeyPair(random, x25519);
  const sealed = sealToRecipient({ ...request, publicKey: keyPair.publicKey });
  sealed.fill(0, 6, 38);
  expect(refusal(() => openFromRecipient({ keyPair, context, sealed })).reason).toBe('malformed');
});

test.each([
  ['empty', new Uint8Array(0)],
  ['unknown algorithm', new Uint8Array(33).fill(3)],
  ['short', new Uint8Array(32).fill(2)],
  ['long', new Uint8Array(1218).fill(1)],
])('a public key that is %s is refused', (_, publicKey) => {
  const request = { publicKey, context, plaintext: secretOf('x'), random };
  expect(refusal(() => sealToRecipient(request)).code).toBe('CV_ARGUMENT_INVALID');
});
