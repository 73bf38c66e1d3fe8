import { mkdir, stat } from 'node:fs/promises';
import { dirname } from 'node:path';
import { ConclaveError } from '@conclave/kernel';

/**
 * Makes a folder and those above it that are missing, for this user only. Not the recursive form of
 * the library: that one never ends where nothing can be made, as below /proc.
 * @param what as people call it, such as "data folder"
 * @throws CV_STORE_FAILED with the reason
 */
export async function makeFolder(what: string, path: string): Promise<void> {
  const missing: string[] = [];
  try {
    for (let at = path; !(await isThere(at)); at = dirname(at)) missing.push(at);
    for (const folder of missing.reverse()) await makeOne(folder);
    if ((await stat(path)).isDirectory()) return;
  } catch (error) {
    const reason = (error as NodeJS.ErrnoException).code ?? 'unknown error';
    throw unusable(`the ${what} ${path} cannot be made (${reason})`, error);
  }
  throw unusable(`the ${what} ${path} is not a folder`, undefined);
}

function unusable(message: string, cause: unknown): ConclaveError {
  const hint = 'Choose another with --data-dir or --run-dir, or make it for this user.';
  return new ConclaveError('CV_STORE_FAILED', message, { hint, cause });
}

async function isThere(path: string): Promise<boolean> {
  try {
    await stat(path);
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return false;
    throw error;
  }
}

async function makeOne(path: string): Promise<void> {
  try {
    await mkdir(path, { mode: 0o700 });
  } catch (error) {
    // Somebody else was faster.
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
  }
}
