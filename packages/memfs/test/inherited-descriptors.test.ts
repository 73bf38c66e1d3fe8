import { spawnSync } from 'node:child_process';
import { readdirSync } from 'node:fs';

import { describe, expect, test } from '@jest/globals';

import { closeInheritedDescriptors } from '../src/index.js';

// The listing has a descriptor of its own, which is closed when its names are looked at.
const LIST = 'for fd in /proc/$$/fd/*; do [ -e "$fd" ] && echo "${fd##*/}"; done; true';

describe('inherited descriptors', () => {
  // Attack row M07.
  test('after closing them a child has its standard streams and nothing else', () => {
    closeInheritedDescriptors();
    const { stdout } = spawnSync('sh', ['-c', LIST], {
      stdio: ['ignore', 'pipe', 'ignore'],
    });
    expect(stdout.toString().trim().split('\n')).toEqual(['0', '1', '2']);
  });

  test('what this process opened itself stays open', () => {
    const before = readdirSync('/proc/self/fd').length;
    expect(closeInheritedDescriptors()).toBe(0);
    expect(readdirSync('/proc/self/fd')).toHaveLength(before);
  });
});
