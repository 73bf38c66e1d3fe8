import { statfs } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { test } from '@jest/globals';
import { namespaceNetwork } from '@conclave/testing';
import { isRoot } from './support.js';

const TMPFS = 0x01021994;

/** What this machine lacks for cutting links between hosts; empty: nothing. */
export async function lackOfLinks(): Promise<string> {
  const probe = await namespaceNetwork(1, 'probe');
  if ('missing' in probe) return probe.missing;
  await probe.close();
  return '';
}

/** What this machine lacks for mounting a small disk; empty: nothing. */
export const lackOfMounts: string = isRoot ? '' : 'a small disk needs root';

/** What this machine lacks for temporary files that are not in memory; empty: nothing. */
export async function lackOfDisk(): Promise<string> {
  const { type } = await statfs(tmpdir());
  return type === TMPFS ? 'the folder for temporary files is in memory' : '';
}

/** Names a test that counts as skipped, and says why, when this machine lacks what it needs. */
export function testUnless(lack: string): typeof test.skip {
  if (lack === '') return test;
  console.warn(`skipped: ${lack}`);
  return test.skip;
}
