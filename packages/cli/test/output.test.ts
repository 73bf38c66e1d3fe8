import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { parse } from 'yaml';
import { compileFilter } from '../src/output/filter.js';
import { formatTable } from '../src/output/table.js';
import { compileTemplate } from '../src/output/template.js';
import { age, compareNaturally, harmless, oneLine, remaining, time } from '../src/output/text.js';
import { formatYaml, formatYamlItem } from '../src/output/yaml.js';
import { NOW_MS } from './support/objects.js';

describe('natural order', () => {
  test('numbers count, case does not', () => {
    const sorted = ['web-10', 'Web-2', 'web-1', 'web', 'a/b', 'a', 'web-02'].toSorted(
      compareNaturally,
    );
    expect(sorted).toEqual(['a', 'a/b', 'web', 'web-1', 'Web-2', 'web-02', 'web-10']);
  });

  test('is an order', () => {
    const name = fc.stringMatching(/^[a-bA-B0-2/-]{0,6}$/);
    fc.assert(
      fc.property(name, name, name, (first, second, third) => {
        expect(Math.sign(compareNaturally(first, second))).toBe(
          -Math.sign(compareNaturally(second, first)) + 0,
        );
        expect(compareNaturally(first, second) === 0).toBe(first === second);
        if (compareNaturally(first, second) <= 0 && compareNaturally(second, third) <= 0) {
          expect(compareNaturally(first, third)).toBeLessThanOrEqual(0);
        }
      }),
    );
  });

  test('long digit runs do not lose digits', () => {
    expect(compareNaturally('9'.repeat(30), `1${'0'.repeat(30)}`)).toBeLessThan(0);
  });
});

describe('text from others', () => {
  test('cannot move the cursor', () => {
    expect(oneLine('a\u001b[2Jb\r\nc')).toBe('a [2Jb  c');
    expect(oneLine('a\u009b31mb\u202ec')).toBe('a 31mb c');
    expect(harmless('a\tb\u001b')).toBe('a\tb\ufffd');
  });

  test('tables stay one line per row', () => {
    expect(
      formatTable([
        ['A', 'B'],
        ['x\ny', '1'],
        ['long cell', ''],
      ]),
    ).toBe('A           B\nx y         1\nlong cell\n');
  });

  test('wide characters count once', () => {
    expect(
      formatTable([
        ['\u{1f512}', 'x'],
        ['ab', 'y'],
      ]),
    ).toBe('\u{1f512}    x\nab   y\n');
  });
});

test('times', () => {
  expect(age(NOW_MS - 5_000, NOW_MS)).toBe('5s ago');
  expect(age(NOW_MS - 300_000, NOW_MS)).toBe('5m ago');
  expect(age(NOW_MS - 10_800_000, NOW_MS)).toBe('3h ago');
  expect(age(NOW_MS - 500_000_000, NOW_MS)).toBe('5d ago');
  expect(age(NOW_MS + 5_000, NOW_MS)).toBe('0s ago');
  expect(age(0, NOW_MS)).toBe('-');
  expect(remaining(NOW_MS + 3_600_000, NOW_MS)).toBe('in 60m');
  expect(remaining(NOW_MS - 1, NOW_MS)).toBe('expired');
  expect(time(NOW_MS)).toBe('2026-01-31 12:00:00Z');
});

describe('YAML', () => {
  const value = fc.letrec((tie) => ({
    any: fc.oneof(
      { maxDepth: 4 },
      fc.string(),
      fc.constantFrom('yes', 'null', '0440', '1e3', '-', ':', '# x', 'a: b', ' x', '', '~', '.5'),
      fc.integer(),
      fc.boolean(),
      fc.constant(null),
      fc.array(tie('any'), { maxLength: 3 }),
      fc.dictionary(fc.string(), tie('any'), { maxKeys: 3 }),
    ),
  })).any;

  test('is read back by both versions of YAML as what it was', () => {
    fc.assert(
      fc.property(value, (data) => {
        expect(parse(formatYaml(data), { version: '1.2' })).toEqual(data);
        expect(parse(formatYaml(data), { version: '1.1', merge: false })).toEqual(data);
      }),
      { numRuns: 500 },
    );
  });

  test('items put together are the list', () => {
    fc.assert(
      fc.property(fc.array(value, { minLength: 1, maxLength: 4 }), (items) => {
        expect(parse(items.map(formatYamlItem).join(''))).toEqual(items);
      }),
    );
  });

  test('absent fields are left out', () => {
    expect(formatYaml({ a: undefined, b: [], c: {}, d: [{ e: 1, f: [2] }] })).toBe(
      'b: []\nc: {}\nd:\n  - e: 1\n    f:\n      - 2\n',
    );
  });
});

describe('templates', () => {
  const row = { name: 'web', spec: { env: { A: 'b' } }, none: null, tags: ['x'] };
  const fields = Object.keys(row);

  test.each([
    ['{{.name}}', 'web'],
    ['{{ .Name }}\\t{{.NONE}}|', 'web\t|'],
    ['{{.spec.env.A}}', 'b'],
    ['{{.spec.absent.A}}', ''],
    ['{{json .spec}}', '{"env":{"A":"b"}}'],
    ['{{.tags}}', '["x"]'],
    ['{{json .name}}\\n', '"web"\n'],
    ['{{json .}}', JSON.stringify(row)],
    ['\\\\n', '\\n'],
    ['plain', 'plain'],
  ])('%s', (text, line) => {
    expect(compileTemplate(text, fields)(row)).toBe(line);
  });

  test.each(['{{name}}', '{{.name', '.name}}', '{{range .x}}', '{{.unknown}}', '{{.name | x}}'])(
    '%s is refused',
    (text) => {
      expect(() => compileTemplate(text, fields)).toThrow(
        expect.objectContaining({ kind: 'usage' }),
      );
    },
  );

  test('values of others are harmless', () => {
    expect(compileTemplate('{{.name}}', ['name'])({ name: 'a\u001b[2J' })).toBe('a\ufffd[2J');
  });
});

describe('filters', () => {
  const row = {
    name: 'web-1',
    state: 'RUNNING',
    labels: { tier: 'front', empty: '' },
    usedBy: ['a', 'b'],
    revoked: false,
  };
  const shows = (...texts: string[]): boolean => compileFilter(texts, Object.keys(row))(row);

  test.each([
    [[], true],
    [['state=running'], true],
    [['state=PENDING'], false],
    [['state=PENDING', 'state=RUNNING'], true],
    [['state=RUNNING', 'name=other'], false],
    [['name=WEB*'], true],
    [['name=web'], false],
    [['label=tier'], true],
    [['label=tier=front'], true],
    [['label=tier=back'], false],
    [['label=empty='], true],
    [['label=toString'], false],
    [['usedBy=b'], true],
    [['usedBy=c'], false],
    [['revoked=false'], true],
  ])('%j: %s', (texts, isShown) => {
    expect(shows(...texts)).toBe(isShown);
  });

  test.each(['state', '=x', 'colour=red'])('%s is refused', (text) => {
    expect(() => shows(text)).toThrow(expect.objectContaining({ kind: 'usage' }));
  });
});
