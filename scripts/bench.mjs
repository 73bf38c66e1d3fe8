// `npm run bench`: figures of this machine, medians of several rounds. Prints; never fails a build.
import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import process from 'node:process';
import { ensureBuilt, root } from './lib/ensure.mjs';

ensureBuilt();
const tsx = join(root, 'node_modules/tsx/dist/cli.mjs');
const args = [tsx, '--conditions', '@conclave/source', join(root, 'test/bench/main.ts')];
const result = spawnSync(process.execPath, [...args, ...process.argv.slice(2)], {
  stdio: 'inherit',
});
process.exit(result.status ?? 1);
