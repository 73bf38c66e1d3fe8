import { spawnSync } from 'node:child_process';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect, test } from '@jest/globals';

const script = join(dirname(fileURLToPath(import.meta.url)), '../../../scripts/generate.mjs');

test('what is generated is what the .proto files say', () => {
  const { status, stderr } = spawnSync(process.execPath, [script, '--check'], {
    env: { PATH: process.env['PATH'] },
    encoding: 'utf8',
  });
  expect({ status, stderr }).toEqual({ status: 0, stderr: '' });
}, 30_000);
