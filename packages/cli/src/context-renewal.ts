import type { FileHandle } from 'node:fs/promises';
import type { SecretBytes } from '@conclave/sealed';

const FILE_MODE = 0o600;
/** Bytes on the disk that are held before a certificate is asked for: what is got must be kept. */
const RESERVE_BYTES = 64 * 1024;
/** Milliseconds after which whoever holds a context has died: renewing takes seconds. */
const HELD_MS_MAX = 60_000;

const codeOf = (error: unknown): unknown => (error as { code?: unknown }).code;

/**
 * Makes the draft the one that may replace the context: a link is made once or not at all. The times
 * of both files are of one clock, that of the disk.
 */
async function hold(draft: string, held: string): Promise<boolean> {
  const { link, rename, stat, unlink } = await import('node:fs/promises');
  try {
    await link(draft, held);
    await unlink(draft);
    return true;
  } catch (error) {
    if (codeOf(error) !== 'EEXIST') throw error;
  }
  const [own, other] = await Promise.all([stat(draft), stat(held).catch(() => undefined)]);
  if (other === undefined || own.mtimeMs - other.mtimeMs < HELD_MS_MAX) return false;
  await rename(draft, held);
  return true;
}

async function isOwn(file: FileHandle, held: string): Promise<boolean> {
  const { stat } = await import('node:fs/promises');
  const [own, other] = await Promise.all([file.stat(), stat(held).catch(() => undefined)]);
  return own.ino === other?.ino;
}

/**
 * Replaces the file by what `make` gives, at once or not at all; keeps it when that is nothing. Of
 * several processes one does so: two renewals of one certificate would leave the file with the one
 * that the cluster has forgotten.
 * @param draft a name beside the file that nobody else uses
 * @returns false when another process does so at the moment
 */
export async function replaceAlone(
  path: string,
  draft: string,
  make: () => Promise<SecretBytes | undefined>,
): Promise<boolean> {
  const { open, rename, rm } = await import('node:fs/promises');
  const place = path.lastIndexOf('/') + 1;
  const held = `${path.slice(0, place)}.${path.slice(place)}.renewal`;
  const file = await open(draft, 'wx', FILE_MODE);
  let isHeld = false;
  try {
    await file.writeFile(new Uint8Array(RESERVE_BYTES));
    await file.sync();
    isHeld = await hold(draft, held);
    if (!isHeld) return false;
    const content = await make();
    if (content === undefined) return true;
    const { size } = content;
    const view = content.use((bytes) => file.write(bytes, 0, bytes.length, 0));
    await view.finally(() => content.wipe());
    await file.truncate(size);
    await file.sync();
    // Who was held up for so long that another one took over leaves the file to that one.
    if (await isOwn(file, held)) await rename(held, path);
    return true;
  } finally {
    const leftover = isHeld ? held : draft;
    if (!isHeld || (await isOwn(file, held))) await rm(leftover, { force: true });
    await file.close();
  }
}
