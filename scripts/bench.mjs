// `npm run bench`: figures of this machine, medians of several rounds. Prints; never fails a build.
// With `--raft`, those of the Raft library by itself.
import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import process from 'node:process';
import { ensureBuilt, ensureInstalled, root, step } from './lib/ensure.mjs';

const given = process.argv.slice(2);

/** What to run, with everything it needs in place. */
function programOf() {
  if (given.includes('--raft')) {
    ensureInstalled();
    step('compiling', join(root, 'node_modules/.bin/tsc'), ['-b', 'packages/raft-ts']);
    const rest = given.filter((one) => one !== '--raft');
    return [join(root, 'packages/raft-ts/bench/run.mjs'), ...rest];
  }
  ensureBuilt();
  const tsx = join(root, 'node_modules/tsx/dist/cli.mjs');
  const main = join(root, 'test/bench/main.ts');
  return [tsx, '--conditions', '@conclave/source', main, ...given];
}

const result = spawnSync(process.execPath, programOf(), { stdio: 'inherit' });
process.exit(result.status ?? 1);
