import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { HiddenInput, readHidden, readLine } from '../src/prompt.js';
import { readSecret, readSecretFile } from '../src/stdin.js';
import { fakeIo } from './support/fake-io.js';

const LIMIT = 16;
const bytesOf = (secret: { use<T>(borrow: (view: Uint8Array) => T): T }): number[] =>
  secret.use((view) => [...view]);

describe('standard input', () => {
  test('is taken byte for byte, in any chunks, and the chunks are wiped', async () => {
    const { stdin } = fakeIo({
      stdin: [Uint8Array.of(0, 255, 10), Uint8Array.of(13), Uint8Array.of(10, 0)],
    });
    const secret = await readSecret(stdin.chunks(), LIMIT);
    expect(bytesOf(secret)).toEqual([0, 255, 10, 13, 10, 0]);
    for (const chunk of stdin.handedOut) expect(chunk.every((byte) => byte === 0)).toBe(true);
  });

  test('may be exactly as long as the limit', async () => {
    const secret = await readSecret(fakeIo({ stdin: ['x'.repeat(LIMIT)] }).stdin.chunks(), LIMIT);
    expect(secret.size).toBe(LIMIT);
  });

  test('is not read further once it is too long', async () => {
    const { stdin } = fakeIo({ stdin: ['x'.repeat(10), 'x'.repeat(10), 'x'.repeat(10)] });
    await expect(readSecret(stdin.chunks(), LIMIT)).rejects.toMatchObject({
      code: 'CV_SECRET_TOO_LARGE',
      message: 'the value has more than 16 bytes',
    });
    expect(stdin.leftCount).toBe(1);
    for (const chunk of stdin.handedOut) expect(chunk.every((byte) => byte === 0)).toBe(true);
  });
});

describe('a file', () => {
  let folder: string;
  beforeAll(() => {
    folder = mkdtempSync(join(tmpdir(), 'cli-'));
  });
  afterAll(() => rmSync(folder, { recursive: true }));

  test('is taken byte for byte', async () => {
    const bytes = Uint8Array.from({ length: 200_000 }, (_, offset) => (offset * 7) % 256);
    const path = join(folder, 'value');
    writeFileSync(path, bytes);
    const secret = await readSecretFile(path, 1_000_000);
    expect(secret.use((view) => Buffer.from(view).equals(bytes))).toBe(true);
  });

  test('that is too long is refused', async () => {
    const path = join(folder, 'long');
    writeFileSync(path, 'x'.repeat(17));
    await expect(readSecretFile(path, LIMIT)).rejects.toMatchObject({
      code: 'CV_SECRET_TOO_LARGE',
    });
  });

  test('that is not there is told without its path', async () => {
    const error: unknown = await readSecretFile(join(folder, 'none'), LIMIT).catch(
      (e: unknown) => e,
    );
    expect(error).toMatchObject({
      code: 'CV_ARGUMENT_INVALID',
      message: 'the file cannot be read (ENOENT)',
    });
  });
});

describe('what is typed', () => {
  test('is not echoed, and Enter ends it', async () => {
    const io = fakeIo({ stdin: ['ab', 'c\r', 'rest'], isTerminal: true });
    expect(bytesOf(await readHidden(io, 'value: ', LIMIT))).toEqual([97, 98, 99]);
    expect(io.stderr.text).toBe('value: \n');
    expect(io.stdout.text).toBe('');
    expect(io.stdin.rawChanges).toEqual([true, false]);
    expect(io.stdin.leftCount).toBe(1);
    for (const chunk of io.stdin.handedOut) expect(chunk.every((byte) => byte === 0)).toBe(true);
  });

  test('echo is off before the question is asked', async () => {
    const io = fakeIo({ stdin: ['a\r'], isTerminal: true });
    const seen: boolean[][] = [];
    const write = io.stderr.write.bind(io.stderr);
    io.stderr.write = (data) => {
      seen.push([...io.stdin.rawChanges]);
      return write(data);
    };
    await readHidden(io, 'value: ', LIMIT);
    expect(seen).toEqual([[true], [true]]);
  });

  test('may come as several lines at once', async () => {
    const io = fakeIo({ stdin: ['one\rtw', 'o\rrest'], isTerminal: true });
    const lines = await HiddenInput.lend(io, LIMIT, async (input) => [
      bytesOf(await input.line('')),
      bytesOf(await input.line('')),
    ]);
    expect(lines.map((line) => String.fromCharCode(...line))).toEqual(['one', 'two']);
    expect(io.stdin.rawChanges).toEqual([true, false]);
    for (const chunk of io.stdin.handedOut) expect(chunk.every((byte) => byte === 0)).toBe(true);
  });

  test('can be corrected: backspace takes a whole character', async () => {
    const typed = fakeIo({ stdin: ['a\u00e9\u{1f512}\u007f\u007fb\u0008c\r'], isTerminal: true });
    expect(bytesOf(await readHidden(typed, '', LIMIT))).toEqual([97, 99]);
    const cleared = fakeIo({ stdin: ['\u007fabc\u0015d\n'], isTerminal: true });
    expect(bytesOf(await readHidden(cleared, '', LIMIT))).toEqual([100]);
  });

  test('is given up with Ctrl-C, and the terminal is put back', async () => {
    const io = fakeIo({ stdin: ['ab\u0003'], isTerminal: true });
    await expect(readHidden(io, '', LIMIT)).rejects.toMatchObject({ code: 'CV_CANCELLED' });
    expect(io.stdin.rawChanges).toEqual([true, false]);
  });

  test('has the limit too', async () => {
    const io = fakeIo({ stdin: ['x'.repeat(17)], isTerminal: true });
    await expect(readHidden(io, '', LIMIT)).rejects.toMatchObject({ code: 'CV_SECRET_TOO_LARGE' });
  });

  test('an answer is one line', async () => {
    const io = fakeIo({ stdin: ['y', 'es\nmore'], isTerminal: true });
    expect(await readLine(io, 'sure? ')).toBe('yes');
    expect(await readLine(fakeIo(), '')).toBe('');
  });
});
