import { spawn } from 'node:child_process';
import {
  accessSync,
  constants,
  readdirSync,
  readFileSync,
  readlinkSync,
  statfsSync,
} from 'node:fs';

import { ConclaveError } from '@conclave/kernel';
import type { Timers } from '@conclave/kernel';

import { MOUNT_TOOL_MS_MAX, MOUNT_TOOL_TEXT_BYTES_MAX } from './limits.js';
import type { MountHost, MountNamespace, MountRequest } from './mount-host.js';

const TOOL_FOLDERS = ['/usr/bin', '/bin', '/usr/sbin', '/sbin'];

/** Mounts through the system's `mount` and `umount`, each a child with an empty environment. */
export class SystemMountHost implements MountHost {
  readonly canMount: boolean;
  readonly #timers: Timers;

  constructor(options: { readonly timers: Timers }) {
    this.#timers = options.timers;
    this.canMount = process.geteuid?.() === 0;
  }

  async mount(request: MountRequest): Promise<void> {
    const { fileSystem, source, target, options } = request;
    const how = ['--make-private', '-t', fileSystem, '-o', options.join(',')];
    await this.#run('mount', [...how, source, target]);
  }

  async resize(target: string, sizeBytes: number): Promise<void> {
    await this.#run('mount', ['-o', `remount,size=${sizeBytes}`, target]);
  }

  async unmount(target: string): Promise<void> {
    await this.#run('umount', ['-i', target]);
  }

  fileSystemType(path: string): number {
    // Some platforms answer with a signed 32-bit number.
    return Number(statfsSync(path).type) >>> 0;
  }

  mountInfo(): string {
    return readFileSync('/proc/self/mountinfo', 'utf8');
  }

  swaps(): string {
    return readFileSync('/proc/swaps', 'utf8');
  }

  *mountNamespaces(): Iterable<MountNamespace> {
    const seen = new Set<string>();
    for (const name of readdirSync('/proc')) {
      if (!/^[1-9][0-9]*$/.test(name)) continue;
      try {
        const id = readlinkSync(`/proc/${name}/ns/mnt`);
        if (seen.has(id)) continue;
        const mountInfo = readFileSync(`/proc/${name}/mountinfo`, 'utf8');
        // A process that is about to end shows an empty table; another one may still show it.
        if (mountInfo === '') continue;
        seen.add(id);
        yield { id, pid: Number(name), mountInfo };
      } catch {
        // The process ended meanwhile, or it is not ours to look into.
      }
    }
  }

  #run(tool: string, args: readonly string[]): Promise<void> {
    return new Promise((resolve, reject) => {
      const fail = (reason: string): void => {
        reject(new ConclaveError('CV_MOUNT_DENIED', `${tool} failed: ${reason}`));
      };
      const child = spawn(findTool(tool), args, { env: {}, stdio: ['ignore', 'ignore', 'pipe'] });
      const timer = this.#timers.after(MOUNT_TOOL_MS_MAX, () => child.kill('SIGKILL'));
      let complaint = '';
      child.stderr.setEncoding('utf8');
      child.stderr.on('data', (text: string) => {
        complaint = (complaint + text).slice(0, MOUNT_TOOL_TEXT_BYTES_MAX);
      });
      child.on('error', (error) => {
        timer.cancel();
        fail(error.message);
      });
      child.on('close', (code, signal) => {
        timer.cancel();
        if (code === 0) resolve();
        else fail(complaint.trim().replaceAll(/\s+/g, ' ') || `status ${code ?? signal}`);
      });
    });
  }
}

/** The tool's full path, from fixed folders: PATH is not trusted with what runs as root. */
export function findTool(tool: string): string {
  for (const folder of TOOL_FOLDERS) {
    const path = `${folder}/${tool}`;
    try {
      accessSync(path, constants.X_OK);
      return path;
    } catch {
      // Look in the next folder.
    }
  }
  throw new ConclaveError('CV_MOUNT_DENIED', `the tool "${tool}" is not on this host`, {
    hint: 'Install util-linux.',
  });
}
