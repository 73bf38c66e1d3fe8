import { beforeAll, describe, expect, test } from '@jest/globals';

import {
  agentHello,
  agentOpen,
  createRecipientKeyPair,
  createSigningKey,
  FrameSealer,
  KeyRing,
  managerAccept,
  openSealed,
  PURPOSE,
  RECIPIENT_ALGORITHM,
  REKEY_BYTES,
  REKEY_FRAME_COUNT,
  signTranscript,
  verifyTranscript,
} from '../src/index.js';
import { encodeAssociatedData } from '../src/associated-data.js';
import { pullMessage, startStream, STREAM_TAG } from '../src/secret-stream.js';
import type { FrameOpener, SessionAccept, SessionBinding } from '../src/index.js';
import { DeterministicRandom } from './deterministic-random.js';
import {
  ascii,
  bytesOf,
  CLUSTER,
  flipped,
  NODE,
  refusal,
  SECRET,
  secretFrom,
  secretOf,
  textOf,
} from './support.js';

const random = new DeterministicRandom('session');
const BINDING: SessionBinding = {
  clusterId: CLUSTER,
  nodeId: NODE,
  agentSerial: '0a',
  managerSerial: '0b',
  context: ascii('boot 1'),
};
const AAD = [10, 2, 1, SECRET, 3, new Uint8Array(32)];

beforeAll(openSealed);

interface Ends {
  readonly sealer: FrameSealer;
  readonly opener: FrameOpener;
}

function connect(
  agentBinding: SessionBinding = BINDING,
  change: (accept: SessionAccept) => SessionAccept = (accept) => accept,
): Ends {
  const { hello, privateKey } = agentHello(random);
  const { accept, sealer } = managerAccept({ hello, binding: BINDING, random });
  const { opener } = agentOpen({
    hello,
    privateKey,
    accept: change(accept),
    binding: agentBinding,
  });
  return { sealer, opener };
}

describe('handshake', () => {
  test('both ends agree on transcript and key, and the private key is gone', () => {
    const { hello, privateKey } = agentHello(random);
    const { accept, sealer, transcript } = managerAccept({ hello, binding: BINDING, random });
    const opened = agentOpen({ hello, privateKey, accept, binding: BINDING });
    expect(opened.transcript).toEqual(transcript);
    expect(privateKey.isWiped).toBe(true);
    const frame = sealer.seal({ aad: AAD, plaintext: secretOf('pw') });
    expect(textOf(opened.opener.open({ aad: AAD, frame }))).toBe('pw');
  });

  test.each([
    ['cluster', { clusterId: 'other' }],
    ['node', { nodeId: 'other' }],
    ['serial of the agent', { agentSerial: '0c' }],
    ['serial of the manager', { managerSerial: '0c' }],
    ['context', { context: ascii('boot 2') }],
  ])('another %s makes the first frame fail', (_, change) => {
    const { sealer, opener } = connect({ ...BINDING, ...change });
    const frame = sealer.seal({ aad: AAD, plaintext: ascii('pw') });
    expect(refusal(() => opener.open({ aad: AAD, frame })).reason).toBe('forged');
  });

  test.each(['ciphertext', 'nonce', 'header'] as const)('a changed %s too', (field) => {
    const { sealer, opener } = connect(BINDING, (accept) => ({
      ...accept,
      [field]: flipped(accept[field], 3),
    }));
    const frame = sealer.seal({ aad: AAD, plaintext: ascii('pw') });
    expect(refusal(() => opener.open({ aad: AAD, frame })).reason).toBe('forged');
  });

  test.each(['ciphertext', 'nonce', 'header'] as const)('a short %s is malformed', (field) => {
    const cut = (accept: SessionAccept): SessionAccept => ({
      ...accept,
      [field]: accept[field].subarray(1),
    });
    expect(refusal(() => connect(BINDING, cut)).reason).toBe('malformed');
  });

  test('under the classical algorithm, where the manager allows it', () => {
    const { hello, privateKey } = agentHello(random, RECIPIENT_ALGORITHM.x25519);
    const request = { hello, binding: BINDING, random };
    expect(refusal(() => managerAccept(request)).code).toBe('CV_ARGUMENT_INVALID');
    const { accept, sealer } = managerAccept({ ...request, allowsClassical: true });
    const { opener } = agentOpen({ hello, privateKey, accept, binding: BINDING });
    const frame = sealer.seal({ aad: AAD, plaintext: secretOf('pw') });
    expect(textOf(opener.open({ aad: AAD, frame }))).toBe('pw');
  });

  test('the manager refuses a malformed or classical Hello', () => {
    const { hello } = agentHello(random);
    const classical = createRecipientKeyPair(random, RECIPIENT_ALGORITHM.x25519).publicKey;
    const hellos = [
      { ...hello, kemPublicKey: classical },
      { ...hello, kemPublicKey: hello.kemPublicKey.subarray(1) },
      { ...hello, nonce: hello.nonce.subarray(1) },
    ];
    for (const bad of hellos) {
      const accept = (): unknown => managerAccept({ hello: bad, binding: BINDING, random });
      expect(refusal(accept).code).toBe('CV_ARGUMENT_INVALID');
    }
  });

  test('the signature covers the transcript and cannot be another signature', () => {
    const { privateKey, publicKey } = createSigningKey(random);
    const transcript = random.bytes(32);
    const signature = signTranscript(privateKey, transcript);
    expect(verifyTranscript(publicKey, transcript, signature)).toBe(true);
    expect(verifyTranscript(publicKey, flipped(transcript, 0), signature)).toBe(false);
    expect(verifyTranscript(publicKey, transcript, flipped(signature, 0))).toBe(false);
    expect(verifyTranscript(publicKey.subarray(1), transcript, signature)).toBe(false);
  });
});

