// Puts each deliberate mistake into a copy of raft-ts, one at a time, and sees who notices it: the
// unit tests, the transcripts, or the simulator. The checkout is not touched.
import { spawnSync } from 'node:child_process';
import {
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import process from 'node:process';
import { parseArgs } from 'node:util';
import { root } from './lib/ensure.mjs';
import { mutations } from './mutations.mjs';

const TABLE = join(root, 'docs/internals/mutations.md');
/** A mistake may make a run endless, which counts as noticed. */
const SIMULATOR_MS_MAX = 240_000;
const JEST_MS_MAX = 300_000;
/** Long, and about other things than the core. */
const LEFT_OUT = 'test/(node|sim|examples)/|random-cluster|codec|memory-storage|describe';

const { values } = parseArgs({
  options: {
    only: { type: 'string', default: '' },
    seeds: { type: 'string', default: '300' },
    tests: { type: 'boolean', default: true },
    simulator: { type: 'boolean', default: true },
    results: { type: 'string' },
    all: { type: 'boolean', default: false },
    help: { type: 'boolean' },
  },
  allowNegative: true,
});
if (values.help === true) {
  console.log(`Usage: node scripts/mutate.mjs [--only TEXT] [--seeds N] [--all] [--results FILE]

  --only TEXT     only mistakes whose names contain it
  --seeds N       seeds for the simulator, default 300
  --no-tests      without unit tests and transcripts
  --no-simulator  without the simulator
  --all           ask everybody, also when somebody has noticed already
  --results FILE  keep results there and go on where an earlier call ended

Writes docs/internals/mutations.md when all mistakes have a result.`);
  process.exit(0);
}

/** Modules as in the checkout, except that the packages are those of the copy. */
function linkModules(folder) {
  const from = join(root, 'node_modules');
  const to = join(folder, 'node_modules');
  mkdirSync(to);
  for (const name of readdirSync(from)) {
    if (name !== 'raft-ts') symlinkSync(join(from, name), join(to, name));
  }
  symlinkSync(join(folder, 'packages/raft-ts'), join(to, 'raft-ts'));
}

function makeCopy() {
  const folder = mkdtempSync(join(tmpdir(), 'conclave-mutate-'));
  for (const name of ['jest.config.mjs', 'tsconfig.base.json', 'package.json']) {
    cpSync(join(root, name), join(folder, name));
  }
  const isWanted = (path) => !/\/(?:dist|node_modules|cli)$/.test(path);
  for (const name of ['packages/raft-ts', 'test/transcript']) {
    cpSync(join(root, name), join(folder, name), { recursive: true, filter: isWanted });
  }
  linkModules(folder);
  writeFileSync(join(folder, 'seeds.mjs'), SEEDS);
  return folder;
}

/** Runs in the copy: seeds until one fails. */
const SEEDS = `
import { runSimulation } from './packages/raft-ts/dist/sim/index.js';
for (let seed = 1; seed <= Number(process.argv[2]); seed++) {
  const { failure } = runSimulation({ seed });
  if (failure === undefined) continue;
  console.log(JSON.stringify({ seed, message: failure.message.split('\\n')[0] }));
  process.exit(1);
}
`;

function compile(folder) {
  // Left-over names are errors of the compiler, but it writes its output.
  const args = ['-p', 'packages/raft-ts', '--incremental', 'false', '--composite', 'false'];
  spawnSync(join(root, 'node_modules/.bin/tsc'), args, { cwd: folder });
}

function simulate(folder) {
  const result = spawnSync(process.execPath, ['seeds.mjs', values.seeds], {
    cwd: folder,
    encoding: 'utf8',
    timeout: SIMULATOR_MS_MAX,
  });
  if (result.status === 0) return undefined;
  const line = result.stdout.trim().split('\n').at(-1);
  if (line.startsWith('{')) return JSON.parse(line);
  return { seed: 0, message: result.signal === null ? 'does not run' : 'does not end' };
}

/** Runs test files until one fails. @returns the first test that fails */
function jest(folder, paths) {
  const args = [join(root, 'node_modules/jest/bin/jest.js'), ...paths, '--runInBand', '--bail'];
  const result = spawnSync(process.execPath, [...args, '--testPathIgnorePatterns', LEFT_OUT], {
    cwd: folder,
    encoding: 'utf8',
    timeout: JEST_MS_MAX,
    maxBuffer: 64 << 20,
    env: {
      ...process.env,
      NODE_OPTIONS: '--experimental-vm-modules --disable-warning=ExperimentalWarning',
    },
  });
  if (result.signal !== null) return { first: 'does not end' };
  if (result.status === 0) return undefined;
  return { first: /^ *● (.+)$/m.exec(result.stderr)?.[1] ?? 'does not run' };
}

function withMistake(folder, { patches }, work) {
  const before = new Map();
  for (const [name, search, replace] of patches) {
    const path = join(folder, 'packages/raft-ts/src', name);
    const text = readFileSync(path, 'utf8');
    if (!before.has(path)) before.set(path, text);
    if (text.split(search).length !== 2)
      return { problem: `${name} has not exactly one: ${search}` };
    writeFileSync(
      path,
      text.replace(search, () => replace),
    );
  }
  try {
    return work();
  } finally {
    for (const [path, text] of before) writeFileSync(path, text);
  }
}

function judge(folder, mutation) {
  return withMistake(folder, mutation, () => {
    const result = {};
    const isOpen = () => values.all || Object.values(result).every((seen) => seen === undefined);
    if (values.simulator) {
      compile(folder);
      result.simulator = simulate(folder);
    }
    if (values.tests && isOpen()) result.transcript = jest(folder, ['test/transcript/raft']);
    if (values.tests && isOpen()) result.test = jest(folder, ['packages/raft-ts/test']);
    return result;
  });
}

const cell = (text) => text.replaceAll('|', '\\|').replaceAll('\n', ' ').slice(0, 90);

function tableOf(results) {
  const rows = mutations.map(({ name, isSafety }) => {
    const { simulator, test, transcript } = results[name];
    const found =
      simulator === undefined ? '' : `seed ${simulator.seed}: ${cell(simulator.message)}`;
    const tests = test === undefined ? '' : cell(test.first);
    const scripts = transcript === undefined ? '' : cell(transcript.first);
    return `| ${name} | ${isSafety ? 'yes' : ''} | ${found} | ${scripts} | ${tests} |`;
  });
  const isNoticed = ({ name }) => Object.keys(results[name]).length > 0;
  const noticed = mutations.filter(isNoticed);
  const unnoticed = mutations.filter((mutation) => !isNoticed(mutation));
  const safety = mutations.filter(({ isSafety }) => isSafety);
  const bySimulator = safety.filter(({ name }) => results[name].simulator !== undefined);
  const left = unnoticed.map(({ name, why }) => `- ${name}: ${why ?? 'no reason known'}`);
  return `# Deliberate mistakes

Written by \`node scripts/mutate.mjs\`: each mistake of \`scripts/mutations.mjs\` is put into a copy of
raft-ts, and it is noted who notices it. The simulator runs seeds 1 to ${values.seeds} and stops at the
first failure; of transcripts and tests the first one that fails is named.
${values.all ? '' : 'They are asked only about mistakes that nobody before them has noticed.\n'}
${noticed.length} of ${mutations.length} mistakes are noticed; of the ${safety.length} that concern safety,
${safety.filter(isNoticed).length} are noticed, ${bySimulator.length} by the simulator.

| Mistake | Safety | Simulator | Transcripts | Unit tests |
| --- | --- | --- | --- | --- |
${rows.join('\n')}
${left.length === 0 ? '' : `\n## Not noticed\n\n${left.join('\n')}\n`}`;
}

const results =
  values.results !== undefined && existsSync(values.results)
    ? JSON.parse(readFileSync(values.results, 'utf8'))
    : {};
const folder = makeCopy();
let isBroken = false;
try {
  for (const mutation of mutations) {
    const { name } = mutation;
    if (!name.includes(values.only) || results[name] !== undefined) continue;
    const result = judge(folder, mutation);
    if (result.problem !== undefined) {
      console.log(`${name}: ${result.problem}`);
      isBroken = true;
      continue;
    }
    results[name] = JSON.parse(JSON.stringify(result));
    const seen = Object.entries(results[name]).map(([who, { seed, message, first }]) =>
      cell(first === undefined ? `${who} ${seed}: ${message}` : `${who}: ${first}`),
    );
    console.log(`${name}\n  ${seen.length === 0 ? 'NOT NOTICED' : seen.join('\n  ')}`);
    if (values.results !== undefined) writeFileSync(values.results, JSON.stringify(results));
  }
} finally {
  rmSync(folder, { recursive: true, force: true });
}
if (mutations.every(({ name }) => results[name] !== undefined)) {
  writeFileSync(TABLE, tableOf(results));
  console.log(`wrote ${TABLE}`);
}
process.exit(isBroken ? 1 : 0);
