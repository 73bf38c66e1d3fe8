import { generateKeyPairSync } from 'node:crypto';

import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';

import { fromPem, toPem } from '../src/index.js';
import { refusal } from './support.js';

const ascii = (text: string): Uint8Array => new TextEncoder().encode(text);

test('what node writes is what we write', () => {
  const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const der = Uint8Array.from(privateKey.export({ type: 'pkcs8', format: 'der' }));
  const pem = privateKey.export({ type: 'pkcs8', format: 'pem' });
  expect(Buffer.from(toPem('PRIVATE KEY', der)).toString('latin1')).toBe(pem);
  expect(fromPem('PRIVATE KEY', ascii(String(pem)))).toEqual(der);
});

test('any bytes come back, in base64 as node knows it', () => {
  fc.assert(
    fc.property(fc.uint8Array({ minLength: 1, maxLength: 300 }), (der) => {
      const pem = toPem('CERTIFICATE', der);
      expect(fromPem('CERTIFICATE', pem)).toEqual(der);
      const lines = Buffer.from(pem).toString('latin1').split('\n');
      expect(lines.slice(1, -2).join('')).toBe(Buffer.from(der).toString('base64'));
      expect(lines.slice(1, -3).every((line) => line.length === 64)).toBe(true);
    }),
  );
});

test('line ends of other systems and around the block are fine', () => {
  const pem = Buffer.from(toPem('CERTIFICATE', new Uint8Array(100).fill(9))).toString('latin1');
  const read = fromPem('CERTIFICATE', ascii(`${pem.replaceAll('\n', '\r\n')}\n\n`));
  expect(read).toEqual(new Uint8Array(100).fill(9));
});

describe('refused is', () => {
  const begin = '-----BEGIN CERTIFICATE-----\n';
  const end = '\n-----END CERTIFICATE-----\n';
  const good = `${begin}AAAA${end}`;
  test.each([
    ['nothing', ''],
    ['another label', good.replaceAll('CERTIFICATE', 'PRIVATE KEY')],
    ['text in front', `x${good}`],
    ['text behind', `${good}x`],
    ['two blocks', good + good],
    ['no content', begin + end],
    ['a foreign letter', `${begin}AA*A${end}`],
    ['a space', `${begin}AA AA${end}`],
    ['a wrong length', `${begin}AAAAA${end}`],
    ['padding in the middle', `${begin}AA==AAAA${end}`],
    ['too much padding', `${begin}A===${end}`],
    ['bits left over', `${begin}AAB=${end}`],
    ['too long', `${begin}${'A'.repeat(70_000)}${end}`],
  ])('%s', async (_, text) => {
    expect(await refusal(() => fromPem('CERTIFICATE', ascii(text)))).toBe('CV_ARGUMENT_INVALID');
  });

  test('not the good one', () => {
    expect(fromPem('CERTIFICATE', ascii(good))).toEqual(new Uint8Array(3));
  });
});
