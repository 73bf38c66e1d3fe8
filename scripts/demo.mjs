// `npm run demo`: installs and builds what is stale, then tells the story on a real cluster.
import { spawn } from 'node:child_process';
import { join } from 'node:path';
import process from 'node:process';
import { ensureBuilt, root } from './lib/ensure.mjs';

ensureBuilt();
const tsx = join(root, 'node_modules/tsx/dist/cli.mjs');
const args = [tsx, '--conditions', '@conclave/source', join(root, 'scripts/demo/main.ts')];
const child = spawn(process.execPath, [...args, ...process.argv.slice(2)], { stdio: 'inherit' });
// The story cleans up after itself; this process only has to wait for it.
for (const signal of ['SIGINT', 'SIGTERM']) process.on(signal, () => undefined);
child.on('exit', (code) => process.exit(code ?? 1));
