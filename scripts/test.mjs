// `npm test`: every tier in order, each in its own process, with one closing line for all of them.
import { spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import process from 'node:process';
import { parseArgs } from 'node:util';
import { ensureBuilt, ensureInstalled, root } from './lib/ensure.mjs';

const TIERS = ['unit', 'cluster', 'attack', 'simulation'];
const DEFAULT_TIERS = ['unit', 'cluster', 'attack'];

const { values, positionals } = parseArgs({
  options: { tier: { type: 'string', multiple: true }, help: { type: 'boolean' } },
  allowPositionals: true,
});
if (values.help === true) {
  console.log(`Usage: npm test [-- --tier ${TIERS.join('|')}] [PATTERN...]

Without --tier: ${DEFAULT_TIERS.join(', then ')}. PATTERN picks test files by path.`);
  process.exit(0);
}
const tiers = values.tier ?? DEFAULT_TIERS;
for (const tier of tiers) {
  if (!TIERS.includes(tier)) {
    console.error(`error: unknown tier; use one of ${TIERS.join(', ')}`);
    process.exit(64);
  }
}

/** Runs jest with one configuration and reads how many tests did what. */
function runTier(tier) {
  const folder = mkdtempSync(join(tmpdir(), 'conclave-test-'));
  const report = join(folder, 'report.json');
  console.log(`\n== ${tier}`);
  const config = tier === 'unit' ? 'jest.config.mjs' : `test/${tier}/jest.config.mjs`;
  const jest = join(root, 'node_modules/jest/bin/jest.js');
  const args = [jest, '--config', config, '--rootDir', root, '--json', '--outputFile', report];
  const result = spawnSync(process.execPath, [...args, ...positionals], {
    cwd: root,
    stdio: ['ignore', 'ignore', 'inherit'],
    env: {
      ...process.env,
      NODE_OPTIONS: '--experimental-vm-modules --disable-warning=ExperimentalWarning',
    },
  });
  const counted = existsSync(report) ? JSON.parse(readFileSync(report, 'utf8')) : undefined;
  rmSync(folder, { recursive: true, force: true });
  if (counted === undefined) return { passed: 0, failed: 1, skipped: 0 };
  const suites = counted.numRuntimeErrorTestSuites;
  const hasFailedSilently = result.status !== 0 && counted.numFailedTests + suites === 0;
  return {
    passed: counted.numPassedTests,
    failed: counted.numFailedTests + suites + (hasFailedSilently ? 1 : 0),
    skipped: counted.numPendingTests,
  };
}

ensureInstalled();
if (tiers.includes('cluster') || tiers.includes('attack')) ensureBuilt();
const total = { passed: 0, failed: 0, skipped: 0 };
for (const tier of tiers) {
  const counts = runTier(tier);
  for (const key of Object.keys(total)) total[key] += counts[key];
}
const skipped = total.skipped > 0 ? `, ${total.skipped} skipped` : '';
console.log(`\n${total.passed} passed, ${total.failed} failed${skipped}`);
// A skip says that this machine lacks something; CI must have everything.
const isIncomplete = process.env.CI === 'true' && total.skipped > 0;
if (isIncomplete) console.log('error: tests were skipped, and CI must run all of them');
process.exit(total.failed > 0 || isIncomplete || total.passed === 0 ? 1 : 0);
