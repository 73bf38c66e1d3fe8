import { chmod, chown, mkdir, mkdtemp, rm, symlink } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { checkOwnPlace } from '../src/index.js';

const USER = process.getuid?.() ?? 0;
/** Somebody who is neither root nor the owner of what this test makes. */
const SOMEBODY = 4_711;

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'own-place-'));
});
afterEach(() => rm(folder, { recursive: true }));

async function make(name: string, mode: number): Promise<string> {
  const path = join(folder, name);
  await mkdir(path);
  await chmod(path, mode);
  return path;
}

describe('a place to rely on', () => {
  test('is one that only its user could make', async () => {
    const own = await make('own', 0o700);
    await expect(checkOwnPlace(join(own, 'socket'), USER)).resolves.toBeUndefined();
    const sticky = await make('sticky', 0o1777);
    await mkdir(join(sticky, 'mine'));
    await expect(checkOwnPlace(join(sticky, 'mine/socket'), USER)).resolves.toBeUndefined();
  });

  test('is not one whose folder everybody may change', async () => {
    const open = await make('open', 0o777);
    await mkdir(join(open, 'mine'));
    const asked = checkOwnPlace(join(open, 'mine/socket'), USER);
    await expect(asked).rejects.toMatchObject({ code: 'CV_PLACE_FOREIGN' });
  });

  test('is not what somebody else made first where everybody may', async () => {
    const sticky = await make('sticky', 0o1777);
    await mkdir(join(sticky, 'theirs'));
    // Root can give it away; everybody else asks as somebody else.
    if (USER === 0) await chown(join(sticky, 'theirs'), SOMEBODY, SOMEBODY);
    const asker = USER === 0 ? SOMEBODY + 1 : SOMEBODY;
    await symlink(join(sticky, 'theirs'), join(folder, 'link'));
    for (const path of [join(sticky, 'theirs/socket'), join(folder, 'link/socket')]) {
      await expect(checkOwnPlace(path, asker)).rejects.toMatchObject({
        code: 'CV_PLACE_FOREIGN',
      });
    }
  });
});
