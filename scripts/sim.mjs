// `npm run sim`: runs the simulator over many seeds, replays one, and keeps what fails for ever.
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import process from 'node:process';
import { parseArgs } from 'node:util';
import { ensureInstalled, root, step } from './lib/ensure.mjs';

const REGRESSIONS = join(root, 'test/simulation/regressions.json');
/** Every n-th run also reads the log lines, which is slow. */
const MARKS_EVERY = 16;

const { values } = parseArgs({
  options: {
    seeds: { type: 'string', default: '200' },
    from: { type: 'string', default: '1' },
    seed: { type: 'string' },
    events: { type: 'string' },
    seconds: { type: 'string' },
    set: { type: 'string', multiple: true, default: [] },
    coverage: { type: 'boolean', default: false },
    keep: { type: 'boolean', default: true },
    shrink: { type: 'boolean', default: true },
    help: { type: 'boolean' },
  },
  allowNegative: true,
});
if (values.help === true) {
  console.log(`Usage: npm run sim -- [--seeds N] [--from S] [--seconds N] [--events N]
       npm run sim -- --seed S        replay one seed and show its script

  --seeds N     how many seeds, default 200
  --from S      the first seed, default 1
  --seconds N   stop after this time
  --events N    events per run before the faults end
  --set P=V     fix a parameter, e.g. --set voters=3
  --coverage    list what was never met
  --no-shrink   leave a failing run as it is
  --no-keep     do not add it to test/simulation/regressions.json`);
  process.exit(0);
}

/** A whole number from the command line. */
function number(name, text) {
  const value = Number(text);
  if (Number.isSafeInteger(value) && value >= 0) return value;
  console.error(`error: --${name} needs a whole number`);
  process.exit(64);
}

ensureInstalled();
step('compiling', join(root, 'node_modules/.bin/tsc'), ['-b', 'packages/raft-ts']);
const { Coverage, MarkReader, markNames, runSimulation, shrink } = await import(
  join(root, 'packages/raft-ts/dist/sim/index.js')
);

const parameters = {};
if (values.events !== undefined) parameters.eventsMax = number('events', values.events);
for (const setting of values.set) {
  const [name, value] = setting.split('=');
  parameters[name] = JSON.parse(value ?? 'null');
}

/** Shows a failure and stores it, made as small as possible. */
function report(result) {
  console.log(
    `\nseed ${result.seed} fails after ${result.events} events: ${result.failure.message}`,
  );
  console.log(`parameters ${JSON.stringify(result.parameters)}`);
  console.log(`the last ${result.lines.length} events:\n${result.lines.join('\n')}`);
  if (result.failure.cause !== undefined) console.log(result.failure.cause);
  let { plan, parameters: used } = result;
  if (values.shrink) {
    ({ plan, parameters: used } = shrink(result));
    const script = [];
    const small = runSimulation({ seed: result.seed, parameters: used, plan, script });
    console.log(`\nthe same with ${plan.length} of ${result.plan.length} actions:`);
    console.log(script.join('\n'));
    console.log(small.failure?.message);
  }
  console.log(`\nrepeat with: npm run sim -- --seed ${result.seed}`);
  if (values.keep) keep({ seed: result.seed, parameters: used, plan }, result.failure);
}

function keep({ seed, parameters: used, plan }, failure) {
  const known = existsSync(REGRESSIONS) ? JSON.parse(readFileSync(REGRESSIONS, 'utf8')) : [];
  const rows = plan.map(({ at, kind, x, y, z }) => [at, kind, x, y, z]);
  known.push({ name: failure.message, seed, parameters: used, plan: rows });
  const lines = known.map((one) => `  ${JSON.stringify(one)}`);
  writeFileSync(REGRESSIONS, `[\n${lines.join(',\n')}\n]\n`);
  console.log(`kept in test/simulation/regressions.json`);
}

function replay(seed) {
  const script = [];
  const result = runSimulation({ seed, parameters, script });
  console.log(`parameters ${JSON.stringify(result.parameters)}`);
  console.log(script.join('\n'));
  console.log(`${result.events} events, ${result.commit} entries committed`);
  if (result.failure === undefined) console.log('all invariants held');
  else report(result);
  return result.failure === undefined ? 0 : 1;
}

function runMany() {
  const first = number('from', values.from);
  const last = first + number('seeds', values.seeds) - 1;
  const deadline =
    values.seconds === undefined ? Infinity : number('seconds', values.seconds) * 1e3;
  const coverage = new Coverage();
  const isTerminal = process.stderr.isTTY === true;
  const started = performance.now();
  let events = 0;
  let failures = 0;
  let seed = first;
  // Reading log lines is slow, and not part of the speed.
  let plainEvents = 0;
  let plainMicros = 0;
  for (; seed <= last && performance.now() - started < deadline; seed++) {
    const hasMarks = seed % MARKS_EVERY === 0;
    const before = process.cpuUsage();
    const result = runSimulation({
      seed,
      parameters,
      coverage,
      ...(hasMarks ? { logger: new MarkReader(coverage) } : {}),
    });
    const { user, system } = process.cpuUsage(before);
    events += result.events;
    if (!hasMarks) {
      plainEvents += result.events;
      plainMicros += user + system;
    }
    if (result.failure !== undefined) {
      failures++;
      report(result);
    }
    if (isTerminal && seed % 8 === 0) {
      process.stderr.write(`\r  seed ${seed} of ${last}, ${events} events, ${failures} failures `);
    }
  }
  if (isTerminal) process.stderr.write('\r\x1b[K');
  showCoverage(coverage);
  const rate = plainMicros === 0 ? 0 : Math.round((plainEvents / plainMicros) * 1e6);
  console.log(
    `${seed - first} seeds, ${events} events, ${rate} events per second of processor time`,
  );
  console.log(`${seed - first - failures} passed, ${failures} failed`);
  return failures === 0 ? 0 : 1;
}

function showCoverage(coverage) {
  const counts = coverage.counts();
  const marks = markNames();
  for (const [what, count] of counts) {
    if (!what.startsWith('rule ')) console.log(`${String(count).padStart(10)}  ${what}`);
  }
  const missing = marks.filter((mark) => !counts.has(mark));
  const { hit, missed } = coverage.cells();
  console.log(`marks of rules: ${marks.length - missing.length} of ${marks.length}`);
  if (missing.length > 0) console.log(`  never met: ${missing.join('; ')}`);
  console.log(`role x message x term: ${hit} of ${hit + missed.length} cells`);
  if (values.coverage) console.log(`  never met: ${missed.join('; ')}`);
}

process.exit(values.seed === undefined ? runMany() : replay(number('seed', values.seed)));
