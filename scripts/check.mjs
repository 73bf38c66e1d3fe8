// `npm run check`: types, lint, import graph, floors, format. Every step runs; all failures show.
import { spawn } from 'node:child_process';
import { availableParallelism } from 'node:os';
import { join } from 'node:path';
import process from 'node:process';
import { ensureInstalled, root } from './lib/ensure.mjs';

ensureInstalled();
const bin = (name) => join(root, 'node_modules/.bin', name);
// In a place of its own: prettier deletes its usual cache whenever it runs without one.
const FORMAT_CACHE = ['--cache', '--cache-location', 'node_modules/.cache/format'];
const steps = [
  ['types', bin('tsc'), ['-b']],
  ['types of tests', bin('tsc'), ['-p', 'tsconfig.test.json']],
  ['lint', bin('oxlint'), ['--type-aware', '--deny-warnings', 'packages', 'test', 'scripts']],
  ['import graph', bin('depcruise'), ['--config', '.dependency-cruiser.mjs', 'packages']],
  ['floors and tidiness', process.execPath, ['scripts/tidy.mjs']],
  ['generated files', process.execPath, ['scripts/generate.mjs', '--check']],
  ['format', bin('prettier'), ['--check', ...FORMAT_CACHE, '--log-level', 'warn', '.']],
];
let failed = 0;

/** Runs one step; its output shows only when it fails. */
function run([title, command, args]) {
  const started = Date.now();
  return new Promise((resolve) => {
    const child = spawn(command, args, { cwd: root, stdio: ['ignore', 'pipe', 'pipe'] });
    let output = '';
    const collect = (chunk) => {
      output += chunk;
    };
    child.stdout.on('data', collect);
    child.stderr.on('data', collect);
    child.on('error', collect);
    child.on('close', (status) => {
      const seconds = ((Date.now() - started) / 1000).toFixed(1);
      console.log(`${status === 0 ? 'ok  ' : 'FAIL'}  ${title}  ${seconds} s`);
      if (status !== 0) {
        failed += 1;
        console.log(output.trimEnd());
      }
      resolve();
    });
  });
}

// The types come first: what lint and the import graph read is compiled by then.
const [types, ...rest] = steps;
await run(types);
const worker = async () => {
  for (let step = rest.shift(); step !== undefined; step = rest.shift()) await run(step);
};
await Promise.all(Array.from({ length: Math.min(availableParallelism(), 4) }, worker));
process.exit(failed === 0 ? 0 : 1);
