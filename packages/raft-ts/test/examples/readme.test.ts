import { execFile } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import { dirname, join, relative } from 'node:path';
import { promisify } from 'node:util';
import { describe, expect, test } from '@jest/globals';

const PACKAGE = join(import.meta.dirname, '../..');
const PAGES = ['README.md', ...list('docs'), ...list('examples'), ...list('bench')];
const FENCE = /^```(\S*) ?(.*)$/;
const REGION = /^\s*\/\/ #(region|endregion) ?(.*)$/;

function list(folder: string): string[] {
  const names = readdirSync(join(PACKAGE, folder), { recursive: true, encoding: 'utf8' });
  return names.filter((name) => name.endsWith('.md')).map((name) => join(folder, name));
}

interface Block {
  readonly page: string;
  readonly line: number;
  readonly language: string;
  /** `FILE` or `FILE#REGION`, relative to the page. */
  readonly source: string;
  readonly code: string;
}

/** The fenced blocks of a page. */
function blocksOf(page: string): Block[] {
  const lines = readFileSync(join(PACKAGE, page), 'utf8').split('\n');
  const blocks: Block[] = [];
  for (let at = 0; at < lines.length; at++) {
    const [, language, source] = FENCE.exec(lines[at]!) ?? [];
    if (language === undefined) continue;
    const end = lines.indexOf('```', at + 1);
    const code = lines.slice(at + 1, end).join('\n');
    blocks.push({ page, line: at + 1, language, source: source ?? '', code });
    at = end;
  }
  return blocks;
}

/** A file, or a region of it without its indentation; markers of regions are left out. */
function sourceOf({ page, source }: Block): string {
  const [file, region] = source.split('#') as [string, string?];
  const lines = readFileSync(join(PACKAGE, dirname(page), file), 'utf8')
    .trimEnd()
    .split('\n');
  const wanted: string[] = [];
  let isInside = region === undefined;
  for (const line of lines) {
    const [, mark, name] = REGION.exec(line) ?? [];
    if (mark === 'region' && name === region) isInside = true;
    else if (mark === 'endregion' && region !== undefined) isInside = false;
    else if (mark === undefined && isInside) wanted.push(line);
  }
  const indents = wanted.filter((line) => line !== '').map((line) => /^ */.exec(line)![0].length);
  return wanted.map((line) => line.slice(Math.min(...indents))).join('\n');
}

const blocks = PAGES.flatMap(blocksOf).filter(({ language }) => language === 'ts');

describe('code in the pages', () => {
  test('there is some in the README and in the guides', () => {
    expect(blocks.filter(({ page }) => page === 'README.md').length).toBeGreaterThan(3);
    expect(blocks.filter(({ page }) => page.startsWith('docs')).length).toBeGreaterThan(3);
  });

  test.each(blocks.map((block) => [`${block.page}:${block.line}`, block] as const))(
    '%s is that of its example, which is tested',
    (_, block) => {
      expect(block.source).toMatch(/examples\/.+\.ts(?:#\w+)?$/);
      expect(block.code).toBe(sourceOf(block));
      expect(block.code).not.toBe('');
    },
  );

  test('the examples have types', async () => {
    const compiler = join(PACKAGE, '../../node_modules/typescript/bin/tsc');
    const project = join(PACKAGE, 'examples');
    const run = promisify(execFile)(process.execPath, [compiler, '-p', project]);
    await expect(run.catch((error: { stdout: string }) => error)).resolves.toMatchObject({
      stdout: '',
    });
  }, 60_000);
});

test('every entry point in the table of the README is exported, and the other way round', () => {
  const manifest = JSON.parse(readFileSync(join(PACKAGE, 'package.json'), 'utf8')) as {
    exports: Record<string, { types?: string; default?: string }>;
  };
  const readme = readFileSync(join(PACKAGE, 'README.md'), 'utf8');
  const table = [...readme.matchAll(/^\| `raft-ts(\/\w+)?` +\|/gm)].map(([, name]) => name ?? '');
  const exported = Object.keys(manifest.exports).map((name) => name.slice(1));
  expect(table.toSorted()).toEqual(exported.toSorted());
  for (const [name, { types, default: code }] of Object.entries(manifest.exports)) {
    expect([name, types]).toEqual([name, expect.stringMatching(/^\.\/dist\/.+\.d\.ts$/)]);
    expect([name, code]).toEqual([name, expect.stringMatching(/^\.\/dist\/.+\.js$/)]);
  }
});

test('pages outside of the package are not linked to from inside', () => {
  // They are not there when the package is installed.
  for (const page of PAGES.filter((name) => !/^(?:examples|bench)/.test(name))) {
    const text = readFileSync(join(PACKAGE, page), 'utf8');
    for (const [, target] of text.matchAll(/\]\(([^)#:]+)(?:#[^)]*)?\)/g)) {
      const path = relative(PACKAGE, join(PACKAGE, dirname(page), target!));
      expect([page, path]).toEqual([page, expect.not.stringMatching(/^\.\./)]);
    }
  }
});
