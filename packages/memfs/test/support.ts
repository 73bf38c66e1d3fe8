import { mkdtempSync, rmSync, statSync } from 'node:fs';
import { spawnSync } from 'node:child_process';

import { SILENT_LOGGER } from '@conclave/kernel';
import type { Clock, Timers } from '@conclave/kernel';
import { SecretBytes } from '@conclave/sealed';

import { MountedTaskFiles, openMemoryAreas, SystemMountHost } from '../src/index.js';
import type { MemoryAreas, MountHost, TaskFile } from '../src/index.js';

export const realClock: Clock = {
  now: () => Date.now(),
  monotonic: () => Math.floor(performance.now()),
};

export const realTimers: Timers = {
  after(delayMs, callback) {
    const timer = setTimeout(callback, delayMs);
    return { cancel: () => clearTimeout(timer) };
  },
  every(periodMs, callback) {
    const timer = setInterval(callback, periodMs);
    return { cancel: () => clearInterval(timer) };
  },
};

export const TASK = 'aaaaaaaaaaaaaaaaaaaaaaaaaa';
export const OTHER_TASK = 'baaaaaaaaaaaaaaaaaaaaaaaaa';
export const encoder = new TextEncoder();

/** A reason to skip the tests that mount for real, or undefined. */
export function reasonToSkip(): string | undefined {
  if (process.geteuid?.() !== 0) return 'not root: cannot mount';
  const probe = spawnSync('unshare', ['--mount', 'true']);
  return probe.status === 0 ? undefined : 'unshare --mount is not possible here';
}

export function makeRunDir(): string {
  return mkdtempSync('/dev/shm/conclave-memfs-');
}

export function realHost(): MountHost {
  return new SystemMountHost({ timers: realTimers });
}

/** What the kernel says of swap areas where there is none. */
export const SWAP_OFF = 'Filename Type Size Used Priority\n';

/** The real host with some of its answers replaced. */
export function hostWith(changes: Partial<MountHost> = {}): MountHost {
  const host = realHost();
  return {
    canMount: host.canMount,
    mount: (request) => host.mount(request),
    resize: (target, size) => host.resize(target, size),
    unmount: (target) => host.unmount(target),
    fileSystemType: (path) => host.fileSystemType(path),
    mountInfo: () => host.mountInfo(),
    swaps: () => host.swaps(),
    mountNamespaces: () => host.mountNamespaces(),
    ...changes,
  };
}

export interface Fixture {
  readonly areas: MemoryAreas;
  readonly files: MountedTaskFiles;
  reopen(host?: MountHost): Promise<MountedTaskFiles>;
  close(): Promise<void>;
}

export async function openFixture(host: MountHost = realHost()): Promise<Fixture> {
  const runDir = makeRunDir();
  const options = { host, timers: realTimers, logger: SILENT_LOGGER, runDir };
  const areas = await openMemoryAreas(options);
  const create = (from: MemoryAreas): MountedTaskFiles =>
    new MountedTaskFiles({ areas: from, clock: realClock, logger: SILENT_LOGGER });
  const files = create(areas);
  return {
    areas,
    files,
    reopen: async (other = host) => create(await openMemoryAreas({ ...options, host: other })),
    close: async () => {
      for (const task of files.list()) await files.remove(task);
      await areas.remove(areas.tasksDir);
      rmSync(runDir, { recursive: true, force: true });
    },
  };
}

export function file(target: string, text: string, rest: Partial<TaskFile> = {}): TaskFile {
  const value = SecretBytes.take(encoder.encode(text));
  return { target, uid: 0, gid: 0, mode: 0o400, value, ...rest };
}

export function modeOf(path: string): number {
  return statSync(path).mode & 0o7777;
}
