// `npm run bench -- --raft`: figures of this machine as a table.
//
// RAFT_BENCH_OTHERS names a folder with a node_modules in which other packages are installed; they
// are never dependencies of this repository. Without it they are left out.
import { execFileSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { cpus } from 'node:os';
import { join } from 'node:path';
import process from 'node:process';

if (process.argv.length > 2) {
  process.stderr.write(`error: unknown option ${process.argv[2]}\n`);
  process.exit(64);
}
const SIZES = [1, 3, 5];
const OTHERS = ['@markwylde/liferaft'];
const FLAGS = ['--expose-gc', '--max-semi-space-size=512'];
const LIMIT_MS = 90_000;
const scratch = existsSync('/dev/shm') ? '/dev/shm' : (process.env.TMPDIR ?? '/tmp');
const say = (line) => process.stdout.write(`${line}\n`);

function measure(module, size, options) {
  const program = join(import.meta.dirname, 'measure.mjs');
  const path = join(import.meta.dirname, module);
  const args = [...FLAGS, program, path, String(size), JSON.stringify(options)];
  const settings = { encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'], timeout: LIMIT_MS };
  try {
    return JSON.parse(execFileSync(process.execPath, args, settings));
  } catch (error) {
    return { problem: error.code === 'ETIMEDOUT' ? 'came to a stop' : 'failed' };
  }
}

function row(name, size, figures) {
  if ('problem' in figures) return say(`| ${name} | ${size} | ${figures.problem} | | | |`);
  const { perSecond, p50, p99, perEntry } = figures;
  const bytes = perEntry === undefined ? 'not measured' : `${(perEntry / 1024).toFixed(1)} KiB`;
  const times = `${p50.toFixed(2)} ms | ${p99.toFixed(2)} ms`;
  return say(`| ${name} | ${size} | ${Math.round(perSecond)} | ${times} | ${bytes} |`);
}

say(`Node ${process.version}, ${cpus().length} cores, ${cpus()[0]?.model ?? 'unknown'}\n`);
say('| | members | proposals/s | p50 | p99 | allocated per entry |');
say('| --- | --- | --- | --- | --- | --- |');
for (const size of SIZES) row('raft-ts', size, measure('raft-ts.mjs', size, {}));
const folder = process.env.RAFT_BENCH_OTHERS;
for (const name of OTHERS) {
  if (folder === undefined || !existsSync(join(folder, 'node_modules', name))) {
    say(`\n${name}: left out, RAFT_BENCH_OTHERS names no folder that has it.`);
    continue;
  }
  for (const size of SIZES)
    row(name, size, measure('liferaft.mjs', size, { folder, name, scratch }));
}
