import { beforeAll, describe, expect, test } from '@jest/globals';
import fc from 'fast-check';

import {
  envelopeKeyId,
  envelopeOverhead,
  openSealed,
  PURPOSE,
  sealEnvelope,
  SecretBytes,
  unsealBytes,
  unsealEnvelope,
} from '../src/index.js';
import type { Field, Purpose } from '../src/index.js';
import { DeterministicRandom } from './deterministic-random.js';
import { ascii, bytesOf, CLUSTER, flipped, NODE, refusal, SECRET, secretOf } from './support.js';

const random = new DeterministicRandom('envelope');
const HASH = new Uint8Array(32).fill(7);

const FIELDS: Readonly<Record<Purpose, readonly Field[]>> = {
  [PURPOSE.value]: [CLUSTER, SECRET, 1, 64],
  [PURPOSE.dekWrap]: [CLUSTER, SECRET, 1],
  [PURPOSE.caKeyWrap]: [CLUSTER, '01'],
  [PURPOSE.storageEntry]: [CLUSTER, NODE, 1, 2, 3, 'EntryNormal', HASH],
  [PURPOSE.snapshotChunk]: [CLUSTER, NODE, 1, 2, 3, 0, new Uint8Array(0)],
  [PURPOSE.hardState]: [CLUSTER, NODE, 1, 2],
  [PURPOSE.agentFrame]: [0, ascii('context')],
  [PURPOSE.backupChunk]: [HASH, 0],
  [PURPOSE.intake]: [CLUSTER, ascii('context')],
  [PURPOSE.localKeyFile]: [CLUSTER, NODE],
  [PURPOSE.ringFile]: [CLUSTER, NODE, 1],
  [PURPOSE.heldValue]: ['id@1'],
  [PURPOSE.recipient]: [ascii('context')],
  [PURPOSE.epochFile]: [CLUSTER, NODE],
};
const PURPOSES = Object.values(PURPOSE);
const COMMITTING: readonly Purpose[] = [
  PURPOSE.backupChunk,
  PURPOSE.intake,
  PURPOSE.localKeyFile,
  PURPOSE.epochFile,
  PURPOSE.ringFile,
  PURPOSE.recipient,
];

beforeAll(openSealed);

function placeOf(purpose: Purpose): {
  purpose: Purpose;
  key: SecretBytes;
  fields: readonly Field[];
} {
  return { purpose, key: SecretBytes.random(random, 32), fields: FIELDS[purpose] };
}

/** The same fields with the one at `offset` changed, its kind kept. */
function otherFields(fields: readonly Field[], offset: number): Field[] {
  return fields.map((field, at) => {
    if (at !== offset) return field;
    if (typeof field === 'string') return `${field}x`;
    return typeof field === 'number' ? field + 1 : Uint8Array.of(...field, 1);
  });
}

