import { chmodSync, existsSync, lstatSync, mkdirSync, realpathSync, rmdirSync } from 'node:fs';

import { ConclaveError, delay, toConclaveError } from '@conclave/kernel';
import type { Logger, Timers } from '@conclave/kernel';

import { findMounts } from './leftovers.js';
import type { Leftover } from './leftovers.js';
import {
  COPIES_SETTLE_MS,
  TASKS_ROOT_BYTES,
  UNMOUNT_ATTEMPTS_MAX,
  UNMOUNT_RETRY_MS,
} from './limits.js';
import { proveMedium } from './medium.js';
import type { Medium } from './medium.js';
import type { MountHost } from './mount-host.js';
import { mountOf, parseMountInfo } from './mount-info.js';

/** How areas are made: mounts of their own, or folders of the run folder's memory file system. */
export type AreaMethod = 'tmpfs-noswap' | 'ramfs' | 'folder';

/** What {@link openMemoryAreas} needs. */
export interface MemoryAreasOptions {
  readonly host: MountHost;
  readonly timers: Timers;
  readonly logger: Logger;
  /** Absolute; made with mode 0700 when missing. Letters, digits and `/ . _ -` only. */
  readonly runDir: string;
  /** Keeps secrets in a swappable tmpfs although swap is active. For developers. */
  readonly allowSwap?: boolean;
}

const OPTIONS = ['nosuid', 'nodev', 'noexec'];
// Mount tables and shell loops need no escapes for these.
const PLAIN_PATH = /^\/[A-Za-z0-9._/-]+$/;

/** Memory file systems below the run folder, one per task and use. */
export class MemoryAreas {
  readonly runDir: string;
  readonly method: AreaMethod;
  /** What values rest on: as truthful as the host was. */
  readonly medium: Medium;
  readonly #host: MountHost;
  readonly #timers: Timers;

  constructor(
    options: MemoryAreasOptions,
    found: { readonly runDir: string; readonly method: AreaMethod; readonly medium: Medium },
  ) {
    this.#host = options.host;
    this.#timers = options.timers;
    this.runDir = found.runDir;
    this.method = found.method;
    this.medium = found.medium;
  }

  /** The folder that holds one folder per task. */
  get tasksDir(): string {
    return `${this.runDir}/tasks`;
  }

