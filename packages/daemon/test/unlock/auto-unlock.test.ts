import { existsSync, readFileSync } from 'node:fs';
import { chmod, mkdir, mkdtemp, realpath, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeAll, beforeEach, describe, expect, test } from '@jest/globals';
import type { TimerHandle } from '@conclave/kernel';
import { openSealed, SecretBytes } from '@conclave/sealed';
import { DataFolder } from '../../src/data-folder.js';
import { SYSTEM_RANDOM, SYSTEM_TIMERS } from '../../src/platform.js';
import { createAutoSlot } from '../../src/unlock/auto-unlock.js';
import { checkHelper } from '../../src/unlock/helper-path.js';
import { hostFile } from '../../src/unlock/host-file.js';
import { runHelper } from '../../src/unlock/run-helper.js';
import { unlockCommand } from '../../src/unlock/unlock-command.js';

let folder: string;
const tools = { timers: SYSTEM_TIMERS };
const empty = (): SecretBytes => SecretBytes.allocate(0);

beforeAll(openSealed);
beforeEach(async () => {
  folder = await realpath(await mkdtemp(join(tmpdir(), 'conclave-unlock-')));
});
afterEach(() => rm(folder, { recursive: true }));

async function helper(script: string, name = 'helper'): Promise<string> {
  const path = join(folder, name);
  await writeFile(path, `#!/bin/sh\n${script}\n`, { mode: 0o700 });
  return path;
}

const textOf = (secret: SecretBytes): string =>
  secret.use((view) => Buffer.from(view).toString('latin1'));

const contentOf = (path: string): string => (existsSync(path) ? readFileSync(path, 'utf8') : '');

/** Lets the event loop turn until something is true; the limit of the test ends it otherwise. */
async function turnsUntil(isTrue: () => boolean): Promise<void> {
  while (!isTrue()) await new Promise((resolve) => setImmediate(resolve));
}

describe('an unlock command', () => {
  /** Keeps the key in a file, and gives back where. */
  const KEEPER =
    'case $1 in wrap) cat > "$0.key"; echo here;; unwrap) cat > /dev/null; cat "$0.key";; esac';

  test('is given the key, and gives it back', async () => {
    const provider = unlockCommand(await helper(KEEPER), tools);
    const { draft } = await createAutoSlot(provider, SYSTEM_RANDOM);
    expect(draft).toMatchObject({ kind: 'command', detail: join(folder, 'helper') });
    expect(Buffer.from(draft.data).toString()).toBe('here\n');
    const key = await provider.unwrap(draft);
    expect(key.size).toBe(32);
  });

  test.each([
    ['that gives another key', 'head -c 32 /dev/zero'],
    ['that gives too little', 'printf short'],
    ['that gives nothing', 'true'],
  ])('%s makes no slot', async (_, script) => {
    const provider = unlockCommand(await helper(script), tools);
    await expect(createAutoSlot(provider, SYSTEM_RANDOM)).rejects.toMatchObject({
      code: 'CV_UNLOCK_FAILED',
      message: expect.stringMatching(/another key/),
    });
  });
});

