// What linters cannot see: the floor table against manifests and imports, owners of libraries,
// exact versions, left-overs, error codes that are documented, thrown and tested, pages with a title
// and links that lead somewhere.
import { readdirSync, readFileSync, existsSync } from 'node:fs';
import { join, relative } from 'node:path';
import process from 'node:process';
import { root } from './lib/ensure.mjs';
import { pageProblems } from './lib/pages.mjs';

const rules = JSON.parse(readFileSync(join(root, 'scripts/floors.json'), 'utf8'));
const problems = [];
const report = (place, text) => problems.push(`${place}: ${text}`);

function* filesBelow(folder, pattern) {
  if (!existsSync(folder)) return;
  for (const entry of readdirSync(folder, { withFileTypes: true })) {
    const path = join(folder, entry.name);
    if (entry.isDirectory()) {
      if (!['node_modules', 'dist', 'bundle', '.git', '.nx'].includes(entry.name)) {
        yield* filesBelow(path, pattern);
      }
    } else if (pattern.test(entry.name)) yield path;
  }
}

const folders = readdirSync(join(root, 'packages'));
const manifests = new Map(
  folders.map((name) => [
    name,
    JSON.parse(readFileSync(join(root, 'packages', name, 'package.json'), 'utf8')),
  ]),
);
const folderOf = new Map([...manifests].map(([folder, { name }]) => [name, folder]));

/** A package imports only from lower floors, through doors. */
function checkFloor(from, to, place) {
  if (from === to || rules.free.includes(from)) return;
  if (rules.forbidden.some(([a, b]) => a === from && b === to)) {
    report(place, `${from} must not import ${to}`);
  }
  const isException = rules.exceptions.some(([a, b]) => a === from && b === to);
  const [above, below] = [rules.floors[from], rules.floors[to]];
  if (above === undefined) report(place, `${from} has no floor in scripts/floors.json`);
  else if (below === undefined || (below >= above && !isException)) {
    report(place, `${from} (floor ${above}) must not import ${to} (floor ${below ?? 'none'})`);
  }
}

function checkManifest(folder, manifest) {
  const place = `packages/${folder}/package.json`;
  // The command is also the distribution: its bundle carries our packages (as development
  // dependencies) and names what it needs from the registry.
  const isDistribution = folder === 'cli';
  for (const [name, version] of Object.entries(manifest.dependencies ?? {})) {
    if (!/^\d+\.\d+\.\d+(?:-[\w.]+)?$/.test(version)) report(place, `${name} has no exact version`);
    const target = folderOf.get(name);
    if (target !== undefined) checkFloor(folder, target, place);
    else if (!isDistribution && !(rules.owners[name] ?? []).includes(folder)) {
      report(place, `${name} is not owned by ${folder} in scripts/floors.json`);
    }
  }
  if (manifest.version !== manifests.get('kernel').version) report(place, 'another version');
}

const IMPORT =
  /^(?:import|export)\b[^;'"]*?\bfrom\s*'([^'\n]+)'|^import\s*'([^'\n]+)'|\bimport\(\s*'([^'\n]+)'\s*\)/gm;

function checkImports(folder, path, text) {
  const place = relative(root, path);
  const manifest = manifests.get(folder);
  const isPure = ['kernel', 'state', 'raft-ts'].includes(folder);
  for (const [, statement, effect, call] of text.matchAll(IMPORT)) {
    const target = statement ?? effect ?? call;
    if (target.startsWith('.')) continue;
    if (target.startsWith('node:')) {
      if (isPure) report(place, `${folder} is pure: it must not import ${target}`);
      const isProcess = target === 'node:child_process';
      if (isProcess && !rules.childProcesses.includes(folder)) {
        report(place, `${folder} must not start processes`);
      }
      continue;
    }
    const name = target.startsWith('@')
      ? target.split('/').slice(0, 2).join('/')
      : target.split('/')[0];
    const sibling = folderOf.get(name);
    const declared = {
      ...manifest.dependencies,
      ...(folder === 'cli' ? manifest.devDependencies : {}),
    };
    if (sibling === folder) report(place, `imports its own package by name`);
    else if (declared[name] === undefined) report(place, `${name} is not a dependency`);
    if (sibling !== undefined) checkFloor(folder, sibling, place);
    else if (!(rules.owners[name] ?? []).includes(folder))
      report(place, `${folder} does not own ${name}`);
  }
}

const LEFT_OVERS = /\b(?:TODO|FIXME|XXX|HACK)\b/;
const BANNED = /\b(?:whitelist|blacklist|slave)\b/i;
const LINES_MAX = 400;

function checkText(path, text) {
  const place = relative(root, path);
  const lines = text.split('\n');
  for (const [number, line] of lines.entries()) {
    if (LEFT_OVERS.test(line) && !place.startsWith('scripts/tidy'))
      report(`${place}:${number + 1}`, 'a left-over marker');
    if (BANNED.test(line) && !place.startsWith('scripts/tidy'))
      report(`${place}:${number + 1}`, 'a banned word');
  }
  if (lines.length > LINES_MAX && place.includes('/src/'))
    report(place, `${lines.length} lines: is there more than one concept inside?`);
}

/** Every error code is documented, thrown in a source and named in a test. */
function checkErrorCodes(sources, tests) {
  const table = ['calls', 'hosts']
    .map((of) => readFileSync(join(root, `packages/kernel/src/error-rows-of-${of}.ts`), 'utf8'))
    .join('');
  const codes = [...table.matchAll(/^ {2}(CV_[A-Z_]+):/gm)].map(([, code]) => code);
  const page = join(root, 'docs/reference/errors.md');
  const documented = existsSync(page) ? readFileSync(page, 'utf8') : '';
  for (const code of codes) {
    if (!documented.includes(`\`${code}\``))
      report('docs/reference/errors.md', `${code} is not documented: npm run generate`);
    if (!sources.some((text) => text.includes(`'${code}'`)))
      report('error-table.ts', `${code} is thrown nowhere`);
    if (!tests.some((text) => text.includes(code)))
      report('error-table.ts', `${code} is tested nowhere`);
  }
}

for (const [folder, manifest] of manifests) checkManifest(folder, manifest);
const sources = [];
for (const folder of folders) {
  for (const path of filesBelow(join(root, 'packages', folder, 'src'), /\.ts$/)) {
    if (path.includes('/generated/')) continue;
    const text = readFileSync(path, 'utf8');
    if (!path.includes('/error-rows-of-')) sources.push(text);
    checkImports(folder, path, text);
    checkText(path, text);
  }
}
const tests = [];
for (const folder of ['packages', 'test']) {
  for (const path of filesBelow(join(root, folder), /\.(?:test|cluster|attack|sim)\.ts$/)) {
    const text = readFileSync(path, 'utf8');
    tests.push(text);
    checkText(path, text);
  }
}
checkErrorCodes(sources, tests);
for (const page of filesBelow(root, /\.md$/)) problems.push(...pageProblems(page, root));
for (const problem of problems) console.log(problem);
process.exit(problems.length === 0 ? 0 : 1);
