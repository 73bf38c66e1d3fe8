import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdir, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import process from 'node:process';
import { expect } from '@jest/globals';
import { eventually, runOk } from '@conclave/testing';
import { SQUEEZED_PART } from './memory-group.js';
import type { MemoryGroup } from './memory-group.js';
import { MIB } from './planted.js';
import type { RawDisk } from './raw-disks.js';

/** What is planted where. */
export type Controls = Readonly<Record<'file' | 'core' | 'swap', string>>;

/** A file that is written and removed, a core file that is removed, and memory in swap. */
export async function plantControls(
  on: RawDisk,
  how: { readonly group: MemoryGroup; readonly control: Controls },
): Promise<void> {
  const { control } = how;
  const file = join(on.folder, 'control');
  await writeFile(file, Buffer.alloc(MIB, control.file));
  await runOk(['sync', '--file-system', on.folder]);
  await rm(file);
  const cores = join(on.folder, 'control-cores');
  await mkdir(cores);
  const script = 'echo 0x33 > /proc/self/coredump_filter; exec env CONTROL="$1" sleep 60';
  const child = spawn('sh', ['-c', script, 'sh', control.core], { cwd: cores });
  await runOk(['prlimit', '--pid', String(child.pid), '--core=unlimited']);
  await eventually(
    'it sleeps',
    async () =>
      (await readFile(`/proc/${child.pid}/environ`, 'utf8')).includes(control.core) || undefined,
  );
  const ended = new Promise((resolve) => child.once('exit', resolve));
  child.kill('SIGABRT');
  await ended;
  expect(await readdir(cores)).toHaveLength(1);
  await runOk(['sync', '--file-system', on.folder]);
  await rm(cores, { recursive: true });
  const [shell, ...words] = [
    ...how.group.prefix,
    process.execPath,
    '-e',
    'const held = Buffer.alloc(64 << 20, process.env.CONTROL); ' +
      'console.log(held.length); setInterval(() => held, 1000)',
  ];
  const holder = spawn(shell, words, { env: { PATH: '/usr/bin:/bin', CONTROL: control.swap } });
  try {
    // Pushed out of its memory while it starts, it would be ended for the lack of it.
    await once(holder.stdout, 'data');
    await eventually('it is pushed out', async () =>
      (await how.group.squeeze(SQUEEZED_PART)) > MIB ? true : undefined,
    );
  } finally {
    holder.kill('SIGKILL');
  }
}
