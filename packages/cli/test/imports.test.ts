import { existsSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect, test } from '@jest/globals';

const STATEMENT = /^(?:import|export)\s(?!type\b)[^;]*?from '([^']+)';/gm;

/** What a file loads when it is loaded itself: no types, no `import()`. */
function loaded(path: string): readonly string[] {
  return [...readFileSync(path, 'utf8').matchAll(STATEMENT)].map(([, from = '']) => from);
}

/** Packages that are loaded before the first command has begun. */
function packagesBehind(entry: string): readonly string[] {
  const packages = new Set<string>();
  const seen = new Set<string>();
  const left = [entry];
  for (let path = left.pop(); path !== undefined; path = left.pop()) {
    if (seen.has(path)) continue;
    seen.add(path);
    for (const from of loaded(path)) {
      if (!from.startsWith('.')) packages.add(from);
      else left.push(join(dirname(path), from.replace(/\.js$/, '.ts')));
    }
  }
  expect(seen.size).toBeGreaterThan(30);
  for (const path of seen) expect(existsSync(path)).toBe(true);
  return [...packages].toSorted();
}

test('help and version load neither gRPC nor the sealing code', () => {
  const entry = fileURLToPath(new URL('../src/command.ts', import.meta.url));
  expect(packagesBehind(entry)).toEqual([
    '@conclave/kernel',
    'commander',
    'node:crypto',
    'node:perf_hooks',
    'node:tty',
    'node:util',
  ]);
});
