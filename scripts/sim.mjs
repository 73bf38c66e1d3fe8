// `npm run sim`: runs the simulator over many seeds, replays one, and keeps what fails for ever.
import { spawnSync } from 'node:child_process';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import process from 'node:process';
import { ensureInstalled, root, step } from './lib/ensure.mjs';
import { parseOptions, usageError, wholeNumber } from './lib/options.mjs';

const REGRESSIONS = join(root, 'test/simulation/regressions.json');
/** Every n-th run also reads the log lines, which is slow. */
const MARKS_EVERY = 8;
/** Between two lines of progress where they cannot overwrite each other. */
const PROGRESS_MS = 30_000;
/** A mistake that every run meets is shown and kept only so often. */
const FAILURES_MAX = 5;

const { values } = parseOptions({
  seeds: { type: 'string', default: '200' },
  from: { type: 'string', default: '1' },
  seed: { type: 'string' },
  mode: { type: 'string', default: 'bare' },
  events: { type: 'string' },
  seconds: { type: 'string' },
  set: { type: 'string', multiple: true, default: [] },
  keep: { type: 'boolean', default: true },
  shrink: { type: 'boolean', default: true },
  script: { type: 'string' },
  help: { type: 'boolean' },
});
if (values.help === true) {
  console.log(`Usage: npm run sim -- [--seeds N] [--from S] [--seconds N] [--events N]
       npm run sim -- --seed S        replay one seed and show its script

  --mode M      bare (the core; default), or full (driver and log store on simulated disks)
  --seeds N     how many seeds, default 200
  --from S      the first seed, default 1
  --seconds N   stop after this time
  --events N    events per run before the faults end, default 10000
  --set P=V     fix a parameter, e.g. --set voters=3 --set faults.crash=0
  --script F    bare mode: write what fails (or the seed of --seed) to F as a script in the
                conformance format, which test/transcript/raft can replay
  --no-shrink   leave a failing run as it is
  --no-keep     do not add it to test/simulation/regressions.json

A failure is made as small as possible and added to that file, which CI replays; after
${FAILURES_MAX} failures it stops. The exit status is 1 if a run failed. Parameters are those of SimParameters in
packages/raft-ts/src/sim/parameters.ts, in full mode also of full/parameters.ts.`);
  process.exit(0);
}

const number = (name) => wholeNumber(name, values[name]);
const seeds = number('seeds');
const from = number('from');
const seconds = values.seconds === undefined ? Infinity : number('seconds');
const oneSeed = values.seed === undefined ? undefined : number('seed');
if (values.mode !== 'bare' && values.mode !== 'full') usageError('--mode is bare or full');
if (seeds === 0) usageError('--seeds must be at least 1');
if (values.script !== undefined && values.mode !== 'bare') {
  usageError('--script is for bare mode: the format has nodes, no drivers');
}

ensureInstalled();
step('compiling', join(root, 'node_modules/.bin/tsc'), ['-b', 'packages/raft-ts']);
const simulator = await import(join(root, 'packages/raft-ts/dist/sim/index.js'));
const { Coverage, faultNames, MarkReader, markNames } = simulator;
const [run, shrink, drawParameters] =
  values.mode === 'full'
    ? [simulator.runFullSimulation, simulator.shrinkFull, simulator.drawFullParameters]
    : [simulator.runSimulation, simulator.shrink, simulator.drawParameters];

/** Parameters from the command line; the type of each is that of the drawn value. */
function readParameters() {
  const drawn = drawParameters(oneSeed ?? from);
  const fixed = {};
  if (values.events !== undefined) fixed.eventsMax = number('events');
  for (const setting of values.set) {
    const [, path, text] = /^([\w.]+)=(.*)$/.exec(setting) ?? [];
    if (path === undefined) usageError(`--set ${setting}: write NAME=VALUE`);
    const [name, fault] = path.split('.');
    const known = fault === undefined ? drawn[name] : drawn[name]?.[fault];
    if (known === undefined || typeof known === 'object') {
      usageError(`--set ${path}: no such parameter`);
    }
    const value = text === 'true' ? true : text === 'false' ? false : Number(text);
    if (typeof value !== typeof known || text === '' || Number.isNaN(value) || value < 0) {
      usageError(`--set ${path}: ${text} is no ${typeof known}`);
    }
    if (fault === undefined) fixed[name] = value;
    else fixed[name] = { ...(fixed[name] ?? drawn[name]), [fault]: value };
  }
  return fixed;
}

const parameters = readParameters();

/** Which sources failed. */
function sources() {
  const git = (...args) => spawnSync('git', args, { cwd: root, encoding: 'utf8' }).stdout?.trim();
  const isChanged = git('status', '--porcelain', '--', 'packages/raft-ts') !== '';
  return `${git('rev-parse', 'HEAD') || 'unknown'}${isChanged ? ' with changes' : ''}`;
}

