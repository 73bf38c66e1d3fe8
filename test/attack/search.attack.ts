import { spawn } from 'node:child_process';
import { mkdir, mkdtemp, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { LeakScanner } from '@conclave/testing';
import { KINDS, MARKERS, planted, UNIT_BYTES, unitOf } from './planted.js';

describe('the search itself', () => {
  let folder: string;
  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'cleak-control-'));
  });
  afterAll(() => rm(folder, { recursive: true, force: true }));

  test.each(KINDS)('finds a planted %s value in every form and every place', async (kind) => {
    const found = async (act: (scanner: LeakScanner) => Promise<void>): Promise<string[]> => {
      const scanner = new LeakScanner(MARKERS);
      await act(scanner);
      return scanner.report().leaks.map(({ marker }) => marker);
    };
    const inFile = async (content: Uint8Array | string): Promise<string[]> => {
      const own = await mkdtemp(join(folder, 'file-'));
      await mkdir(join(own, 'deep'));
      await writeFile(join(own, 'deep', 'file'), content);
      return found((scanner) => scanner.folder(own));
    };
    for (const value of planted(1).values()) {
      if (!value.includes(unitOf(kind))) continue;
      const cut = value.subarray(0, Math.min(value.length, 3 * UNIT_BYTES));
      expect(await inFile(value)).toContain(kind);
      for (const form of ['hex', 'base64'] as const) {
        expect(await inFile(`{"value":"${cut.toString(form)}"}`)).toContain(kind);
      }
    }
    const text = unitOf(kind).toString('hex');
    const names = await mkdtemp(join(folder, 'names-'));
    await symlink(text, join(names, 'link'));
    expect(await found((scanner) => scanner.folder(names))).toContain(kind);
    const child = spawn('sleep', ['60'], { env: { PATH: process.env['PATH'], PLANTED: text } });
    try {
      expect(await found((scanner) => scanner.process(child.pid ?? 0))).toContain(kind);
    } finally {
      child.kill('SIGKILL');
    }
  });
});
