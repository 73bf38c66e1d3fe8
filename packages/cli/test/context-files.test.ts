import { chmod, mkdir, mkdtemp, readdir, rm, stat, utimes, writeFile } from 'node:fs/promises';
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

describe('the renewal of a context', () => {
  const place = (name: string): string => join(folder, 'conclave/contexts', name);
  const left = async (): Promise<string[]> =>
    (await readdir(join(folder, 'conclave/contexts'))).toSorted();
  /** Draws names that differ, as every process does. */
  const other = (): ContextFiles => {
    const random = { bytes: (count: number) => countingBytes(count).fill(9), below: () => 0 };
    return new ContextFiles({ XDG_CONFIG_HOME: folder }, random);
  };

  test('replaces it as a whole, for one user', async () => {
    await files.write('a', content('the first, which is longer'));
    const isDone = await files.renew('a', (old) => {
      expect(old.use((view) => new TextDecoder().decode(view))).toContain('first');
      return Promise.resolve(content('second'));
    });
    expect(isDone).toBe(true);
    expect(await textOf('a')).toBe('second');
    expect((await stat(place('a'))).mode & 0o777).toBe(0o600);
    expect(await left()).toEqual(['a']);
  });

  test('keeps it when there is nothing new, or it fails', async () => {
    await files.write('a', content('first'));
    expect(await files.renew('a', () => Promise.resolve(undefined))).toBe(true);
    const failing = files.renew('a', () => Promise.reject(new Error('nobody answers')));
    await expect(failing).rejects.toThrow('nobody answers');
    expect(await textOf('a')).toBe('first');
    expect(await left()).toEqual(['a']);
    await expect(files.renew('b', () => Promise.resolve(undefined))).rejects.toEqual(
      code('CV_CONTEXT_NOT_FOUND'),
    );
    expect(await left()).toEqual(['a']);
  });

  test('is done by one command at a time', async () => {
    await files.write('a', content('first'));
    const asked: string[] = [];
    await files.renew('a', async () => {
      const isAlone = await other().renew('a', () => {
        asked.push('the other');
        return Promise.resolve(content('of the other'));
      });
      expect(isAlone).toBe(false);
      return content('second');
    });
    expect(asked).toEqual([]);
    expect(await textOf('a')).toBe('second');
    expect(await left()).toEqual(['a']);
  });

  test('is taken over from a command that died, which then leaves the file alone', async () => {
    await files.write('a', content('first'));
    await files.renew('a', async () => {
      const old = new Date(Date.now() - 120_000);
      await utimes(place('.a.renewal'), old, old);
      expect(await other().renew('a', () => Promise.resolve(content('of the other')))).toBe(true);
      return content('too late');
    });
    expect(await textOf('a')).toBe('of the other');
    expect(await left()).toEqual(['a']);
  });

  test('asks for nothing where it could not be kept', async () => {
    await mkdir(join(folder, 'conclave'));
    await writeFile(join(folder, 'conclave/contexts'), '');
    const asked = files.renew('a', () => Promise.reject(new Error('was asked')));
    await expect(asked).rejects.toEqual(code('CV_OUTPUT_FAILED'));
  });
});
