import { spawnSync } from 'node:child_process';
import { closeSync, openSync } from 'node:fs';
import { mkdir, open, readFile, readdir, rename, rm, stat } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { ConclaveError } from '@conclave/kernel';
import type { FileVault } from '@conclave/manager';
import { makeFolder } from './make-folder.js';

/**
 * The data folder of one daemon: 0700, owned by its user, used by one process at a time. Small
 * files are replaced atomically and are durable when a write resolves.
 */
export class DataFolder implements FileVault {
  readonly path: string;
  readonly #lockDescriptor: number;
  /** Changes happen one after the other: two of one file would share a draft, or end reversed. */
  #last: Promise<unknown> = Promise.resolve();

  private constructor(path: string, lockDescriptor: number) {
    this.path = path;
    this.#lockDescriptor = lockDescriptor;
  }

  /**
   * Creates the folder when it is missing, checks who may read it and takes its lock.
   * @throws CV_STORE_FAILED when it cannot be made
   * @throws CV_DATA_DIR_LOOSE when its mode or owner lets others in
   * @throws CV_DATA_DIR_IN_USE when another daemon holds the lock
   */
  static async open(path: string): Promise<DataFolder> {
    await makeFolder('data folder', path);
    const found = await stat(path);
    const uid = process.getuid?.() ?? found.uid;
    if (found.uid !== uid) {
      throw new ConclaveError('CV_DATA_DIR_LOOSE', `data folder ${path} belongs to another user`);
    }
    if ((found.mode & 0o077) !== 0) {
      const mode = (found.mode & 0o777).toString(8).padStart(4, '0');
      throw new ConclaveError(
        'CV_DATA_DIR_LOOSE',
        `data folder ${path} has mode ${mode}; others may read it`,
        { hint: `Run: chmod 700 ${path}, and check who read it meanwhile.` },
      );
    }
    return new DataFolder(path, takeLock(path));
  }

  /** The content of a small file; undefined when there is none. `name` may have one folder part. */
  async read(name: string): Promise<Uint8Array | undefined> {
    try {
      return await readFile(join(this.path, name));
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
      throw error;
    }
  }

  /** Replaces a small file: written beside, synced, renamed, folder synced. Mode 0600. */
  write(name: string, content: Uint8Array): Promise<void> {
    return this.#inTurn(() => this.#write(name, content));
  }

  /** Removes a file or folder with all its content; no error when there is none. */
  remove(name: string): Promise<void> {
    return this.#inTurn(async () => {
      const target = join(this.path, name);
      await rm(target, { recursive: true, force: true });
      // Not the data folder alone: what was removed from a folder in it must not come back.
      await syncFolder(dirname(target)).catch(ignoreMissing);
    });
  }

  /** Names directly inside the folder, the lock left out. */
  async list(): Promise<readonly string[]> {
    return (await readdir(this.path)).filter((name) => name !== LOCK_NAME).sort();
  }

  /** Gives the lock back. Idempotent through the descriptor's own state. */
  close(): void {
    try {
      closeSync(this.#lockDescriptor);
    } catch {
      // Closed before: nothing is held any more.
    }
  }

  async #write(name: string, content: Uint8Array): Promise<void> {
    const target = join(this.path, name);
    const folder = dirname(target);
    await mkdir(folder, { recursive: true, mode: 0o700 });
    const draft = `${target}.new`;
    try {
      await rm(draft, { force: true });
      const file = await open(draft, 'wx', 0o600);
      try {
        await file.writeFile(content);
        await file.sync();
      } finally {
        await file.close();
      }
      await rename(draft, target);
      await syncFolder(folder);
    } catch (error) {
      throw asStoreError(error, 'a small file of the data folder');
    }
  }

  #inTurn<T>(act: () => Promise<T>): Promise<T> {
    const next = this.#last.then(act);
    this.#last = next.catch(() => undefined);
    return next;
  }
}

const LOCK_NAME = 'lock';

/**
 * Takes an exclusive flock. The lock belongs to the open file description, which the helper shares
 * with us for a moment, so the kernel releases it when this process ends, however it ends.
 */
function takeLock(folder: string): number {
  const descriptor = openSync(join(folder, LOCK_NAME), 'a', 0o600);
  const result = spawnSync('flock', ['--exclusive', '--nonblock', '3'], {
    env: { PATH: '/usr/sbin:/usr/bin:/sbin:/bin' },
    stdio: ['ignore', 'ignore', 'ignore', descriptor],
  });
  if (result.status === 0) return descriptor;
  closeSync(descriptor);
  if (result.error !== undefined) {
    throw new ConclaveError('CV_ENVIRONMENT_REFUSED', 'the command flock (util-linux) is missing', {
      hint: 'Install the package util-linux.',
      cause: result.error,
    });
  }
  throw new ConclaveError('CV_DATA_DIR_IN_USE', `another daemon uses the data folder ${folder}`);
}

/** Nothing lies in a folder that is not there. */
function ignoreMissing(error: unknown): void {
  if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
}

async function syncFolder(path: string): Promise<void> {
  const folder = await open(path, 'r');
  try {
    await folder.sync();
  } finally {
    await folder.close();
  }
}

function asStoreError(error: unknown, what: string): ConclaveError {
  const code = (error as NodeJS.ErrnoException).code;
  if (code === 'ENOSPC' || code === 'EDQUOT') {
    return new ConclaveError('CV_DISK_FULL', `no room to write ${what}`, { cause: error });
  }
  return new ConclaveError('CV_STORE_FAILED', `cannot write ${what}`, { cause: error });
}
