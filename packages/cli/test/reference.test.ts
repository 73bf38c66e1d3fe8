import { readFileSync, writeFileSync } from 'node:fs';
import { expect, test } from '@jest/globals';
import { COMMANDS } from '../src/commands/index.js';
import { renderReference } from '../src/reference.js';

const page = new URL('../../../docs/reference/cli.md', import.meta.url);

// CONCLAVE_REWRITE=1 writes the page anew; the difference is then reviewed as any other.
test('docs/reference/cli.md is the command tree', () => {
  const rendered = renderReference(COMMANDS);
  if (process.env['CONCLAVE_REWRITE'] === '1') writeFileSync(page, rendered);
  expect(readFileSync(page, 'utf8')).toBe(rendered);
});

test('the page names every command, option and field', () => {
  const rendered = renderReference(COMMANDS);
  for (const { fields, options, path } of COMMANDS) {
    expect(rendered).toContain(`### conclave ${path}\n`);
    for (const { flags } of options ?? [])
      expect(rendered).toContain(`\`${flags.replace('|', '\\|')}\``);
    for (const field of fields ?? []) expect(rendered).toContain(`\`${field}\``);
  }
});
