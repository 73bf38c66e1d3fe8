// Installs what `npm pack` makes into an empty folder and uses it there, for the command and for
// the Raft library: all of its entry points, and their types.
import { execFileSync } from 'node:child_process';
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import process from 'node:process';
import { ensureBuilt, root } from './lib/ensure.mjs';

const USE = `import { MemoryStorage, message, RawNode } from 'raft-ts';
import { decodeMessage, encodeMessage } from 'raft-ts/codec';
import { Node } from 'raft-ts/node';
import { runSimulation } from 'raft-ts/sim';
import { setRandomizedElectionTimeout } from 'raft-ts/testing';

const storage = new MemoryStorage();
const node = new RawNode({
  id: 1,
  storage,
  electionTick: 10,
  heartbeatTick: 1,
  maxInflightMsgs: 8,
  random: () => 0,
});
node.bootstrap([{ id: 1 }]);
setRandomizedElectionTimeout(node, 10);
node.campaign();
const heartbeat = decodeMessage(encodeMessage(message('MsgHeartbeat', { from: 1, to: 2, term: 1 })));
const { failure, commit } = runSimulation({ seed: 1, parameters: { eventsMax: 1_000 } });
if (!node.hasReady() || heartbeat.to !== 2 || failure !== undefined || commit < 2) {
  throw new Error('raft-ts does not work when it is installed');
}
console.log('raft-ts:', typeof Node.start, 'every entry point works');
`;

/** The same entry points from a module of the older kind, which Node.js allows since 20.19. */
const REQUIRE = `for (const [name, value] of Object.entries(WANTED)) {
  if (typeof require(name)[value] !== 'function') throw new Error(name);
}
console.log('raft-ts: every entry point can be required');
`.replace(
  'WANTED',
  JSON.stringify({
    'raft-ts': 'RawNode',
    'raft-ts/codec': 'decodeMessage',
    'raft-ts/node': 'Node',
    'raft-ts/sim': 'runSimulation',
    'raft-ts/testing': 'setRandomizedElectionTimeout',
  }),
);

/** Kinds of projects that compile against the package: none skips the check of libraries. */
const PROJECTS = [
  ['--module', 'nodenext', '--target', 'es2023'],
  ['--module', 'esnext', '--moduleResolution', 'bundler', '--target', 'es2022'],
  ['--module', 'nodenext', '--target', 'es2022', '--lib', 'es2022', '--exactOptionalPropertyTypes'],
];

/** A map that is named must be there, and so must its sources. */
function checkMap(path) {
  const [, name] = /\/\/# sourceMappingURL=(.+)\s*$/.exec(readFileSync(path, 'utf8')) ?? [];
  if (name === undefined) throw new Error(`${path} has no map`);
  for (const source of JSON.parse(readFileSync(join(dirname(path), name), 'utf8')).sources) {
    if (!existsSync(join(dirname(path), source))) throw new Error(`${name}: no ${source}`);
  }
}

/** Relative links of a page lead to something in the package. */
function checkLinks(path) {
  for (const [, target] of readFileSync(path, 'utf8').matchAll(/\]\(([^)#:]+)[^)]*\)/g)) {
    if (!existsSync(join(dirname(path), target))) throw new Error(`${path}: no ${target}`);
  }
}

/** What must not be forgotten and what nobody needs: a package is never taken back. */
function checkContents(installed) {
  const manifest = JSON.parse(readFileSync(join(installed, 'package.json'), 'utf8'));
  if (manifest.private !== undefined) throw new Error('raft-ts is private');
  if (manifest.dependencies !== undefined) throw new Error('raft-ts has dependencies');
  const names = readdirSync(installed).toSorted();
  const wanted = 'LICENSE,README.md,bench,dist,docs,examples,package.json,src';
  if (names.join() !== wanted) throw new Error(`raft-ts contains ${names.join(', ')}`);
  const files = readdirSync(join(installed, 'dist'), { recursive: true, withFileTypes: true });
  const odd = files.find(
    (file) => file.isFile() && !/\.(?:js|js\.map|d\.ts|d\.ts\.map)$/.test(file.name),
  );
  if (odd !== undefined) throw new Error(`raft-ts contains ${odd.name}`);
  for (const { name, parentPath } of files) {
    if (name.endsWith('.js') || name.endsWith('.d.ts')) checkMap(join(parentPath, name));
  }
  const pages = ['README.md', 'examples/README.md', 'bench/README.md'];
  for (const page of readdirSync(join(installed, 'docs'))) pages.push(`docs/${page}`);
  for (const page of pages) checkLinks(join(installed, page));
  for (const [name, paths] of Object.entries(manifest.exports)) {
    if (!USE.includes(`'raft-ts${name.slice(1)}'`)) throw new Error(`${name} is not tried`);
    for (const path of Object.values(paths)) {
      if (!existsSync(join(installed, path))) throw new Error(`${name} leads to no ${path}`);
    }
  }
}

ensureBuilt();
const folder = mkdtempSync(join(tmpdir(), 'conclave-pack-'));
const inFolder = { cwd: folder, encoding: 'utf8', stdio: ['ignore', 'pipe', 'inherit'] };
try {
  for (const name of ['cli', 'raft-ts']) {
    execFileSync('npm', ['pack', '--silent', '--pack-destination', folder], {
      ...inFolder,
      cwd: join(root, 'packages', name),
    });
  }
  const tarballs = readdirSync(folder).filter((name) => name.endsWith('.tgz'));
  writeFileSync(join(folder, 'package.json'), '{ "private": true, "type": "module" }\n');
  const install = [
    'install',
    '--silent',
    '--no-audit',
    '--no-fund',
    ...tarballs.map((one) => `./${one}`),
  ];
  execFileSync('npm', install, inFolder);
  const bin = (name) => join(folder, 'node_modules/.bin', name);
  const version = execFileSync(bin('conclave'), ['version', '-o', 'json'], inFolder);
  console.log(`conclave: ${JSON.parse(version).version}`);
  // The daemon refuses some variables of the environment, so it gets none of ours.
  const clean = { ...inFolder, env: { PATH: process.env.PATH, HOME: folder } };
  console.log(execFileSync(bin('conclaved'), ['--version'], clean).trim());
  checkContents(join(folder, 'node_modules/raft-ts'));
  writeFileSync(join(folder, 'use.mjs'), USE);
  console.log(execFileSync(process.execPath, ['use.mjs'], inFolder).trim());
  writeFileSync(join(folder, 'use.cjs'), REQUIRE);
  const quiet = ['--disable-warning=ExperimentalWarning', 'use.cjs'];
  console.log(execFileSync(process.execPath, quiet, inFolder).trim());
  // Without @types/node: the declarations have to stand on their own.
  writeFileSync(
    join(folder, 'use.ts'),
    `declare const console: { log(...texts: string[]): void };\n${USE}`,
  );
  const compiler = join(root, 'node_modules/typescript/bin/tsc');
  for (const project of PROJECTS) {
    const options = ['--noEmit', '--strict', '--types', '', ...project];
    execFileSync(process.execPath, [compiler, ...options, 'use.ts'], {
      ...inFolder,
      stdio: 'inherit',
    });
  }
  console.log(`raft-ts: types of all entry points in ${PROJECTS.length} kinds of projects`);
} finally {
  rmSync(folder, { recursive: true, force: true });
}