describe('a helper that runs', () => {
  test('gets its input and nothing of our environment', async () => {
    process.env['CONCLAVE_MARKER'] = 'x';
    const path = await helper('cat; env | sort; pwd');
    const input = SecretBytes.take(Uint8Array.from(Buffer.from('given\0')));
    const answer = textOf(await runHelper([path], input, SYSTEM_TIMERS));
    delete process.env['CONCLAVE_MARKER'];
    expect(answer).toMatch(/^given\0PATH=/m);
    expect(answer).not.toMatch(/CONCLAVE_MARKER|HOME=/);
    expect(answer).toMatch(/\n\/\n$/);
  });

  test.each([
    ['fails', 'echo secret >&2; exit 3', /ended with 3/],
    ['is killed', 'kill -9 $$', /a signal/],
    ['says too much', 'head -c 100000 /dev/zero', /more than 65536 bytes/],
  ])('and %s is an error that repeats none of its words', async (_, script, message) => {
    const run = runHelper([await helper(script)], empty(), SYSTEM_TIMERS);
    await expect(run).rejects.toMatchObject({
      code: 'CV_UNLOCK_FAILED',
      message: expect.stringMatching(message),
    });
    await expect(run).rejects.not.toThrow(/secret/);
  });

  test('and hangs ends with all that it started', async () => {
    const pidFile = join(folder, 'pid');
    const path = await helper(`sleep 1000 & echo $! > ${pidFile}; wait`);
    let expire = (): void => undefined;
    const after = (_ms: number, callback: () => void): TimerHandle => {
      expire = callback;
      return { cancel: () => undefined };
    };
    const run = runHelper([path], empty(), { ...SYSTEM_TIMERS, after });
    run.catch(() => undefined);
    await turnsUntil(() => contentOf(pidFile).endsWith('\n'));
    expire();
    await expect(run).rejects.toThrow(/took more than/);
    const stat = `/proc/${Number(contentOf(pidFile))}/stat`;
    await turnsUntil(() => ['', 'Z', 'X'].includes(/ ([A-Z]) /.exec(contentOf(stat))?.[1] ?? ''));
  });

  test('and is not there is an error', async () => {
    await expect(runHelper([join(folder, 'no')], empty(), SYSTEM_TIMERS)).rejects.toMatchObject({
      code: 'CV_UNLOCK_FAILED',
    });
  });
});

describe('the path of a helper', () => {
  test('is fit when only its owner may write it', async () => {
    await expect(checkHelper(await helper('true'))).resolves.toBeUndefined();
  });

  test.each([
    ['relative', () => 'helper'],
    ['with a slash at the end', () => `${folder}/helper/`],
    ['with two slashes', () => `${folder}//helper`],
    ['with dots', () => `${folder}/x/../helper`],
    ['that is not there', () => `${folder}/other`],
    ['of a folder', () => folder],
  ])('%s is refused', async (_, path) => {
    await helper('true');
    await expect(checkHelper(path())).rejects.toMatchObject({ code: 'CV_UNLOCK_FAILED' });
  });

  test('is refused as a link, and below a link', async () => {
    await mkdir(join(folder, 'real'));
    await helper('true', 'real/helper');
    await symlink(join(folder, 'real/helper'), join(folder, 'link'));
    await symlink(join(folder, 'real'), join(folder, 'way'));
    for (const path of [join(folder, 'link'), join(folder, 'way/helper')]) {
      await expect(checkHelper(path)).rejects.toThrow(/symbolic link/);
    }
  });

  test('is refused when others may write the file or a folder above it', async () => {
    const path = await helper('true');
    await chmod(path, 0o722);
    await expect(checkHelper(path)).rejects.toThrow(/written by other users/);
    await chmod(path, 0o700);
    await chmod(folder, 0o777);
    await expect(checkHelper(path)).rejects.toThrow(/which other users may write/);
  });

  test('is refused when it cannot be run', async () => {
    const path = await helper('true');
    await chmod(path, 0o600);
    await expect(checkHelper(path)).rejects.toThrow(/no executable file/);
  });
});

describe('the key file of a host', () => {
  test('opens, says what it is worth, and goes when it is forgotten', async () => {
    const data = await DataFolder.open(join(folder, 'data'));
    try {
      const provider = hostFile({ folder: data });
      const { draft, note } = await createAutoSlot(provider, SYSTEM_RANDOM);
      expect(draft).toMatchObject({ kind: 'host', detail: 'file' });
      expect(note).toMatch(/anyone who copies this disk can open it/);
      expect((await data.read('keys/host.key'))?.length).toBe(32);
      await provider.forget();
      await expect(provider.unwrap(draft)).rejects.toMatchObject({ code: 'CV_UNLOCK_FAILED' });
    } finally {
      data.close();
    }
  });
});
