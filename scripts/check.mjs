// `npm run check`: types, lint, import graph, floors, format. Every step runs; all failures show.
import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import process from 'node:process';
import { ensureInstalled, root } from './lib/ensure.mjs';

ensureInstalled();
const bin = (name) => join(root, 'node_modules/.bin', name);
const steps = [
  ['types', bin('tsc'), ['-b']],
  ['types of tests', bin('tsc'), ['-p', 'tsconfig.test.json']],
  ['lint', bin('oxlint'), ['--type-aware', '--deny-warnings', 'packages', 'test', 'scripts']],
  ['import graph', bin('depcruise'), ['--config', '.dependency-cruiser.mjs', 'packages']],
  ['floors and tidiness', process.execPath, ['scripts/tidy.mjs']],
  ['generated files', process.execPath, ['scripts/generate.mjs', '--check']],
  ['format', bin('prettier'), ['--check', '--log-level', 'warn', '.']],
];
let failed = 0;
for (const [title, command, args] of steps) {
  const started = Date.now();
  const result = spawnSync(command, args, { cwd: root, encoding: 'utf8', maxBuffer: 64 << 20 });
  const seconds = ((Date.now() - started) / 1000).toFixed(1);
  const isGood = result.status === 0;
  console.log(`${isGood ? 'ok  ' : 'FAIL'}  ${title}  ${seconds} s`);
  if (isGood) continue;
  failed += 1;
  console.log(`${result.stdout}${result.stderr}${result.error?.message ?? ''}`.trimEnd());
}
process.exit(failed === 0 ? 0 : 1);
