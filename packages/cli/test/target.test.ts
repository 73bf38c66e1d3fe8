import { describe, expect, test } from '@jest/globals';
import { Flags } from '../src/flags.js';
import { targetOf } from '../src/target.js';
import { fakeIo } from './support/fake-io.js';
import { MemoryContexts } from './support/memory-contexts.js';
import { runCommand } from './support/run-command.js';

interface Given {
  readonly flags?: Record<string, string>;
  readonly env?: Record<string, string>;
  readonly chosen?: string;
  readonly isOfHost?: boolean;
}

async function target({
  flags = {},
  env = {},
  chosen = '',
  isOfHost = false,
}: Given): Promise<string> {
  const contexts = new MemoryContexts();
  contexts.chosen = chosen;
  const found = await targetOf({
    io: fakeIo({ env }),
    flags: new Flags(flags),
    contexts,
    isOfHost,
  });
  return found.kind === 'local' ? `local ${found.socketPath}` : found.name;
}

const DEFAULT = 'local /dev/shm/conclave-1000/conclave/conclave.sock';

describe('whom a command talks to', () => {
  test.each<[Given, string]>([
    [{}, DEFAULT],
    [{ chosen: 'c' }, 'c'],
    [{ chosen: 'c', env: { CONCLAVE_SOCKET: '/s' } }, 'local /s'],
    [{ chosen: 'c', env: { CONCLAVE_CONTEXT: 'e' } }, 'e'],
    [{ env: { CONCLAVE_CONTEXT: 'e', CONCLAVE_SOCKET: '/s' } }, 'e'],
    [{ env: { CONCLAVE_CONTEXT: 'e' }, flags: { context: 'f' } }, 'f'],
    [{ env: { CONCLAVE_CONTEXT: 'e' }, flags: { socket: '/s' } }, 'local /s'],
    [{ chosen: 'c', flags: { socket: '/s' } }, 'local /s'],
    [{ chosen: 'c', flags: { context: 'local' } }, DEFAULT],
    [{ chosen: 'c', env: { CONCLAVE_CONTEXT: 'local' } }, DEFAULT],
    [{ chosen: 'c', isOfHost: true }, DEFAULT],
  ])('%j: %s', async (given, expected) => {
    expect(await target(given)).toBe(expected);
  });

  test.each<Given>([
    { flags: { context: 'a', socket: '/s' } },
    { flags: { context: 'a' }, isOfHost: true },
    { env: { CONCLAVE_CONTEXT: 'a' }, isOfHost: true },
    { flags: { context: '../a' } },
    { flags: { context: 'a'.repeat(64) } },
    { chosen: 'a/b' },
  ])('%j is refused', async (given) => {
    await expect(target(given)).rejects.toMatchObject({ code: 'CV_ARGUMENT_INVALID' });
  });

  test('a context that is not there connects to nobody', async () => {
    const { code, connected, remote } = await runCommand(['--context', 'a', 'secret', 'ls']);
    expect({ code, connected, remote }).toEqual({ code: 66, connected: [], remote: [] });
  });
});
