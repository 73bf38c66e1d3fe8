// Bundles the command and the daemon: one folder that runs from the checkout and from `npm pack`.
import { build } from 'esbuild';
import { chmodSync, existsSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { root } from './ensure.mjs';

const cli = join(root, 'packages/cli');
const manifest = JSON.parse(readFileSync(join(cli, 'package.json'), 'utf8'));
const outdir = join(cli, 'bundle');

rmSync(outdir, { recursive: true, force: true });
const entries = {
  conclave: join(cli, 'src/main.ts'),
  conclaved: join(root, 'packages/daemon/src/main.ts'),
};
await build({
  entryPoints: Object.fromEntries(Object.entries(entries).filter(([, path]) => existsSync(path))),
  outdir,
  bundle: true,
  // Shared and lazily imported code goes to chunks, so that `--help` loads only what it needs.
  splitting: true,
  format: 'esm',
  platform: 'node',
  target: 'node20',
  conditions: ['@conclave/source'],
  external: Object.keys(manifest.dependencies),
  chunkNames: 'chunk-[hash]',
  define: { 'process.env.CONCLAVE_VERSION': JSON.stringify(manifest.version) },
  logLevel: 'warning',
});
/**
 * Puts a launcher in front of a program: the same file is a shell script, whose last word is an
 * exec, and a module, for which the script is a comment behind a string.
 */
function addLauncher(name) {
  const path = join(outdir, `${name}.js`);
  const launcher = readFileSync(join(cli, 'src/launch', `${name}.sh`), 'utf8');
  if (launcher.includes('*/')) throw new Error(`the launcher of ${name} ends its own comment`);
  writeFileSync(path, `#!/bin/sh\n':' /*\n${launcher}*/;\n${readFileSync(path, 'utf8')}`);
  chmodSync(path, 0o755);
}

for (const name of Object.keys(entries)) {
  if (existsSync(join(outdir, `${name}.js`))) addLauncher(name);
}
