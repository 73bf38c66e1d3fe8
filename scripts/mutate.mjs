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
import { basename, join } from 'node:path';
import process from 'node:process';
import { root } from './lib/ensure.mjs';
import { parseOptions } from './lib/options.mjs';
import { mutations, whyTestsAlone } from './mutations.mjs';

const TABLE = join(root, 'docs/internals/mutations.md');
/** Processor time: a mistake may make a run endless, which counts as noticed. */
const SECONDS_MAX = 300;
/** Long, and about other things than the core. */
const LEFT_OUT = 'test/(node|sim|examples)/|random-cluster|codec|memory-storage|describe';

const { values } = parseOptions({
  only: { type: 'string', default: '' },
  safety: { type: 'boolean', default: false },
  enough: { type: 'boolean', default: false },
  seeds: { type: 'string', default: '300' },
  tests: { type: 'boolean', default: true },
  simulator: { type: 'boolean', default: true },
  results: { type: 'string' },
  help: { type: 'boolean' },
});
if (values.help === true) {
  console.log(`Usage: node scripts/mutate.mjs [--only TEXT] [--safety] [--enough] [--seeds N] [--results FILE]

  --only TEXT     only mistakes whose names contain it
  --safety        only mistakes that concern safety
  --enough        not about mistakes that somebody has noticed already
  --seeds N       seeds for the simulator, default 300
  --no-tests      without unit tests and transcripts
  --no-simulator  without the simulator
  --results FILE  keep results there, and ask only for those that are missing

Writes docs/internals/mutations.md when each mistake is noticed, or everybody was asked about it.`);
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

/** Runs node in the copy, with a limit to its processor time. */
function runNode(folder, args, env = {}) {
  const limited = ['-c', `ulimit -t ${SECONDS_MAX}; exec "$0" "$@"`, process.execPath, ...args];
  return spawnSync('/bin/sh', limited, {
    cwd: folder,
    encoding: 'utf8',
    maxBuffer: 64 << 20,
    env: { ...process.env, ...env },
  });
}

/** @returns the first seed that fails, and how; null if none does */
function simulate(folder) {
  const result = runNode(folder, ['seeds.mjs', values.seeds]);
  if (result.status === 0) return null;
  const line = result.stdout.trim().split('\n').at(-1);
  if (line.startsWith('{')) return JSON.parse(line);
  return { seed: 0, message: result.signal === null ? 'does not run' : 'does not end' };
}

/** @returns the first test that fails; null if none does */
function test(folder) {
  const paths = ['test/transcript/raft', 'packages/raft-ts/test'];
  const options = ['--runInBand', '--bail', '--testPathIgnorePatterns', LEFT_OUT];
  const jest = join(root, 'node_modules/jest/bin/jest.js');
  const result = runNode(folder, [jest, ...paths, ...options], {
    NODE_OPTIONS: '--experimental-vm-modules --disable-warning=ExperimentalWarning',
  });
  if (result.status === 0) return null;
  if (result.signal !== null) return { first: 'does not end' };
  const file = /^FAIL (\S+)/m.exec(result.stderr)?.[1] ?? '';
  const name = /^ *● (.+)$/m.exec(result.stderr)?.[1] ?? 'does not run';
  return { first: `${basename(file)}: ${name}` };
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

/** Adds what is missing to the result of a mistake. */
function judge(folder, mutation, result) {
  return withMistake(folder, mutation, () => {
    if (values.simulator && result.simulator === undefined) {
      compile(folder);
      result.simulator = simulate(folder);
    }
    if (values.tests && result.test === undefined) result.test = test(folder);
  });
}

const cell = (text) => text.replaceAll('|', '\\|').replaceAll('\n', ' ').slice(0, 90);

const NOT_ASKED = 'not asked';

function tableOf(results) {
  const isFound = ({ name }) => Boolean(results[name].simulator);
  const isTested = ({ name }) => Boolean(results[name].test);
  const isNoticed = (mutation) => isFound(mutation) || isTested(mutation);
  const rows = mutations.map(({ name, isSafety }) => {
    const { simulator, test: first } = results[name];
    const seed = simulator && `seed ${simulator.seed}: ${simulator.message}`;
    const found = simulator === undefined ? NOT_ASKED : cell(seed ?? '');
    const tested = first === undefined ? NOT_ASKED : cell(first?.first ?? '');
    return `| ${name} | ${isSafety ? 'yes' : ''} | ${found} | ${tested} |`;
  });
  const safety = mutations.filter(({ isSafety }) => isSafety);
  const last = Math.max(...mutations.map(({ name }) => results[name].simulator?.seed ?? 0));
  const count = (list, is) => list.filter(is).length;
  const left = mutations
    .filter((mutation) => !isNoticed(mutation))
    .map(({ name, why }) => `- ${name}: ${why ?? 'no reason known'}`);
  const missed = safety
    .filter((mutation) => !isFound(mutation))
    .map(({ name }) => `- ${name}: ${whyTestsAlone[name] ?? 'no reason known'}`);
  return `# Deliberate mistakes

Written by \`node scripts/mutate.mjs\`: each mistake of \`scripts/mutations.mjs\` is put into a copy of
raft-ts, one at a time, and it is noted who notices it: the simulator, which runs seeds 1 to
${values.seeds} and stops at the first failure, and the transcripts and unit tests, of which the first one that
fails is named. "Not asked" says that somebody else had noticed already.

${count(mutations, isNoticed)} of ${mutations.length} mistakes are noticed. Of the ${safety.length} that concern safety, ${count(safety, isNoticed)} are noticed,
${count(safety, isFound)} of them by the simulator within ${last} seeds.

| Mistake | Safety | Simulator | Transcripts and unit tests |
| --- | --- | --- | --- |
${rows.join('\n')}
${section('Not noticed', left)}${section('About safety, and found by tests alone', missed)}`;
}

const section = (title, lines) =>
  lines.length === 0 ? '' : `\n## ${title}\n\n${lines.join('\n')}\n`;

function show(name, { simulator, test: first }) {
  const lines = [name];
  if (simulator) lines.push(`  simulator ${simulator.seed}: ${cell(simulator.message)}`);
  if (first) lines.push(`  test: ${cell(first.first)}`);
  if (!simulator && !first) lines.push('  NOT NOTICED');
  console.log(lines.join('\n'));
}

const results =
  values.results !== undefined && existsSync(values.results)
    ? JSON.parse(readFileSync(values.results, 'utf8'))
    : {};
/** Whether somebody is to be asked about a mistake and has not been asked yet. */
function isDue({ name, isSafety }) {
  const { simulator, test: first } = results[name] ?? {};
  const isNoticed = Boolean(simulator) || Boolean(first);
  if (isNoticed && values.enough) return false;
  const isOpen =
    (values.simulator && simulator === undefined) || (values.tests && first === undefined);
  return isOpen && name.includes(values.only) && (isSafety || !values.safety);
}

const due = mutations.filter(isDue);
const folder = makeCopy();
let isBroken = false;
try {
  // Without a mistake nobody may notice anything.
  const nothing = {};
  if (due.length > 0) judge(folder, { patches: [] }, nothing);
  if (nothing.simulator || nothing.test) {
    show('without any mistake', nothing);
    isBroken = true;
  }
  for (const mutation of isBroken ? [] : due) {
    const { name } = mutation;
    const result = (results[name] ??= {});
    const broken = judge(folder, mutation, result);
    if (broken !== undefined) {
      console.log(`${name}: ${broken.problem}`);
      isBroken = true;
      continue;
    }
    show(name, result);
    if (values.results !== undefined) writeFileSync(values.results, JSON.stringify(results));
  }
} finally {
  rmSync(folder, { recursive: true, force: true });
}
/** Everybody was asked, or somebody has noticed. */
function isWhole({ name }) {
  const { simulator, test: first } = results[name] ?? {};
  return Boolean(simulator) || Boolean(first) || (simulator === null && first === null);
}
if (mutations.every(isWhole)) {
  writeFileSync(TABLE, tableOf(results));
  console.log(`wrote ${TABLE}`);
}
process.exit(isBroken ? 1 : 0);
