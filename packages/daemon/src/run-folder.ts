import { stat } from 'node:fs/promises';
import { ConclaveError } from '@conclave/kernel';
import { checkOwnPlace } from '@conclave/transport';

/**
 * The run folder holds the socket and, on a worker, the files of tasks: nobody else may enter it or
 * put another in its place.
 * @throws CV_DATA_DIR_LOOSE, CV_PLACE_FOREIGN
 */
export async function checkRunFolder(path: string): Promise<void> {
  const found = await stat(path);
  const userId = process.getuid?.() ?? found.uid;
  await checkOwnPlace(path, userId);
  if ((found.mode & 0o077) === 0 && found.uid === userId) return;
  throw new ConclaveError('CV_DATA_DIR_LOOSE', `others may enter the run folder ${path}`, {
    hint: `Run: chmod 700 ${path}`,
  });
}
