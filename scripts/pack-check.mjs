// Installs what `npm pack` makes into an empty folder and uses it there, for the command and for
// the Raft library.
import { execFileSync } from 'node:child_process';
import { mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import process from 'node:process';
import { ensureBuilt, root } from './lib/ensure.mjs';

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
  writeFileSync(
    join(folder, 'use.mjs'),
    `import { MemoryStorage, RawNode } from 'raft-ts';
     import { Node } from 'raft-ts/node';
     const storage = new MemoryStorage();
     const node = new RawNode({ id: 1, storage, electionTick: 10, heartbeatTick: 1, maxInflightMsgs: 8, random: () => 0 });
     node.bootstrap([{ id: 1 }]);
     node.campaign();
     console.log('raft-ts:', typeof Node.start, node.hasReady());`,
  );
  console.log(execFileSync(process.execPath, ['use.mjs'], inFolder).trim());
} finally {
  rmSync(folder, { recursive: true, force: true });
}
