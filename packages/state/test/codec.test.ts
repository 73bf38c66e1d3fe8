import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { encode } from 'cborg';
import { decodeCommand, encodeCommand, State } from '../src/index.js';
import type { Command } from '../src/index.js';
import { Bench } from './support/bench.js';
import { sampleCommands } from './support/samples.js';

const by = { kind: 'admin', id: 'ops' } as const;
const base = { atMs: 5, by, request: undefined };

const code = (bytes: Uint8Array): string => {
  try {
    decodeCommand(bytes);
  } catch (error) {
    return `${(error as { code?: string }).code}: ${(error as Error).message}`;
  }
  return 'accepted';
};
const entry = (value: unknown, format = 0x10): Uint8Array =>
  Uint8Array.of(format, ...encode(value, { ignoreUndefinedProperties: true }));

describe('commands as bytes', () => {
  test.each(sampleCommands().map((command) => [command.kind, command] as const))(
    '%s comes back as it was',
    (_kind, command) => {
      expect(decodeCommand(encodeCommand(command))).toEqual(command);
    },
  );

  test('the samples have every kind of command', () => {
    const kinds = new Set(sampleCommands().map((command) => command.kind));
    expect([...kinds].sort()).toEqual([
      'admin.create',
      'admin.renew',
      'admin.revoke',
      'cluster.create',
      'cluster.settings',
      'compromise.begin',
      'compromise.finish',
      'node.addresses',
      'node.approve',
      'node.demoted',
      'node.equip',
      'node.join',
      'node.membership',
      'node.remove',
      'node.renew',
      'node.set-role',
      'node.update',
      'nodes.observe',
      'receipts.report',
      'recovery.confirm',
      'recovery.sealed',
      'recovery.stage',
      'ring.activate',
      'ring.finish',
      'ring.offer',
      'ring.retire',
      'ring.rewrap',
      'ring.rotate',
      'secret.destroy-version',
      'secret.remove',
      'secret.rollback',
      'secret.set',
      'secret.update',
      'service.create',
      'service.remove',
      'service.rollback',
      'service.update',
      'service.update-state',
      'tasks.report',
      'tasks.schedule',
      'token.create',
      'token.revoke',
    ]);
  });

  test('are refused before they reach the log when nobody could read them', () => {
    const renew = { kind: 'token.revoke', id: 't', request: undefined } as const;
    const by = { kind: 'system', id: 's' } as const;
    expect(() => encodeCommand({ ...renew, by, atMs: -1 })).toThrow(/atMs: must be a whole number/);
    expect(() => encodeCommand({ ...renew, by, atMs: 1, more: 1 } as never)).toThrow(
      /unknown field/,
    );
    expect(() => encodeCommand({ ...renew, by, atMs: 2 ** 53 })).toThrow(
      expect.objectContaining({ code: 'CV_PROTOCOL' }),
    );
  });

  test('equal commands are equal bytes, whatever the order of their fields', () => {
    const command: Command = { ...base, kind: 'secret.rollback', id: 'x', version: 1 };
    const turned = Object.fromEntries(Object.entries(command).reverse()) as unknown as Command;
    expect(encodeCommand(turned)).toEqual(encodeCommand(command));
  });

  test('texts and labels of any kind come back', () => {
    const text = fc.string({ unit: 'grapheme', maxLength: 20 });
    const labels = fc.dictionary(fc.oneof(text, fc.constant('__proto__')), text);
    fc.assert(
      fc.property(labels, text, (all, description) => {
        const body = { kind: 'secret.update', id: 'a', objectVersion: 0 } as const;
        const command: Command = { ...base, ...body, labels: all, description };
        const decoded = decodeCommand(encodeCommand(command));
        const decodedLabels = decoded.kind === 'secret.update' ? decoded.labels : {};
        expect(new Map(Object.entries(decodedLabels))).toEqual(new Map(Object.entries(all)));
      }),
    );
  });

  test('the decoded command shares no memory with the entry', () => {
    const set: Command = { ...base, ...new Bench().setCommand('a', 1) };
    const shared = Buffer.from(encodeCommand(set));
    const decoded = decodeCommand(shared);
    shared.fill(0xff);
    expect(decoded).toEqual(set);
  });
});

