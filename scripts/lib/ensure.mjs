// Shared by every command of the README: install, generate and build only when stale.
import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import {
  existsSync,
  mkdirSync,
  readFileSync,
  readdirSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { join, resolve } from 'node:path';
import process from 'node:process';

/** Root of the checkout. */
export const root = resolve(import.meta.dirname, '..', '..');

const minimum = [20, 19];

/** Ends with a plain sentence when this Node is too old to run anything here. */
export function requireNode() {
  const [major, minor] = process.versions.node.split('.').map(Number);
  if (major > minimum[0] || (major === minimum[0] && minor >= minimum[1])) return;
  console.error(
    `error: Node ${process.versions.node} is too old; ${minimum.join('.')} or later is needed`,
  );
  process.exit(71);
}

/** Runs a step with one line of progress; shows its output only when it fails. */
export function step(title, command, args, options = {}) {
  const isTerminal = process.stderr.isTTY === true;
  const started = Date.now();
  if (isTerminal) process.stderr.write(`  ${title} …`);
  const result = spawnSync(command, args, {
    cwd: root,
    encoding: 'utf8',
    maxBuffer: 64 << 20,
    ...options,
  });
  const seconds = ((Date.now() - started) / 1000).toFixed(1);
  if (result.status === 0) {
    process.stderr.write(`${isTerminal ? '\r' : ''}  ${title}  ${seconds} s\n`);
    return;
  }
  process.stderr.write(`${isTerminal ? '\r' : ''}  ${title}  failed\n`);
  process.stderr.write(
    `${result.stdout ?? ''}${result.stderr ?? ''}${result.error?.message ?? ''}\n`,
  );
  process.exit(1);
}

function* sources(folder) {
  for (const entry of readdirSync(folder, { withFileTypes: true })) {
    const path = join(folder, entry.name);
    if (entry.isDirectory()) {
      if (!['node_modules', 'dist', 'bundle', 'test'].includes(entry.name)) yield* sources(path);
    } else yield path;
  }
}

/** A fingerprint of files by content, so that a fresh clone and a touched file are both judged right. */
function fingerprint(paths) {
  const hash = createHash('sha256');
  for (const path of paths) {
    if (!existsSync(path)) continue;
    const files = statSync(path).isDirectory()
      ? [...sources(path)].toSorted((a, b) => (a < b ? -1 : 1))
      : [path];
    for (const file of files)
      hash.update(file.slice(root.length)).update('\0').update(readFileSync(file));
  }
  return hash.digest('hex');
}

function whenStale(name, paths, act) {
  const stampFolder = join(root, 'node_modules', '.conclave');
  const stampFile = join(stampFolder, name);
  const now = fingerprint(paths);
  if (existsSync(stampFile) && readFileSync(stampFile, 'utf8') === now) return;
  act();
  mkdirSync(stampFolder, { recursive: true });
  writeFileSync(stampFile, now);
}

/** True when `npm ci` was run by hand: npm's own record names every package of the lock file. */
function isInstalled() {
  const record = join(root, 'node_modules/.package-lock.json');
  if (!existsSync(record)) return false;
  const [wanted, there] = [join(root, 'package-lock.json'), record].map(
    (path) => JSON.parse(readFileSync(path, 'utf8')).packages,
  );
  return Object.entries(wanted).every(
    ([path, { integrity, optional }]) =>
      integrity === undefined || optional === true || there[path]?.integrity === integrity,
  );
}

/** Installs what the lock file names, once per lock file. */
export function ensureInstalled() {
  requireNode();
  whenStale('installed', [join(root, 'package-lock.json')], () => {
    if (isInstalled()) return;
    step('installing dependencies', 'npm', ['ci', '--no-audit', '--no-fund', '--loglevel=error']);
  });
}

/** Compiles and bundles when a source changed. */
export function ensureBuilt() {
  ensureInstalled();
  const inputs = [
    'packages',
    'proto',
    'tsconfig.base.json',
    'tsconfig.json',
    'scripts/lib/bundle.mjs',
  ];
  const outputs = ['packages/cli/bundle/conclave.js', 'packages/raft-ts/dist/index.js'];
  if (outputs.some((path) => !existsSync(join(root, path)))) forget('built');
  whenStale(
    'built',
    inputs.map((path) => join(root, path)),
    build,
  );
}

function forget(name) {
  const stampFile = join(root, 'node_modules', '.conclave', name);
  if (existsSync(stampFile)) writeFileSync(stampFile, '');
}

/** Compiles every package and bundles the command and the daemon. */
export function build() {
  step('compiling', join(root, 'node_modules/.bin/tsc'), ['-b']);
  step('bundling', process.execPath, [join(root, 'scripts/lib/bundle.mjs')]);
  linkCommands();
}

/** `npx conclave`: npm links only commands whose file is there when it installs; ours come later. */
function linkCommands() {
  const { bin } = JSON.parse(readFileSync(join(root, 'packages/cli/package.json'), 'utf8'));
  for (const [name, file] of Object.entries(bin)) {
    const link = join(root, 'node_modules/.bin', name);
    rmSync(link, { force: true });
    symlinkSync(join('../conclave', file), link);
  }
}
