import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { formatBinding, parseBinding, parseOwner, targetOf } from '../src/spec/binding.js';

const parse = (text: string): unknown => parseBinding('--secret number 1', text);

describe('a binding', () => {
  test.each([
    ['db', { secretName: 'db', version: 0 }],
    ['shop/db@3', { secretName: 'shop/db', version: 3 }],
    ['shop/db:target=x.txt', { secretName: 'shop/db', version: 0, target: 'x.txt' }],
    ['db@2:owner=1000', { secretName: 'db', version: 2, uid: 1000 }],
    ['db:owner=0:44,mode=0440', { secretName: 'db', version: 0, uid: 0, gid: 44, mode: 0o440 }],
    ['db:mode=400', { secretName: 'db', version: 0, mode: 0o400 }],
    ['db:optional', { secretName: 'db', version: 0, optional: true }],
    ['db:required', { secretName: 'db', version: 0, optional: false }],
    ['db:on-change=restart', { secretName: 'db', version: 0, onChange: { kind: 'restart' } }],
    [
      'db:on-change=signal:SIGHUP,optional',
      { secretName: 'db', version: 0, onChange: { kind: 'signal', signal: 'HUP' }, optional: true },
    ],
    [
      'db:optional,on-change=exec:nginx -s reload, then: a=b',
      {
        secretName: 'db',
        version: 0,
        optional: true,
        onChange: { kind: 'exec', command: 'nginx -s reload, then: a=b' },
      },
    ],
  ])('%s', (text, binding) => {
    expect(parse(text)).toEqual(binding);
  });

  test.each([
    '',
    '@1',
    'a//b',
    'db@',
    'db@0',
    'db@-1',
    'db@v2',
    'db@1@2',
    'db@4294967296',
    'db:',
    'db:target',
    'db:target=',
    'db:target=../x',
    'db:target=a/b',
    'db:target=.x',
    'db:target=a,target=b',
    'db:optional,required',
    'db:optional=true',
    'db:mode=8',
    'db:mode=0999',
    'db:mode=04755',
    'db:owner=',
    'db:owner=root',
    'db:owner=1:2:3',
    'db:owner=:1',
    'db:owner=4294967295',
    'db:on-change=',
    'db:on-change=signal:',
    'db:on-change=signal:hup',
    'db:on-change=signal:9',
    'db:on-change=exec:',
    'db:on-change=exec:   ',
    'db:on-change=reload',
    'db:colour=red',
    'db:,',
    'db:mode=0400,',
  ])('%j is refused', (text) => {
    expect(() => parse(text)).toThrow(expect.objectContaining({ kind: 'usage' }));
  });

  test('what is written is read back', () => {
    const segment = fc.stringMatching(/^[A-Za-z0-9](?:[A-Za-z0-9._-]{0,10}[A-Za-z0-9])?$/);
    const onChange = fc.oneof(
      fc.constant({ kind: 'none' as const }),
      fc.constant({ kind: 'restart' as const }),
      fc
        .stringMatching(/^[A-Z][A-Z0-9]{1,8}$/)
        .filter((signal) => !signal.startsWith('SIG'))
        .map((signal) => ({ kind: 'signal' as const, signal })),
      fc
        .string({ minLength: 1 })
        .filter((command) => command.trim() !== '')
        .map((command) => ({ kind: 'exec' as const, command })),
    );
    const uint = fc.integer({ min: 0, max: 4_294_967_294 });
    const owner = fc.oneof(
      fc.constant({}),
      uint.map((uid) => ({ uid })),
      fc.record({ uid: uint, gid: uint }),
    );
    const rest = fc.record(
      {
        target: segment.filter((text) => !text.includes('..')),
        mode: fc.integer({ min: 0, max: 0o755 }).map((mode) => mode & ~0o022),
        onChange,
        optional: fc.constant(true),
      },
      { requiredKeys: [] },
    );
    const head = fc.record({
      secretName: fc.array(segment, { minLength: 1, maxLength: 3 }).map((parts) => parts.join('/')),
      version: fc.integer({ min: 0, max: 4_294_967_295 }),
    });
    fc.assert(
      fc.property(head, owner, rest, (first, second, third) => {
        const binding = { ...first, ...second, ...third };
        expect(parse(formatBinding(binding))).toEqual(binding);
      }),
    );
  });

  test('any text is read or refused in our words', () => {
    fc.assert(
      fc.property(fc.string(), fc.constantFrom('', 'db', 'db:', 'db@1:'), (text, head) => {
        try {
          const binding = parseBinding('x', head + text);
          expect(targetOf(binding).length).toBeGreaterThan(0);
        } catch (error) {
          expect(error).toMatchObject({ kind: 'usage' });
        }
      }),
    );
  });

  test('the default target is the last segment', () => {
    expect(targetOf({ secretName: 'a/b/c' })).toBe('c');
    expect(targetOf({ secretName: 'a/b/c', target: 'd' })).toBe('d');
  });

  test('an owner has one or two numbers', () => {
    expect(parseOwner('x', '7:0')).toEqual({ uid: 7, gid: 0 });
    expect(parseOwner('x', '7')).toEqual({ uid: 7, gid: undefined });
  });
});