describe('bytes that are no command', () => {
  const command: Command = { ...base, kind: 'secret.rollback', id: 'x', version: 1 };
  const bytes = encodeCommand(command);

  test('are refused with a code and without their content', () => {
    const refusals: readonly (readonly [string, Uint8Array])[] = [
      ['CV_PROTOCOL: command: is empty', new Uint8Array(0)],
      ['CV_PROTOCOL: command: format 2 is unknown', entry(command, 0x20)],
      ['CV_PROTOCOL: command is not canonical CBOR', bytes.subarray(0, bytes.length - 1)],
      ['CV_PROTOCOL: command is not canonical CBOR', Uint8Array.of(...bytes, 0)],
      ['CV_PROTOCOL: command : must be a map', entry([1])],
      ['CV_PROTOCOL: command : has an unknown kind', entry({ ...command, kind: 'secret.steal' })],
      ['CV_PROTOCOL: command : has an unknown kind', entry({ ...command, kind: 'toString' })],
      ['CV_PROTOCOL: command : has an unknown kind', entry({ ...command, kind: 7 })],
      ['CV_PROTOCOL: command id: must be a text', entry({ ...command, id: undefined })],
      ['CV_PROTOCOL: command version: must be a whole number', entry({ ...command, version: -1 })],
      ['CV_PROTOCOL: command version: must be a whole number', entry({ ...command, version: 0.5 })],
      ['CV_PROTOCOL: command by.kind: must be one of', entry({ ...command, by: { kind: 'x' } })],
      ['CV_PROTOCOL: command request.key: must be a text', entry({ ...command, request: {} })],
      ['CV_PROTOCOL: command : has an unknown field', entry({ ...command, extra: 'hunter2' })],
    ];
    for (const [expected, malformed] of refusals) {
      expect(code(malformed).startsWith(expected)).toBe(true);
      expect(code(malformed)).not.toContain('hunter2');
    }
  });

  test('unknown fields of a newer minor version are dropped, unknown kinds are not', () => {
    const newer = entry({ ...command, extra: 1, by: { ...by, via: 'x' } }, 0x11);
    expect(decodeCommand(newer)).toEqual(command);
    expect(code(entry({ ...command, kind: 'secret.steal' }, 0x11))).toContain('unknown kind');
  });

  test('numbers in a longer form and indefinite lengths are refused', () => {
    // "version" is the last of the shorter keys; its 1 as two bytes instead of one.
    const at = bytes.lastIndexOf(1);
    const longer = Uint8Array.of(...bytes.subarray(0, at), 0x18, 1, ...bytes.subarray(at + 1));
    expect(code(longer)).toBe('CV_PROTOCOL: command is not canonical CBOR');
    const indefinite = Uint8Array.of(0x10, 0xbf, ...bytes.subarray(2), 0xff);
    expect(code(indefinite)).toBe('CV_PROTOCOL: command is not canonical CBOR');
  });

  test('nesting as deep as the entry is long does not end the process', () => {
    const deep = new Uint8Array(2_000_000).fill(0x81);
    deep[0] = 0x10;
    expect(code(deep)).toBe('CV_PROTOCOL: command is not canonical CBOR');
  });

  test('a list that claims to be huge does not cost its size', () => {
    const huge = Uint8Array.of(0x10, 0x9b, 0, 0x0f, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff);
    expect(code(huge)).toBe('CV_PROTOCOL: command is not canonical CBOR');
  });

  test('mutated bytes are refused with CV_PROTOCOL or are another whole command', () => {
    const samples = sampleCommands().map(encodeCommand);
    const mutation = fc.record({
      sample: fc.nat(samples.length - 1),
      edits: fc.array(fc.record({ at: fc.nat(), byte: fc.nat(255) }), {
        minLength: 1,
        maxLength: 4,
      }),
      cut: fc.option(fc.nat()),
    });
    let acceptedCount = 0;
    fc.assert(
      fc.property(mutation, ({ sample, edits, cut }) => {
        const mutated = Uint8Array.from(samples[sample] ?? []);
        for (const { at, byte } of edits) mutated[at % mutated.length] = byte;
        const part = cut === null ? mutated : mutated.subarray(0, cut % mutated.length);
        const outcome = code(part);
        if (outcome !== 'accepted') {
          expect(outcome.startsWith('CV_PROTOCOL: command')).toBe(true);
          return;
        }
        acceptedCount += 1;
        const decoded = decodeCommand(part);
        expect(decodeCommand(encodeCommand(decoded))).toEqual(decoded);
        // Whatever was decoded can be applied: accepted or refused, never thrown.
        const result = new State().apply(1, decoded);
        expect(result.ok || result.code !== 'CV_INTERNAL').toBe(true);
      }),
      { numRuns: 1500 },
    );
    expect(acceptedCount).toBeGreaterThan(0);
  });
});

describe('a command that would not come back as it was', () => {
  const labelled = (labels: Record<string, string>): Command => ({
    ...base,
    kind: 'secret.update',
    id: 'one',
    objectVersion: 1,
    labels,
    description: '',
  });

  test.each([
    ['a key behind a byte order mark', { a: '1', '\ufeffa': '2' }],
    ['a value behind a byte order mark', { a: '\ufeff1' }],
    ['a key that is half a character', { '\ud800': '1' }],
    ['a value that is half a character', { a: '1\udc00' }],
  ])('is not encoded: %s', (_what, labels) => {
    expect(() => encodeCommand(labelled(labels))).toThrow(
      expect.objectContaining({ code: 'CV_PROTOCOL' }),
    );
  });

  test('any labels come back as they were, or are refused', () => {
    fc.assert(
      fc.property(
        fc.dictionary(fc.string({ unit: 'binary' }), fc.string({ unit: 'binary' })),
        (labels) => {
          let bytes: Uint8Array;
          try {
            bytes = encodeCommand(labelled(labels));
          } catch (error) {
            expect(error).toMatchObject({ code: 'CV_PROTOCOL' });
            return;
          }
          expect(decodeCommand(bytes)).toEqual(labelled(labels));
        },
      ),
    );
  });
});
