import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import {
  byteLength,
  canonicalName,
  checkFileMode,
  checkLabels,
  checkObjectName,
  checkSecretName,
  checkTarget,
} from '../src/index.js';
import type { ConclaveError } from '../src/index.js';

const codeOf = (act: () => void): string => {
  try {
    act();
    return 'accepted';
  } catch (error) {
    return (error as ConclaveError).code;
  }
};

const long = (length: number): string => 'a'.repeat(length);

describe('secret names', () => {
  test.each(['0', 'a', 'shop/db', 'name-with--dashes', 'name.with..dots', 'a_b', long(63)])(
    '%s is accepted',
    (name) => {
      expect(codeOf(() => checkSecretName(name))).toBe('accepted');
    },
  );

  test('63-character segments are accepted up to 253 bytes', () => {
    const name = [long(63), long(63), long(63), long(61)].join('/');
    expect(name).toHaveLength(253);
    expect(codeOf(() => checkSecretName(name))).toBe('accepted');
    expect(codeOf(() => checkSecretName(`${name}a`))).toBe('CV_NAME_INVALID');
  });

  test.each([
    '',
    '-a',
    'a-',
    '.a',
    'a b',
    'a//b',
    '/a',
    'a/',
    'a/../b',
    'ä',
    'a\u0000',
    'a\n',
    '\u212a', // the Kelvin sign folds to k
    long(64),
    `${long(64)}/a`,
  ])('%j is refused', (name) => {
    expect(codeOf(() => checkSecretName(name))).toBe('CV_NAME_INVALID');
  });

  test('a refusal never repeats the name', () => {
    fc.assert(
      fc.property(fc.string({ minLength: 6 }), (name) => {
        try {
          checkSecretName(`!${name}`);
        } catch (error) {
          expect((error as Error).message).not.toContain(`!${name}`);
        }
      }),
    );
  });
});

describe('object names', () => {
  test.each(['a', 'web', 'a-b', 'a__b-c', '9', long(63)])('%s is accepted', (name) => {
    expect(codeOf(() => checkObjectName('service', name))).toBe('accepted');
  });

  test.each(['', '-a', 'a-', '_', 'a.b', 'a/b', 'é', long(64)])('%j is refused', (name) => {
    expect(codeOf(() => checkObjectName('service', name))).toBe('CV_NAME_INVALID');
  });

  test('a hostile name of any length is judged in linear time', () => {
    const started = process.cpuUsage();
    expect(codeOf(() => checkObjectName('service', `${'a-'.repeat(31)}!`))).toBe('CV_NAME_INVALID');
    expect(codeOf(() => checkSecretName(`${'a.'.repeat(125)}!`))).toBe('CV_NAME_INVALID');
    // Processor time: what else the machine does is no matter. Exponential would be hours.
    expect(process.cpuUsage(started).user).toBeLessThan(1_000_000);
  });

  test('names are unique by their lower-case form', () => {
    expect(canonicalName('Shop/DB')).toBe(canonicalName('shop/db'));
  });
});

describe('targets and labels', () => {
  test.each(['db', 'tls.key', 'a-b', long(255)])('target %s is accepted', (target) => {
    expect(codeOf(() => checkTarget(target))).toBe('accepted');
  });

  test.each([
    'db.',
    '',
    '.',
    '..',
    '../x',
    '/etc/x',
    'a/b',
    '....',
    'a\u0000',
    ' a',
    'a ',
    '.a',
    long(256),
  ])('target %j is refused', (target) => {
    expect(codeOf(() => checkTarget(target))).toBe('CV_ARGUMENT_INVALID');
  });

  test('labels are bounded in number and bytes', () => {
    const pairs = (count: number): Record<string, string> =>
      Object.fromEntries(Array.from({ length: count }, (_, number) => [`k${number}`, 'v']));
    expect(codeOf(() => checkLabels(pairs(64)))).toBe('accepted');
    expect(codeOf(() => checkLabels(pairs(65)))).toBe('CV_ARGUMENT_INVALID');
    expect(codeOf(() => checkLabels({ [long(128)]: long(256) }))).toBe('accepted');
    expect(codeOf(() => checkLabels({ [long(129)]: '' }))).toBe('CV_ARGUMENT_INVALID');
    expect(codeOf(() => checkLabels({ k: long(257) }))).toBe('CV_ARGUMENT_INVALID');
    expect(codeOf(() => checkLabels({ k: 'é'.repeat(129) }))).toBe('CV_ARGUMENT_INVALID');
    expect(codeOf(() => checkLabels({ '': 'v' }))).toBe('CV_ARGUMENT_INVALID');
  });

  test('bytes are counted as UTF-8', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'grapheme' }), (text) => {
        expect(byteLength(text)).toBe(Buffer.byteLength(text));
      }),
    );
  });
});

describe('file modes', () => {
  test.each([0, 0o400, 0o440, 0o444, 0o600, 0o644, 0o755])('%d is accepted', (mode) => {
    expect(codeOf(() => checkFileMode(mode))).toBe('accepted');
  });

  test.each([
    ['everything for everybody', 0o777],
    ['written by the group', 0o420],
    ['written by others', 0o602],
    ['set-uid', 0o4400],
    ['set-gid', 0o2400],
    ['sticky', 0o1400],
    ['negative', -1],
    ['a fraction', 0.5],
    ['beyond', 2 ** 32],
    ['nothing', Number.NaN],
  ])('%s is refused', (_what, mode) => {
    expect(codeOf(() => checkFileMode(mode))).toBe('CV_ARGUMENT_INVALID');
  });
});
