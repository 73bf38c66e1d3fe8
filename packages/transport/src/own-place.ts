import { lstat, realpath } from 'node:fs/promises';
import { dirname } from 'node:path';
import { ConclaveError } from '@conclave/kernel';

/** Bits of a mode that let the group or everybody make names in a folder. */
const WRITABLE_BY_OTHERS = 0o022;
const STICKY = 0o1000;
const ROOT = 0;

/**
 * Proves that nobody but this user and root could have put `path` where it is: on the way to it, a
 * folder that others may write to is sticky, and what was made in it is ours or root's. Folders such
 * as `/dev/shm` and `/tmp` are open to all, and a name in them can be made by whoever comes first.
 * @param userId who relies on it
 * @throws CV_PLACE_FOREIGN naming the folder
 */
export async function checkOwnPlace(path: string, userId: number): Promise<void> {
  // What is not there yet cannot be another's; a folder further up can.
  let child = await realpath(path).catch(() => undefined);
  for (let above = dirname(path); child === undefined; above = dirname(above)) {
    child = await realpath(above).catch(() => undefined);
  }
  for (; child !== dirname(child); child = dirname(child)) {
    const [found, folder] = await Promise.all([lstat(child), lstat(dirname(child))]);
    const isOpen = (folder.mode & WRITABLE_BY_OTHERS) !== 0;
    const isOurs = found.uid === userId || found.uid === ROOT;
    if (!isOpen || ((folder.mode & STICKY) !== 0 && isOurs)) continue;
    throw new ConclaveError('CV_PLACE_FOREIGN', `others may have made or may replace ${child}`);
  }
}
