import { stat } from 'node:fs/promises';
import { ConclaveError } from '@conclave/kernel';

/**
 * The run folder holds the socket and, on a worker, the files of tasks: nobody else may enter it.
 * @throws CV_DATA_DIR_LOOSE
 */
export async function checkRunFolder(path: string): Promise<void> {
  const found = await stat(path);
  if ((found.mode & 0o077) === 0 && found.uid === (process.getuid?.() ?? found.uid)) return;
  throw new ConclaveError('CV_DATA_DIR_LOOSE', `others may enter the run folder ${path}`, {
    hint: `Run: chmod 700 ${path}`,
  });
}
