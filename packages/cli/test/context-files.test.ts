import { chmod, mkdir, mkdtemp, readdir, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { SecretBytes } from '@conclave/sealed';
import { ContextFiles } from '../src/context-files.js';
import { countingBytes } from './support/run-command.js';

let folder: string;
let files: ContextFiles;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'contexts-'));
  const env = { XDG_CONFIG_HOME: folder };
  files = new ContextFiles(env, { bytes: countingBytes, below: () => 0 });
});
afterEach(async () => {
  await rm(folder, { recursive: true });
});

const content = (text: string): SecretBytes => SecretBytes.take(new TextEncoder().encode(text));
const textOf = async (name: string): Promise<string> =>
  (await files.read(name)).use((view) => new TextDecoder().decode(view));
const code = (name: string): unknown => expect.objectContaining({ code: name });

describe('contexts as files', () => {
  test('are written for one user, replaced as a whole, and listed', async () => {
    expect(await files.names()).toEqual([]);
    await files.write('b', content('one'));
    await files.write('a', content('two'));
    await files.write('b', content('three'));
    expect(await files.names()).toEqual(['a', 'b']);
    expect(await textOf('b')).toBe('three');
    expect((await stat(files.place('b'))).mode & 0o777).toBe(0o600);
    expect((await stat(join(folder, 'conclave/contexts'))).mode & 0o777).toBe(0o700);
    expect((await readdir(join(folder, 'conclave/contexts'))).toSorted()).toEqual(['a', 'b']);
  });

  test('in a place that is no folder are an error of output', async () => {
    await mkdir(join(folder, 'conclave'));
    await writeFile(join(folder, 'conclave/contexts'), '');
    await expect(files.names()).rejects.toEqual(code('CV_OUTPUT_FAILED'));
  });

  test.each([0o640, 0o604, 0o660])('with the mode %o are not used', async (mode) => {
    await files.write('a', content('x'));
    await chmod(files.place('a'), mode);
    await expect(files.read('a')).rejects.toEqual(code('CV_CONTEXT_INVALID'));
  });

  test('that are removed are not chosen any more', async () => {
    await files.write('a', content('x'));
    await files.choose('a');
    expect(await files.current()).toBe('a');
    await files.remove('a');
    expect(await files.current()).toBe('');
    await expect(files.remove('a')).rejects.toEqual(code('CV_CONTEXT_NOT_FOUND'));
    await expect(files.read('a')).rejects.toEqual(code('CV_CONTEXT_NOT_FOUND'));
  });

  test('have names that lead nowhere else', async () => {
    for (const name of ['../a', 'a/b', '.a', '', 'local', 'a\n']) {
      await expect(files.write(name, content('x'))).rejects.toEqual(code('CV_ARGUMENT_INVALID'));
      await expect(files.read(name)).rejects.toEqual(code('CV_ARGUMENT_INVALID'));
    }
  });
});
