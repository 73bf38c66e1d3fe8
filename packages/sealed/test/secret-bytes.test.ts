import { inspect } from 'node:util';

import { describe, expect, test } from '@jest/globals';

import { SecretBytes } from '../src/index.js';
import { DeterministicRandom } from './deterministic-random.js';
import { ascii, bytesOf, secretOf } from './support.js';

describe('SecretBytes', () => {
  test('take copies and wipes its source', () => {
    const source = ascii('hunter2');
    const secret = SecretBytes.take(source);
    expect(source).toEqual(new Uint8Array(7));
    expect(bytesOf(secret)).toEqual(ascii('hunter2'));
    expect(secret.size).toBe(7);
  });

  test('its memory is an ArrayBuffer of its own, also when small', () => {
    for (const secret of [secretOf('x'), SecretBytes.allocate(20), secretOf('abc').copy()]) {
      secret.use((view) => {
        expect(view.buffer.byteLength).toBe(secret.size);
        expect(view.byteOffset).toBe(0);
      });
    }
  });

  test('adopt takes whole buffers only', () => {
    const owned = new Uint8Array(new ArrayBuffer(4));
    SecretBytes.adopt(owned).use((view) => expect(view).toBe(owned));
    expect(() => SecretBytes.adopt(owned.subarray(1))).toThrow('not owned as a whole');
  });

  test('random takes the bytes of the source that was handed in', () => {
    const expected = new DeterministicRandom('seed').bytes(32);
    expect(bytesOf(SecretBytes.random(new DeterministicRandom('seed'), 32))).toEqual(expected);
  });

  test('wipe overwrites the memory, ends every use and may be repeated', () => {
    const secret = secretOf('hunter2');
    const view = secret.use((lent) => lent);
    secret.wipe();
    secret.wipe();
    expect(view).toEqual(new Uint8Array(7));
    expect(secret.isWiped).toBe(true);
    expect(secret.size).toBe(7);
    expect(() => secret.use(() => 0)).toThrow('after their wipe');
    expect(() => secret.copy()).toThrow('after their wipe');
    expect(() => secret.equals(secretOf('hunter2'))).toThrow('after their wipe');
  });

  test('a copy lives on its own', () => {
    const secret = secretOf('hunter2');
    const copy = secret.copy();
    secret.wipe();
    expect(bytesOf(copy)).toEqual(ascii('hunter2'));
  });

  test('dispose wipes', () => {
    const secret = secretOf('hunter2');
    secret[Symbol.dispose]();
    expect(secret.isWiped).toBe(true);
  });

  test('equals compares content and length', () => {
    expect(secretOf('same').equals(secretOf('same'))).toBe(true);
    expect(secretOf('same').equals(secretOf('samE'))).toBe(false);
    expect(secretOf('same').equals(secretOf('sam'))).toBe(false);
    expect(secretOf('').equals(secretOf(''))).toBe(true);
  });

  test('no way of printing shows the content', () => {
    const secret = secretOf('hunter2');
    const shown = [
      String(secret),
      `${secret as unknown as string}`,
      JSON.stringify({ secret }),
      inspect(secret, { depth: 9, showHidden: true, customInspect: true }),
      inspect({ nested: [secret] }, { depth: 9 }),
      inspect(secret, { customInspect: false, showHidden: true, depth: 9 }),
      Object.keys(secret).join(),
      JSON.stringify(structuredClone({ secret })),
    ];
    for (const text of shown) {
      expect(text).not.toContain('hunter2');
      expect(text).not.toContain('104, 117');
      expect(text).not.toContain('68 75 6e');
    }
    expect(shown[0]).toBe('[secret]');
    expect(shown[3]).toBe('[secret]');
  });
});
