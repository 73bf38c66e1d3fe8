import { createSecureContext } from 'node:tls';
import { describe, expect, test } from '@jest/globals';
import { ReplaceableIdentity } from '../src/index.js';
import { tlsGroups, tlsRange } from '../src/identity.js';

describe('groups of the key exchange', () => {
  test.each([
    ['3.0.19', false],
    ['3.4.9', false],
    ['3.5.0', true],
    ['3.10.1+quic', true],
    ['4.0.0', true],
    ['1.1.1w', false],
  ])('OpenSSL %s: post-quantum %s', (version, isHybrid) => {
    expect(tlsGroups(version).includes('MLKEM')).toBe(isHybrid);
    expect(tlsGroups(version)).toContain('X25519');
  });

  test('this OpenSSL knows those that are chosen for it', () => {
    expect(() => createSecureContext(tlsRange())).not.toThrow();
  });
});

describe('an identity that is replaced', () => {
  test('is told to those who listen, until they stop', () => {
    const first = { certificatesDer: [], privateKeyPem: new Uint8Array(), rootsDer: [] };
    const second = { ...first };
    const source = new ReplaceableIdentity(first);
    const seen: boolean[] = [];
    const stop = source.onChange(() => seen.push(source.current() === second));
    source.replace(second);
    stop();
    source.replace(first);
    expect(seen).toEqual([true]);
  });
});
