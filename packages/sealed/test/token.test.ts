import { beforeAll, describe, expect, test } from '@jest/globals';
import { encodeBase32 } from '@conclave/kernel';
import fc from 'fast-check';

import {
  encodeToken,
  openSealed,
  parseToken,
  sign,
  signingPublicKey,
  signJoin,
  TOKEN_TEXT_LENGTH,
  verifyJoin,
} from '../src/index.js';
import type { TokenRole } from '../src/index.js';
import { DeterministicRandom } from './deterministic-random.js';
import { ascii, bytesOf, createToken, flipped, refusal, secretFrom } from './support.js';

const random = new DeterministicRandom('token');
const decoder = new TextDecoder();

beforeAll(openSealed);

describe.each<TokenRole>(['worker', 'manager'])('a %s token', (role) => {
  const make = (): { text: Uint8Array; publicKey: Uint8Array; pin: Uint8Array; id: Uint8Array } => {
    const [pin, id] = [random.bytes(32), random.bytes(8)];
    return { ...createToken({ role, pin, id, random }), pin, id };
  };

  test('says role, pin, id and seed in base32', () => {
    const { text, publicKey, pin, id } = make();
    const parsed = parseToken(text);
    expect(parsed.role).toBe(role);
    expect(parsed.pin).toEqual(pin);
    expect(parsed.id).toEqual(id);
    expect(signingPublicKey(parsed.seed)).toEqual(publicKey);
    const words = decoder.decode(text).split('-');
    expect(words.slice(0, 5)).toEqual([
      'cvj1',
      role.slice(0, 1),
      encodeBase32(pin),
      encodeBase32(id),
      encodeBase32(bytesOf(parsed.seed)),
    ]);
    expect(words.length).toBe(6);
    expect(text.length).toBe(TOKEN_TEXT_LENGTH);
  });

  test('is read from a string as well', () => {
    const { text } = make();
    const parsed = parseToken(decoder.decode(text));
    expect(parsed.seed.equals(parseToken(text).seed)).toBe(true);
  });

  test('any single wrong letter is noticed', () => {
    const { text } = make();
    for (let offset = 0; offset < text.length; offset += 1) {
      for (const letter of 'a7-_A1\u{80}') {
        const changed = Uint8Array.from(text);
        changed[offset] = letter.charCodeAt(0);
        if (changed[offset] === text[offset]) continue;
        expect(refusal(() => parseToken(changed)).code).toBe('CV_TOKEN_INVALID');
      }
    }
  });

  test('no other length is read', () => {
    const { text } = make();
    for (let size = 0; size < text.length; size += 1) {
      expect(refusal(() => parseToken(text.subarray(0, size))).code).toBe('CV_TOKEN_INVALID');
    }
    for (const around of [`${decoder.decode(text)} `, ` ${decoder.decode(text)}`, '']) {
      expect(refusal(() => parseToken(around)).code).toBe('CV_TOKEN_INVALID');
    }
  });

  test('its text is secret, and the seed stays with its owner', () => {
    const [pin, id, seed] = [random.bytes(32), random.bytes(8), secretFrom(random.bytes(32))];
    const text = encodeToken({ role, pin, id, seed });
    expect(String(text)).not.toContain('cvj1');
    expect(seed.isWiped).toBe(false);
    expect(parseToken(bytesOf(text)).seed.equals(seed)).toBe(true);
  });
});

test('garbage of the right length is refused, never a crash', () => {
  const unit = fc.constantFrom('a', 'b', 'z', '2', '7', '-', 'é', '€', '😀');
  const text = fc.string({ unit, minLength: 120, maxLength: 150 });
  fc.assert(
    fc.property(text, (garbage) => {
      const token = `cvj1-w-${garbage}`.slice(0, TOKEN_TEXT_LENGTH);
      expect(refusal(() => parseToken(token)).code).toBe('CV_TOKEN_INVALID');
    }),
    { numRuns: 500 },
  );
});

test('the error never quotes the token', () => {
  const { text } = createToken({
    role: 'worker',
    pin: random.bytes(32),
    id: random.bytes(8),
    random,
  });
  const seed = decoder.decode(text.subarray(74, 126));
  try {
    parseToken(flipped(text, 80));
    throw new Error('was read');
  } catch (error) {
    expect(JSON.stringify(error, Object.getOwnPropertyNames(error))).not.toContain(seed.slice(20));
  }
});

describe('join signatures', () => {
  test('verify for their message and token only', () => {
    const token = createToken({
      role: 'worker',
      pin: random.bytes(32),
      id: random.bytes(8),
      random,
    });
    const { seed } = parseToken(token.text);
    const signature = signJoin(seed, ascii('request'));
    expect(verifyJoin(token.publicKey, ascii('request'), signature)).toBe(true);
    expect(verifyJoin(token.publicKey, ascii('requesT'), signature)).toBe(false);
    expect(verifyJoin(token.publicKey, ascii('request'), flipped(signature, 40))).toBe(false);
    expect(verifyJoin(flipped(token.publicKey, 1), ascii('request'), signature)).toBe(false);
    expect(verifyJoin(token.publicKey, ascii('request'), signature.subarray(1))).toBe(false);
  });

  test('are no plain signatures of the seed', () => {
    const token = createToken({
      role: 'worker',
      pin: random.bytes(32),
      id: random.bytes(8),
      random,
    });
    const { seed } = parseToken(token.text);
    const plain = sign(seed, ascii('request'));
    expect(verifyJoin(token.publicKey, ascii('request'), plain)).toBe(false);
  });
});
