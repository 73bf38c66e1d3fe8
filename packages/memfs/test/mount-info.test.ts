import { describe, expect, test } from '@jest/globals';

import { hasActiveSwap, mountOf, parseMountInfo } from '../src/mount-info.js';

const TABLE = [
  '22 27 0:21 / /proc rw,relatime - proc proc rw',
  '27 1 254:0 / / rw,relatime - ext4 /dev/vda rw,discard',
  '31 27 0:27 / /run rw,nosuid shared:5 master:1 - tmpfs tmpfs rw,size=64k,noswap',
  '32 31 0:28 /sub /run/with\\040space ro - tmpfs conclave rw',
  '33 27 0:29 / /run rw - ramfs on-top rw',
  'garbage',
  '',
].join('\n');

describe('mount table', () => {
  test('reads optional fields, escapes and options, and leaves malformed lines out', () => {
    const lines = parseMountInfo(TABLE);
    expect(lines).toHaveLength(5);
    expect(lines[2]?.superOptions).toContain('noswap');
    expect(lines[3]).toMatchObject({ root: '/sub', mountPoint: '/run/with space', device: '0:28' });
  });

  test('finds the mount that covers a path: the longest, and of equal ones the latest', () => {
    const lines = parseMountInfo(TABLE);
    expect(mountOf(lines, '/run/conclave')?.source).toBe('on-top');
    expect(mountOf(lines, '/run/with space/x')?.source).toBe('conclave');
    expect(mountOf(lines, '/running')?.source).toBe('/dev/vda');
  });

  test('knows whether a swap area is active', () => {
    const head = 'Filename\t\t\t\tType\t\tSize\t\tUsed\t\tPriority\n';
    expect(hasActiveSwap(head)).toBe(false);
    expect(hasActiveSwap(`${head}/dev/sdb partition 1024 0 -2\n`)).toBe(true);
  });
});
