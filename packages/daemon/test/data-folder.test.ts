import { chmodSync, mkdtempSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { DataFolder } from '../src/data-folder.js';

describe('the data folder', () => {
  let parent: string;
  beforeEach(() => {
    parent = mkdtempSync(join(tmpdir(), 'conclave-data-'));
  });
  afterEach(() => rmSync(parent, { recursive: true, force: true }));

  test('one daemon uses it at a time, and a closed one lets the next in', async () => {
    const path = join(parent, 'data');
    const first = await DataFolder.open(path);
    expect(statSync(path).mode & 0o777).toBe(0o700);
    await expect(DataFolder.open(path)).rejects.toMatchObject({ code: 'CV_DATA_DIR_IN_USE' });
    first.close();
    first.close();
    (await DataFolder.open(path)).close();
  });

  test('a folder that others may read is refused, with the command that mends it', async () => {
    const path = join(parent, 'data');
    (await DataFolder.open(path)).close();
    chmodSync(path, 0o755);
    await expect(DataFolder.open(path)).rejects.toMatchObject({
      code: 'CV_DATA_DIR_LOOSE',
      hint: expect.stringContaining('chmod 700') as unknown as string,
    });
  });

  test.each(['/proc/none/here', '/etc/passwd', '/etc/passwd/data'])(
    '%s can be no folder, and that is said at once',
    async (path) => {
      await expect(DataFolder.open(path)).rejects.toMatchObject({
        code: 'CV_STORE_FAILED',
        message: expect.stringContaining(path) as unknown as string,
      });
    },
  );

  test('folders that are missing are made for this user only', async () => {
    const path = join(parent, 'a/b/data');
    (await DataFolder.open(path)).close();
    expect(statSync(join(parent, 'a')).mode & 0o777).toBe(0o700);
  });

  test('small files are private, replaced as a whole, and go with their folder', async () => {
    const folder = await DataFolder.open(join(parent, 'data'));
    expect(await folder.read('keys/one')).toBeUndefined();
    await folder.write('keys/one', Uint8Array.of(1, 2));
    await folder.write('keys/one', Uint8Array.of(3));
    expect([...((await folder.read('keys/one')) ?? [])]).toEqual([3]);
    expect(statSync(join(folder.path, 'keys/one')).mode & 0o777).toBe(0o600);
    await folder.remove('keys');
    expect(await folder.read('keys/one')).toBeUndefined();
    expect(await folder.list()).toEqual([]);
    folder.close();
  });
});
