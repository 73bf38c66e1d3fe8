/**
 * Bytes frozen when their layout was released. They are never edited: a change of a layout gets a
 * new format number and new vectors beside these. With CONCLAVE_FREEZE=1 missing ones are added.
 */
import { readFileSync, writeFileSync } from 'node:fs';

import { beforeAll, expect, test } from '@jest/globals';

import { openSealed } from '../src/index.js';
import { DeterministicRandom } from './deterministic-random.js';
import { ascii, fromHex } from './support.js';
import { CONTENT, VECTOR_CASES } from './vector-cases.js';

const FILE = new URL('./vectors/format-1.json', import.meta.url);
const frozen = JSON.parse(readFileSync(FILE, 'utf8')) as Record<string, string>;

beforeAll(async () => {
  await openSealed();
  if (process.env['CONCLAVE_FREEZE'] !== '1') return;
  for (const { name, make } of VECTOR_CASES) {
    frozen[name] ??= Buffer.from(make(new DeterministicRandom(name))).toString('hex');
  }
  writeFileSync(FILE, `${JSON.stringify(frozen, null, 2)}\n`);
});

test.each(VECTOR_CASES)('$name is made as it was', ({ name, make }) => {
  const made = Buffer.from(make(new DeterministicRandom(name))).toString('hex');
  expect(made).toBe(frozen[name]);
});

test.each(VECTOR_CASES.filter(({ open }) => open !== undefined))(
  '$name opens as it did',
  ({ name, open }) => {
    const content = open?.(fromHex(frozen[name] ?? ''), new DeterministicRandom(name));
    expect(content).toEqual(name === 'key ring' ? new Uint8Array(0) : ascii(CONTENT));
  },
);

// Attack row K01.
test('every frozen vector has its case', () => {
  expect(Object.keys(frozen).toSorted()).toEqual(VECTOR_CASES.map(({ name }) => name).toSorted());
});