describe.each(PURPOSES)('purpose %i', (purpose) => {
  const plaintext = secretOf('hunter2');

  test('opens at its place', () => {
    const place = placeOf(purpose);
    const envelope = sealEnvelope({ ...place, keyId: 5, plaintext, random });
    expect(envelope.length).toBe(plaintext.size + envelopeOverhead(purpose));
    expect(envelopeKeyId(envelope)).toBe(5);
    expect(unsealEnvelope({ ...place, keyId: 5, envelope }).equals(plaintext)).toBe(true);
    expect(unsealBytes({ ...place, envelope })).toEqual(bytesOf(plaintext));
  });

  test('no byte can be changed, added or removed', () => {
    const place = placeOf(purpose);
    const envelope = sealEnvelope({ ...place, keyId: 5, plaintext, random });
    for (let offset = 0; offset < envelope.length; offset += 1) {
      const changed = flipped(envelope, offset);
      expect(refusal(() => unsealEnvelope({ ...place, envelope: changed })).code).toBe(
        'CV_ENVELOPE_FORGED',
      );
      const short = envelope.subarray(0, offset);
      expect(refusal(() => unsealEnvelope({ ...place, envelope: short }))).toEqual({
        code: 'CV_ENVELOPE_FORGED',
        reason: 'malformed',
      });
    }
    const long = Uint8Array.of(...envelope, 0);
    expect(refusal(() => unsealEnvelope({ ...place, envelope: long })).reason).toBe('malformed');
  });

  test('no field can be changed', () => {
    const place = placeOf(purpose);
    const envelope = sealEnvelope({ ...place, keyId: 5, plaintext, random });
    place.fields.forEach((_, offset) => {
      const fields = otherFields(place.fields, offset);
      expect(refusal(() => unsealEnvelope({ ...place, fields, envelope }))).toEqual({
        code: 'CV_ENVELOPE_FORGED',
        reason: 'forged',
      });
    });
  });

  test('another key is refused, and named where the envelope commits to its key', () => {
    const place = placeOf(purpose);
    const envelope = sealEnvelope({ ...place, keyId: 5, plaintext, random });
    const key = SecretBytes.random(random, 32);
    const reason = COMMITTING.includes(purpose) ? 'key' : 'forged';
    expect(refusal(() => unsealEnvelope({ ...place, key, envelope }))).toEqual({
      code: 'CV_ENVELOPE_FORGED',
      reason,
    });
  });

  test('another key id is refused', () => {
    const place = placeOf(purpose);
    const envelope = sealEnvelope({ ...place, keyId: 5, plaintext, random });
    expect(refusal(() => unsealEnvelope({ ...place, keyId: 6, envelope })).reason).toBe(
      'malformed',
    );
  });

  test('missing, extra or wrong kinds of fields are a defect', () => {
    const place = placeOf(purpose);
    const seal = (fields: readonly Field[]): unknown =>
      sealEnvelope({ ...place, fields, keyId: 0, plaintext, random });
    expect(() => seal(place.fields.slice(1))).toThrow('takes the fields');
    expect(() => seal([...place.fields, 1])).toThrow('takes the fields');
    const swapped = place.fields.map((field) => (typeof field === 'number' ? 'text' : 1));
    expect(() => seal(swapped)).toThrow('takes the fields');
  });
});

test('an envelope does not open for a purpose with the same kinds of fields', () => {
  const key = SecretBytes.random(random, 32);
  const fields = [CLUSTER, NODE];
  const keys = { purpose: PURPOSE.localKeyFile, key, fields };
  const envelope = sealEnvelope({ ...keys, keyId: 1, plaintext: ascii('keys'), random });
  const epochs = { purpose: PURPOSE.epochFile, key, fields };
  expect(refusal(() => unsealEnvelope({ ...epochs, envelope })).reason).toBe('forged');
});

test('sealing twice gives different bytes: every nonce is fresh', () => {
  const place = placeOf(PURPOSE.hardState);
  const seal = (): string =>
    Buffer.from(sealEnvelope({ ...place, keyId: 1, plaintext: ascii('x'), random })).toString(
      'hex',
    );
  expect(new Set(Array.from({ length: 50 }, seal)).size).toBe(50);
});

test('any content comes back', () => {
  const place = placeOf(PURPOSE.hardState);
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 5000 }), fc.nat(), (plaintext, keyId) => {
      const envelope = sealEnvelope({ ...place, keyId, plaintext, random });
      expect(unsealBytes({ ...place, keyId, envelope })).toEqual(plaintext);
    }),
  );
});

test('garbage is refused, never a crash', () => {
  const place = placeOf(PURPOSE.ringFile);
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 200 }), (envelope) => {
      expect(refusal(() => unsealBytes({ ...place, envelope })).code).toBe('CV_ENVELOPE_FORGED');
    }),
    { numRuns: 500 },
  );
});

test('more than the scratch memory holds is a limit, and the next call works', () => {
  const place = placeOf(PURPOSE.hardState);
  const plaintext = new Uint8Array(17 * 1024 * 1024);
  const seal = (bytes: Uint8Array): Uint8Array =>
    sealEnvelope({ ...place, keyId: 1, plaintext: bytes, random });
  expect(refusal(() => seal(plaintext)).code).toBe('CV_LIMIT_EXCEEDED');
  expect(unsealBytes({ ...place, envelope: seal(ascii('x')) })).toEqual(ascii('x'));
  const large = plaintext.subarray(0, 9_437_184);
  expect(unsealBytes({ ...place, envelope: seal(large) }).length).toBe(large.length);
});