  /**
   * Makes `path` (its parent exists) an area of `sizeBytes`, mode 0700. Only tmpfs enforces the
   * size; the writer has to keep to it.
   * @throws CV_MOUNT_DENIED
   */
  async create(path: string, sizeBytes: number): Promise<void> {
    mkdirSync(path, { mode: 0o700 });
    chmodSync(path, 0o700);
    if (this.method === 'folder') return;
    const isTmpfs = this.method === 'tmpfs-noswap';
    const options = [...OPTIONS, 'mode=0700'];
    if (isTmpfs) options.push('noswap', `size=${sizeBytes}`);
    try {
      await this.#host.mount({
        fileSystem: isTmpfs ? 'tmpfs' : 'ramfs',
        source: this.#sourceOf(path),
        target: path,
        options,
      });
      const proven = proveMedium(path, this.#host);
      if (proven.kind !== this.method || proven.mountPoint !== path) {
        throw new ConclaveError('CV_MOUNT_DENIED', `the host mounted ${proven.kind} instead`);
      }
    } catch (error) {
      await this.#unmountIfMounted(path).catch(() => undefined);
      rmdirSync(path);
      throw error;
    }
  }

  /** Gives an area another limit; without effect where the method knows none. */
  async resize(path: string, sizeBytes: number): Promise<void> {
    if (this.method === 'tmpfs-noswap') await this.#host.resize(path, sizeBytes);
  }

  /** True when `path` is an area: mounted where the method mounts, else a folder. */
  isArea(path: string): boolean {
    return this.method === 'folder' ? existsSync(path) : this.#isMountPoint(path);
  }

  /**
   * Unmounts and removes an area whose files are gone; tries again while it is busy.
   * @returns copies of the mount that other namespaces had at that time. Removing the folder takes
   * away those that are at the same place; copies bound elsewhere stay, empty.
   * @throws CV_MOUNT_DENIED when it stays busy
   */
  async remove(path: string): Promise<Leftover[]> {
    await this.#unmountIfMounted(path);
    let copies = this.copies(path);
    if (copies.length > 0) {
      // A namespace that was just made has every mount for a moment; look again.
      await delay(this.#timers, COPIES_SETTLE_MS);
      copies = this.copies(path);
    }
    if (existsSync(path)) rmdirSync(path);
    return copies;
  }

  /** Mounts of any namespace that show the area at `path`, itself included while it is mounted. */
  copies(path: string): Leftover[] {
    const source = this.#sourceOf(path);
    if (this.method !== 'folder') return findMounts(this.#host, (line) => line.source === source);
    const { device, root, mountPoint } = this.medium;
    const inside = path.slice(mountPoint === '/' ? 0 : mountPoint.length);
    const folder = `${root === '/' ? '' : root}${inside}`;
    return findMounts(this.#host, (line) => {
      const isInside = line.root === folder || line.root.startsWith(`${folder}/`);
      return line.device === device && (isInside || line.root === `${folder}//deleted`);
    });
  }

  /** True while values cannot reach a swap area; to be asked again while running. */
  isSwapSafe(): boolean {
    return this.method !== 'folder' || proveMedium(this.runDir, this.#host).isSwapSafe;
  }

  async #unmountIfMounted(path: string): Promise<void> {
    for (let attempt = 1; this.#isMountPoint(path); attempt += 1) {
      try {
        await this.#host.unmount(path);
      } catch (error) {
        if (attempt >= UNMOUNT_ATTEMPTS_MAX) throw error;
        await delay(this.#timers, UNMOUNT_RETRY_MS);
      }
    }
  }

  #isMountPoint(path: string): boolean {
    return mountOf(parseMountInfo(this.#host.mountInfo()), path)?.mountPoint === path;
  }

  /** Not the device number: the kernel gives a free one to the next mount at once. */
  #sourceOf(path: string): string {
    return `conclave${path.slice(this.runDir.length).replaceAll('/', '-')}`;
  }
}

/**
 * Proves that the run folder is in memory, finds out by probe mounts what the host allows, and
 * prepares the folder of tasks. Order: tmpfs without swap, ramfs, a folder of the run folder's own
 * tmpfs.
 * @throws CV_NOT_MEMORY_FS when the run folder is not in memory, or only in a swappable one while
 * swap is active
 * @throws CV_DATA_DIR_LOOSE when others may enter the run folder
 */
export async function openMemoryAreas(options: MemoryAreasOptions): Promise<MemoryAreas> {
  const runDir = prepareRunDir(options.runDir);
  const medium = proveMedium(runDir, options.host);
  const method = await chooseMethod(options, runDir);
  if (method === 'folder' && !medium.isSwapSafe && options.allowSwap !== true) {
    throw new ConclaveError(
      'CV_NOT_MEMORY_FS',
      'the runtime folder is on a tmpfs that may be swapped, and swap is active on this host',
      { hint: 'Turn swap off (swapoff -a), or run the agent as root.' },
    );
  }
  const proven = method === 'folder' ? medium : { ...medium, kind: method, isSwapSafe: true };
  const isSwappable = method === 'folder' && medium.isSwappable;
  const areas = new MemoryAreas(options, { runDir, method, medium: { ...proven, isSwappable } });
  await prepareTasksDir(areas);
  return areas;
}

async function prepareTasksDir(areas: MemoryAreas): Promise<void> {
  const { tasksDir } = areas;
  if (areas.isArea(tasksDir)) return;
  // Left from a reboot or a stop of an older daemon: an empty mount point.
  if (existsSync(tasksDir)) rmdirSync(tasksDir);
  await areas.create(tasksDir, TASKS_ROOT_BYTES);
}

function prepareRunDir(path: string): string {
  if (!PLAIN_PATH.test(path)) {
    throw new ConclaveError('CV_ARGUMENT_INVALID', 'the runtime folder has an unusual path', {
      hint: 'Use an absolute path of letters, digits and "." "_" "-".',
    });
  }
  mkdirSync(path, { recursive: true, mode: 0o700 });
  const stat = lstatSync(path);
  const isOurs = stat.isDirectory() && stat.uid === process.geteuid?.();
  if (!isOurs || (stat.mode & 0o077) !== 0) {
    throw new ConclaveError('CV_DATA_DIR_LOOSE', 'the runtime folder can be entered by others');
  }
  return realpathSync(path);
}

async function chooseMethod(options: MemoryAreasOptions, runDir: string): Promise<AreaMethod> {
  if (!options.host.canMount) return 'folder';
  const medium = proveMedium(runDir, options.host);
  for (const method of ['tmpfs-noswap', 'ramfs'] as const) {
    const areas = new MemoryAreas(options, { runDir, method, medium });
    const probe = `${runDir}/.probe`;
    try {
      if (existsSync(probe)) await areas.remove(probe);
      await areas.create(probe, 64 * 1024);
      await areas.remove(probe);
      return method;
    } catch (error) {
      const { code, message } = toConclaveError(error);
      options.logger.warn('memory file system refused', { method, code, reason: message });
    }
  }
  return 'folder';
}
