import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { parseRange, rangeContains } from '../../src/identity/address-range.js';
import { checkTokenLimits, limitFault } from '../../src/identity/token-limits.js';

describe('a range of addresses', () => {
  test.each([
    ['10.0.0.0/8', '10.255.3.4', true],
    ['10.0.0.0/8', '11.0.0.1', false],
    ['10.1.2.3', '10.1.2.3', true],
    ['10.1.2.3', '10.1.2.4', false],
    ['0.0.0.0/0', '203.0.113.9', true],
    ['0.0.0.0/0', '2001:db8::1', false],
    ['fd00::/8', 'fd12:3456::1', true],
    ['fd00::/8', 'fe80::1', false],
    ['fe80::/10', 'fe80::1%eth0', true],
    ['FD00:0:0::/48', 'fd00::1', true],
    ['::/0', '10.0.0.1', false],
    // A socket that takes both families shows IPv4 as IPv6: it is the IPv4 range that counts.
    ['10.0.0.0/8', '::ffff:10.1.2.3', true],
    ['10.0.0.0/8', '::FFFF:11.1.2.3', false],
    ['::/0', '::ffff:10.1.2.3', false],
    ['10.0.0.0/8', '', false],
  ])('%s and %s: %p', (range, address, isInside) => {
    expect(rangeContains(parseRange(range), address)).toBe(isInside);
  });

  test.each([
    '',
    '10.0.0.0/33',
    'fd00::/129',
    '10.0.0.0/-1',
    '10.0.0.0/08',
    '10.0.0.0/8 ',
    '10.0.0/8',
    '0x0a.0.0.1',
    '::ffff:10.0.0.0/104',
    '0:0:0:0:0:ffff:10.0.0.0/104',
    '0::FFFF:10.0.0.1',
    '::0:ffff:a00:1',
    'fe80::1%eth0',
    'example.org',
    '10.0.0.0/8/8',
  ])('%p is none', (text) => {
    expect(parseRange(text)).toBeUndefined();
  });

  test('has the addresses that share its first bits, and no other', () => {
    const word = fc.integer({ min: 0, max: 0xffff_ffff });
    const textOf = (bits: number): string =>
      [24, 16, 8, 0].map((shift) => (bits >>> shift) & 255).join('.');
    fc.assert(
      fc.property(word, word, fc.integer({ min: 0, max: 32 }), (network, address, bitCount) => {
        const isInside =
          bitCount === 0 || network >>> (32 - bitCount) === address >>> (32 - bitCount);
        const range = parseRange(`${textOf(network)}/${bitCount}`);
        expect(rangeContains(range, textOf(address))).toBe(isInside);
        expect(rangeContains(range, `::ffff:${textOf(address)}`)).toBe(isInside);
      }),
    );
  });
});

describe('a pattern of host names', () => {
  const faultOf = (hostnamePattern: string, hostname: string): string | undefined =>
    limitFault({ addressRanges: [], hostnamePattern }, { address: '10.0.0.9', hostname });

  test.each([
    ['', 'anything'],
    ['*', 'anything'],
    ['web-1', 'WEB-1'],
    ['web-*', 'web-'],
    ['*.example.org', 'a.example.org'],
    ['a*b*c', 'aXbXbXc'],
    ['a**a', 'aa'],
  ])('%p admits %p', (pattern, hostname) => {
    expect(faultOf(pattern, hostname)).toBeUndefined();
  });

  test.each([
    ['web-1', 'web-10'],
    ['web-*', 'my-web-1'],
    ['aba*aba', 'aba'],
    ['a*b*c', 'acb'],
    ['*.example.org', 'example.org'],
    ['web.1', 'webx1'],
  ])('%p does not admit %p', (pattern, hostname) => {
    expect(faultOf(pattern, hostname)).toBe('does not admit this host name');
  });

  test('with many stars takes no longer for a name that almost fits', () => {
    const stars = 'a*'.repeat(127);
    checkTokenLimits({ addressRanges: [], hostnamePattern: stars });
    expect(faultOf(`${stars}b`, 'a'.repeat(255))).toBeDefined();
  });
});
