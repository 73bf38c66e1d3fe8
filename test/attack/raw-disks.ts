import { spawnSync } from 'node:child_process';
import { mkdir, open, rm, truncate } from 'node:fs/promises';
import { join } from 'node:path';
import process from 'node:process';
import { run, runOk } from '@conclave/testing';

const MIB = 1024 * 1024;

/** Why block devices and swap cannot be made here; empty: they can. */
export const LACKS_DISKS: string = lacking();

function lacking(): string {
  if (process.getuid?.() !== 0) return 'only root makes block devices';
  for (const tool of ['mkfs.ext4', 'mkswap', 'prlimit']) {
    if (spawnSync(tool, ['--version']).error !== undefined) return `${tool} is missing`;
  }
  return spawnSync('losetup', ['--find']).status === 0 ? '' : 'no loop device can be had';
}

/** A file that a loop device makes a disk of. */
class LoopDevice {
  readonly image: string;
  readonly path: string;

  private constructor(image: string, path: string) {
    this.image = image;
    this.path = path;
  }

  static async create(image: string, sizeMib: number): Promise<LoopDevice> {
    const file = await open(image, 'wx', 0o600);
    await file.close();
    await truncate(image, sizeMib * MIB);
    const path = (await runOk(['losetup', '--find', '--show', image])).trim();
    return new LoopDevice(image, path);
  }

  async close(): Promise<void> {
    await run(['losetup', '--detach', this.path]);
    await rm(this.image, { force: true });
  }
}

/**
 * An ext4 file system on a disk of its own. Its image shows what files do not: the journal, names of
 * files that are gone, and the blocks that they left.
 */
export class RawDisk {
  /** Where it is mounted. */
  readonly folder: string;
  readonly #device: LoopDevice;

  private constructor(device: LoopDevice, folder: string) {
    this.#device = device;
    this.folder = folder;
  }

  static async create(parent: string, name: string, sizeMib: number): Promise<RawDisk> {
    const device = await LoopDevice.create(join(parent, `${name}.image`), sizeMib);
    const disk = new RawDisk(device, join(parent, name));
    try {
      await runOk(['mkfs.ext4', '-q', device.path]);
      await mkdir(disk.folder, { mode: 0o700 });
      await runOk(['mount', device.path, disk.folder]);
    } catch (error) {
      await disk.close();
      throw error;
    }
    return disk;
  }

  /** Path of the image, with everything on it that was written. */
  async image(): Promise<string> {
    await runOk(['sync', '--file-system', this.folder]);
    await runOk(['blockdev', '--flushbufs', this.#device.path]);
    return this.#device.image;
  }

  async close(): Promise<void> {
    await run(['umount', this.folder]);
    await this.#device.close();
    await rm(this.folder, { recursive: true, force: true });
  }
}

/** A swap device that the whole machine uses while it is open. */
export class SwapDisk {
  readonly #device: LoopDevice;

  private constructor(device: LoopDevice) {
    this.#device = device;
  }

  static async create(parent: string, sizeMib: number): Promise<SwapDisk> {
    const device = await LoopDevice.create(join(parent, 'swap.image'), sizeMib);
    try {
      await runOk(['mkswap', device.path]);
      await runOk(['swapon', device.path]);
    } catch (error) {
      await device.close();
      throw error;
    }
    return new SwapDisk(device);
  }

  /** Path of the image, with every page that was swapped out. */
  async image(): Promise<string> {
    await runOk(['blockdev', '--flushbufs', this.#device.path]);
    return this.#device.image;
  }

  async close(): Promise<void> {
    await run(['swapoff', this.#device.path]);
    await this.#device.close();
  }
}
