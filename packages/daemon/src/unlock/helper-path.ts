import { lstat, realpath } from 'node:fs/promises';
import type { Stats } from 'node:fs';
import { dirname, isAbsolute, normalize } from 'node:path';
import { ConclaveError } from '@conclave/kernel';

const OTHERS_WRITE = 0o022;
const STICKY = 0o1000;
const EXECUTE = 0o111;

/**
 * Refuses a helper that anybody else than root or this user could replace: the path is absolute and
 * plain, no part of it is a symbolic link, and others may write neither the file nor a folder above.
 * @throws CV_UNLOCK_FAILED with the reason
 */
export async function checkHelper(path: string): Promise<void> {
  // A slash at the end, `..` and double slashes are gone after this.
  if (!isAbsolute(path) || normalize(path) !== path || path.includes('\0')) {
    throw unfit(path, 'is not an absolute path without detours');
  }
  const real = await realpath(path).catch(() => undefined);
  if (real === undefined) throw unfit(path, 'does not exist');
  if (real !== path) throw unfit(path, `leads through a symbolic link: give ${real}`);
  const file = await lstat(path);
  if (!file.isFile() || (file.mode & EXECUTE) === 0) throw unfit(path, 'is no executable file');
  if (isOpenToOthers(file)) throw unfit(path, 'may be written by other users');
  for (let folder = dirname(path); ; folder = dirname(folder)) {
    const found = await lstat(folder);
    // In a sticky folder such as /tmp others cannot replace what is not theirs.
    const isSticky = (found.mode & STICKY) !== 0 && found.uid === 0;
    if (isOpenToOthers(found) && !isSticky) {
      throw unfit(path, `lies below ${folder}, which other users may write`);
    }
    if (folder === dirname(folder)) return;
  }
}

function isOpenToOthers({ mode, uid }: Stats): boolean {
  const isTrusted = uid === 0 || uid === process.getuid?.();
  return !isTrusted || (mode & OTHERS_WRITE) !== 0;
}

function unfit(path: string, why: string): ConclaveError {
  return new ConclaveError('CV_UNLOCK_FAILED', `the unlock command ${path} ${why}`);
}