/** Shows a failure and stores it, made as small as possible. */
async function report(result) {
  console.log(
    `\nseed ${result.seed} fails after ${result.events} events: ${result.failure.message}`,
  );
  console.log(`commit ${sources()}`);
  console.log(`parameters ${JSON.stringify(result.parameters)}`);
  console.log(`the last ${result.lines.length} events:\n${result.lines.join('\n')}`);
  if (result.failure.cause !== undefined) console.log(result.failure.cause);
  let { plan, parameters: used } = result;
  if (values.shrink) {
    ({ plan, parameters: used } = await shrink(result));
    const script = [];
    const small = await run({ seed: result.seed, parameters: used, plan, script });
    console.log(`\nthe same with ${plan.length} of ${result.plan.length} actions:`);
    console.log(script.join('\n'));
    console.log(small.failure?.message);
  }
  saveScript({ seed: result.seed, parameters: used, plan });
  const fixed = values.set.map((setting) => ` --set ${setting}`).join('');
  const events = values.events === undefined ? '' : ` --events ${values.events}`;
  const what = `--mode ${values.mode} --seed ${result.seed}${events}${fixed}`;
  console.log(`\nrepeat with: npm run sim -- ${what}`);
  if (values.keep) keep({ seed: result.seed, parameters: used, plan }, result.failure);
}

/** Writes a run as a script, if that was asked for. */
function saveScript(scenario) {
  if (values.script === undefined) return;
  const { script, misfit } = simulator.writeScript(scenario);
  if (script === undefined) {
    console.log(`not written as a script, it does not fit the format: ${misfit}`);
    return;
  }
  writeFileSync(values.script, script);
  console.log(`written as a script: ${values.script}`);
}

function keep({ seed, parameters: used, plan }, failure) {
  const known = existsSync(REGRESSIONS) ? JSON.parse(readFileSync(REGRESSIONS, 'utf8')) : [];
  if (known.some((one) => one.seed === seed && one.name === failure.message)) {
    console.log('is in test/simulation/regressions.json already');
    return;
  }
  const rows = plan.map(({ at, kind, x, y, z }) => [at, kind, x, y, z]);
  known.push({ name: failure.message, mode: values.mode, seed, parameters: used, plan: rows });
  const lines = known.map((one) => `  ${JSON.stringify(one)}`);
  writeFileSync(REGRESSIONS, `[\n${lines.join(',\n')}\n]\n`);
  console.log(`kept in test/simulation/regressions.json`);
}

async function replay(seed) {
  const script = [];
  const result = await run({ seed, parameters, script });
  console.log(`parameters ${JSON.stringify(result.parameters)}`);
  console.log(script.join('\n'));
  console.log(`${result.events} events, ${result.commit} entries committed`);
  if (result.failure === undefined) {
    console.log('all invariants held');
    saveScript(result);
  } else {
    await report(result);
  }
  return result.failure === undefined ? 0 : 1;
}

async function runMany() {
  const last = from + seeds - 1;
  const deadline = seconds * 1e3;
  const coverage = new Coverage();
  const isTerminal = process.stderr.isTTY === true;
  const started = performance.now();
  let events = 0;
  let failures = 0;
  let seed = from;
  let shownAt = started;
  // Reading log lines is slow, and not part of the speed.
  let plainEvents = 0;
  let plainMicros = 0;
  const rate = () => (plainMicros === 0 ? 0 : Math.round((plainEvents / plainMicros) * 1e6));
  const { stackTraceLimit } = Error;
  const isDue = () => performance.now() - started >= deadline || failures >= FAILURES_MAX;
  for (; seed <= last && !isDue(); seed++) {
    const hasMarks = seed % MARKS_EVERY === 0;
    const before = process.cpuUsage();
    // Refused proposals are everyday errors here, and nobody reads where they come from.
    Error.stackTraceLimit = 0;
    const logger = hasMarks ? { logger: new MarkReader(coverage) } : {};
    const result = await run({ seed, parameters, coverage, ...logger });
    Error.stackTraceLimit = stackTraceLimit;
    const { user, system } = process.cpuUsage(before);
    events += result.events;
    if (!hasMarks) {
      plainEvents += result.events;
      plainMicros += user + system;
    }
    if (result.failure !== undefined) {
      failures++;
      await report(await run({ seed, parameters }));
    }
    const now = performance.now();
    if (now - shownAt < (isTerminal ? 200 : PROGRESS_MS)) continue;
    shownAt = now;
    const text = `  seed ${seed} of ${last}, ${events} events, ${rate()}/s, ${failures} failures`;
    process.stderr.write(isTerminal ? `\r${text} ` : `${text}\n`);
  }
  if (isTerminal) process.stderr.write('\r\x1b[K');
  showCoverage(coverage);
  const wall = ((performance.now() - started) / 1000).toFixed(1);
  console.log(
    `${seed - from} seeds, ${events} events in ${wall} s, ` +
      `${rate()} events per second of processor time`,
  );
  if (failures >= FAILURES_MAX) console.log(`stopped after ${failures} failures`);
  console.log(`${seed - from - failures} passed, ${failures} failed`);
  return failures === 0 ? 0 : 1;
}

const list = (title, names) => {
  if (names.length > 0) console.log(`  ${title}: ${names.join('; ')}`);
};

function showCoverage(coverage) {
  const counts = coverage.counts();
  for (const [what, count] of counts) {
    if (!what.startsWith('rule ')) console.log(`${String(count).padStart(10)}  ${what}`);
  }
  for (const [title, names] of [
    ['kinds of faults', faultNames()],
    ['marks of rules', markNames()],
  ]) {
    const missing = names.filter((name) => !counts.has(name));
    console.log(`${title}: ${names.length - missing.length} of ${names.length}`);
    list('never met', missing);
  }
  const { hit, missed, impossible } = coverage.cells();
  console.log(`role x message x term: ${hit} of ${hit + missed.length} cells that can be`);
  list('met, and taken for impossible', impossible);
  list('never met', missed);
}

process.exit(await (oneSeed === undefined ? runMany() : replay(oneSeed)));