describe('frames', () => {
  test('neither order nor content nor associated data can be changed', () => {
    const attacks: ((ends: Ends, frames: Uint8Array[]) => unknown)[] = [
      ({ opener }, [, second]) => opener.open({ aad: AAD, frame: second ?? ascii('') }),
      ({ opener }, [first]) => opener.open({ aad: AAD.slice(1), frame: first ?? ascii('') }),
      ({ opener }, [first]) => opener.open({ aad: AAD, frame: flipped(first ?? ascii(''), 0) }),
      ({ opener }, [first]) => opener.open({ aad: AAD, frame: flipped(first ?? ascii(''), 9) }),
      ({ opener }, [first]) => opener.open({ aad: AAD, frame: first?.subarray(1) ?? ascii('') }),
      ({ opener }) => opener.open({ aad: AAD, frame: ascii('') }),
      ({ opener }, [first]) => opener.close(first ?? ascii('')),
    ];
    for (const attack of attacks) {
      const ends = connect();
      const frames = ['one', 'two'].map((text) =>
        ends.sealer.seal({ aad: AAD, plaintext: ascii(text) }),
      );
      expect(refusal(() => attack(ends, frames)).code).toBe('CV_ENVELOPE_FORGED');
    }
  });

  test('a frame opens once', () => {
    const { sealer, opener } = connect();
    const frame = sealer.seal({ aad: AAD, plaintext: ascii('one') });
    expect(textOf(opener.open({ aad: AAD, frame }))).toBe('one');
    expect(refusal(() => opener.open({ aad: AAD, frame })).reason).toBe('forged');
  });

  test('a frame of one session does not open in another', () => {
    const [first, second] = [connect(), connect()];
    const frame = first.sealer.seal({ aad: AAD, plaintext: ascii('one') });
    expect(refusal(() => second.opener.open({ aad: AAD, frame })).reason).toBe('forged');
  });

  test('the key changes after so many frames, and order still holds', () => {
    const { sealer, opener } = connect();
    for (let count = 0; count < 2 * REKEY_FRAME_COUNT + 3; count += 1) {
      const frame = sealer.seal({ aad: [count], plaintext: ascii(`${count}`) });
      expect(textOf(opener.open({ aad: [count], frame }))).toBe(`${count}`);
    }
  });

  test('the key changes after so many bytes', () => {
    const { sealer, opener } = connect();
    const plaintext = secretFrom(new Uint8Array(REKEY_BYTES / 2).fill(5));
    for (let count = 0; count < 5; count += 1) {
      const frame = sealer.seal({ aad: [count], plaintext });
      expect(opener.open({ aad: [count], frame }).equals(plaintext)).toBe(true);
    }
  });

  test.each([
    ['frames', 10, REKEY_FRAME_COUNT],
    ['bytes', REKEY_BYTES / 8, 8],
  ])('and only then, counted in %s', (_, size, period) => {
    const [key, header] = [secretFrom(random.bytes(32)), random.bytes(24)];
    const sealer = new FrameSealer(startStream(key, header));
    const state = startStream(key, header);
    const plaintext = new Uint8Array(size);
    for (let count = 0; count < 2 * period; count += 1) {
      const frame = sealer.seal({ aad: [], plaintext });
      const aad = encodeAssociatedData({
        purpose: PURPOSE.agentFrame,
        algorithm: 1,
        keyId: 0,
        fields: [count, new Uint8Array(0)],
      });
      const isLastUnderKey = count % period === period - 1;
      const expected = isLastUnderKey ? STREAM_TAG.rekey : STREAM_TAG.message;
      expect(pullMessage(state, aad, frame)?.tag).toBe(expected);
    }
  });

  test('close proves that nothing was cut off', () => {
    const { sealer, opener } = connect();
    const frame = sealer.seal({ aad: AAD, plaintext: ascii('one') });
    const last = sealer.close();
    opener.open({ aad: AAD, frame }).wipe();
    opener.close(last);
    expect([sealer.isClosed, opener.isClosed]).toEqual([true, true]);
    expect(refusal(() => sealer.seal({ aad: AAD, plaintext: ascii('x') })).code).toBe(
      'CV_SESSION_INVALID',
    );
    expect(refusal(() => sealer.close()).code).toBe('CV_SESSION_INVALID');
    expect(refusal(() => opener.open({ aad: AAD, frame })).code).toBe('CV_SESSION_INVALID');
    expect(refusal(() => opener.close(last)).code).toBe('CV_SESSION_INVALID');
  });

  test('the last frame is not the next one, and the next one is not the last', () => {
    const cut = connect();
    cut.sealer.seal({ aad: AAD, plaintext: ascii('dropped') });
    const last = cut.sealer.close();
    expect(refusal(() => cut.opener.close(last)).reason).toBe('forged');
    const mixed = connect();
    const final = mixed.sealer.close();
    expect(refusal(() => mixed.opener.open({ aad: [], frame: final })).reason).toBe('malformed');
  });

  test('wipe ends either end', () => {
    const { sealer, opener } = connect();
    sealer.wipe();
    opener.wipe();
    expect(refusal(() => sealer.close()).code).toBe('CV_SESSION_INVALID');
    expect(refusal(() => opener.close(ascii(''))).code).toBe('CV_SESSION_INVALID');
  });
});

