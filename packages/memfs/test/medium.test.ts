import { existsSync, mkdtempSync, rmSync } from 'node:fs';

import { describe, expect, test } from '@jest/globals';
import { ConclaveError, SILENT_LOGGER } from '@conclave/kernel';

import { openMemoryAreas } from '../src/index.js';
import type { MountHost } from '../src/index.js';
import { proveMedium } from '../src/medium.js';
import { hostWith, makeRunDir, realHost, realTimers, reasonToSkip, SWAP_OFF } from './support.js';

const skip = reasonToSkip();
const because = skip === undefined ? '' : ` (skipped: ${skip})`;
const testMounts = skip === undefined ? test : test.skip;

const SWAP_ON = 'Filename Type Size Used Priority\n/dev/sdb partition 1024 0 -2\n';
const denied = (): Promise<void> =>
  Promise.reject(new ConclaveError('CV_MOUNT_DENIED', 'mount failed: must be superuser'));

async function open(
  host: MountHost,
  allowSwap = false,
): Promise<{ method: string; safe: boolean }> {
  const runDir = makeRunDir();
  try {
    const options = { host, timers: realTimers, logger: SILENT_LOGGER, runDir, allowSwap };
    const areas = await openMemoryAreas(options);
    await areas.remove(areas.tasksDir);
    return { method: areas.method, safe: areas.medium.isSwapSafe };
  } finally {
    rmSync(runDir, { recursive: true, force: true });
  }
}

describe('proof of medium', () => {
  test('a folder on a disk is refused with the file system that it is on', () => {
    const folder = mkdtempSync('/tmp/conclave-disk-');
    const disk = hostWith({ fileSystemType: () => 0xef53 });
    expect(() => proveMedium(folder, disk)).toThrow(
      expect.objectContaining({ code: 'CV_NOT_MEMORY_FS' }),
    );
    rmSync(folder, { recursive: true });
  });

  test('a folder that does not exist is refused', () => {
    expect(() => proveMedium('/dev/shm/not-there', realHost())).toThrow(
      expect.objectContaining({ code: 'CV_NOT_MEMORY_FS' }),
    );
  });

  test('statfs and mount table must agree', () => {
    const liar = hostWith({ mountInfo: () => '1 0 254:0 / / rw - ext4 /dev/vda rw\n' });
    expect(() => proveMedium('/dev/shm', liar)).toThrow(
      expect.objectContaining({ code: 'CV_NOT_MEMORY_FS' }),
    );
  });

  test('a plain tmpfs is called swappable, and safe only without active swap', () => {
    const off = proveMedium('/dev/shm', hostWith({ swaps: () => SWAP_OFF }));
    expect(off).toMatchObject({ kind: 'tmpfs', isSwappable: true, isSwapSafe: true });
    expect(proveMedium('/dev/shm', hostWith({ swaps: () => SWAP_ON })).isSwapSafe).toBe(false);
  });
});

describe(`choice of medium${because}`, () => {
  testMounts('tmpfs without swap is taken where the kernel has it, also with swap on', async () => {
    const host = hostWith({ swaps: () => SWAP_ON });
    expect(await open(host)).toEqual({ method: 'tmpfs-noswap', safe: true });
  });

  testMounts('ramfs is taken where the kernel knows no noswap', async () => {
    const real = realHost();
    const host = hostWith({
      mount: (request) => (request.fileSystem === 'tmpfs' ? denied() : real.mount(request)),
    });
    expect(await open(host)).toEqual({ method: 'ramfs', safe: true });
  });

  testMounts('a kernel that ignores noswap is found out', async () => {
    const real = realHost();
    const host = hostWith({
      mount: (request) =>
        real.mount({ ...request, options: request.options.filter((name) => name !== 'noswap') }),
    });
    expect((await open(host)).method).toBe('ramfs');
  });

  test('without the right to mount, a folder of the tmpfs is used while swap is off', async () => {
    const host = hostWith({ canMount: false, mount: denied, swaps: () => SWAP_OFF });
    expect(await open(host)).toEqual({ method: 'folder', safe: true });
  });

  test('without the right to mount and with swap on it refuses, unless told otherwise', async () => {
    const host = hostWith({ canMount: false, mount: denied, swaps: () => SWAP_ON });
    await expect(open(host)).rejects.toMatchObject({ code: 'CV_NOT_MEMORY_FS' });
    expect(await open(host, true)).toEqual({ method: 'folder', safe: false });
  });

  test('a run folder that others may enter is refused', async () => {
    const host = hostWith({ canMount: false });
    const options = { host, timers: realTimers, logger: SILENT_LOGGER, runDir: '/dev/shm' };
    await expect(openMemoryAreas(options)).rejects.toMatchObject({ code: 'CV_DATA_DIR_LOOSE' });
    expect(existsSync('/dev/shm/tasks')).toBe(false);
  });

  test('a run folder with an unusual path is refused', async () => {
    const options = { host: realHost(), timers: realTimers, logger: SILENT_LOGGER, runDir: '/x y' };
    await expect(openMemoryAreas(options)).rejects.toMatchObject({ code: 'CV_ARGUMENT_INVALID' });
  });
});