describe('stored values', () => {
  const place = { clusterId: CLUSTER, secretId: SECRET, version: 3 };

  test('are resealed whole', () => {
    const { sealer, opener } = connect();
    const ring = KeyRing.create(random);
    const sealed = ring.sealValue({ ...place, value: secretOf('pw'), random });
    const frame = sealer.sealValue({ ...place, ring, sealed, aad: AAD });
    expect(textOf(opener.open({ aad: AAD, frame }))).toBe('pw');
    const wrong = { ...place, version: 4, ring, sealed, aad: AAD };
    expect(refusal(() => sealer.sealValue(wrong)).code).toBe('CV_ENVELOPE_FORGED');
  });

  test.each([
    [0, 1],
    [99, 1],
    [100, 1],
    [101, 2],
    [1000, 10],
  ])('of %i bytes come in %i parts of 100', (size, count) => {
    const { sealer, opener } = connect();
    const ring = KeyRing.create(random);
    const value = random.bytes(size);
    const sealed = ring.sealValue({ ...place, value: secretFrom(value), random });
    const request = { ...place, ring, sealed, aad: AAD, partBytes: 100 };
    const frames = sealer.sealValueParts(request);
    expect(frames.length).toBe(count);
    const parts = frames.map((frame, part) =>
      bytesOf(opener.open({ aad: [...AAD, part, count], frame })),
    );
    expect(Uint8Array.from(Buffer.concat(parts))).toEqual(value);
  });
});
