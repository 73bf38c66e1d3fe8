import { readFileSync } from 'node:fs';
import { describe, expect, test } from '@jest/globals';
import { ERROR_TABLE, EXIT_CODES, VERSION } from '@conclave/kernel';
import type { ErrorCode, ErrorKind } from '@conclave/kernel';
import { COMMANDS } from '../src/commands/index.js';
import { fakeIo } from './support/fake-io.js';
import { secretOf } from './support/objects.js';
import { failure, runCommand } from './support/run-command.js';

describe('errors', () => {
  const expected: Record<ErrorKind, number> = {
    usage: 64,
    missing: 66,
    conflict: 65,
    denied: 77,
    limit: 65,
    'not-ready': 75,
    unavailable: 69,
    corrupt: 76,
    environment: 71,
    defect: 70,
  };

  test('the table of exit codes', () => {
    expect(EXIT_CODES).toEqual(expected);
  });

  test.each(Object.keys(ERROR_TABLE) as ErrorCode[])('%s: one sentence, one hint', async (code) => {
    const outcome = await runCommand(['secret', 'get', 'a'], {
      answers: { 'secrets.get': failure(code, 'line one\nline two\u001b[2J') },
    });
    expect(outcome.code).toBe(expected[ERROR_TABLE[code].kind]);
    expect(outcome.stdout).toBe('');
    expect(outcome.stderr).toBe(`error: line one line two [2J\nhint: ${ERROR_TABLE[code].next}\n`);
  });

  test('a defect shows no inside', async () => {
    const answers = { 'secrets.get': new TypeError('inside') };
    const quiet = await runCommand(['secret', 'get', 'a'], { answers });
    expect(quiet.code).toBe(70);
    expect(quiet.stderr).toBe('error: internal error\nhint: Report it with what was typed.\n');
    const loud = await runCommand(['secret', 'get', 'a'], {
      answers,
      env: { CONCLAVE_DEBUG: '1' },
    });
    expect(loud.stderr).toContain('TypeError: inside');
  });

  test('a connection that fails is told once', async () => {
    const connectError = failure('CV_PEER_UNREACHABLE', 'no daemon answers at /x');
    const { closed, code, stderr } = await runCommand(['secret', 'ls'], { connectError });
    expect(code).toBe(69);
    expect(stderr.match(/error:/g)).toHaveLength(1);
    expect(closed.count).toBe(0);
  });

  test('the client is closed, also after an error', async () => {
    const good = await runCommand(['secret', 'get', 'a'], {
      answers: { 'secrets.get': secretOf() },
    });
    const bad = await runCommand(['secret', 'get', 'a'], {
      answers: { 'secrets.get': failure('CV_SECRET_NOT_FOUND') },
    });
    expect([good.closed.count, bad.closed.count]).toEqual([1, 1]);
  });

  test('the label is red on a terminal unless NO_COLOR says no', async () => {
    const stderr = async (env: Record<string, string>, isTerminal: boolean): Promise<string> =>
      (await runCommand(['secret', 'rm'], { env, isTerminal })).stderr;
    expect(await stderr({}, true)).toContain('\u001b[31merror:\u001b[39m');
    expect(await stderr({ NO_COLOR: '1' }, true)).not.toContain('\u001b');
    expect(await stderr({ TERM: 'dumb' }, true)).not.toContain('\u001b');
    expect(await stderr({}, false)).not.toContain('\u001b');
  });
});

test('streams that are closed are no reason to throw', async () => {
  const help = fakeIo();
  help.stdout.failAfter = 0;
  expect((await runCommand(['--help'], { io: help })).code).toBe(0);
  const error = fakeIo();
  error.stderr.failAfter = 0;
  expect((await runCommand(['secret', 'get'], { io: error })).code).toBe(69);
});

describe('mistakes in what is typed', () => {
  test.each([
    [['secrte'], "unknown command 'secrte' (Did you mean secret?)", '--help'],
    [['secret', 'MARKER'], 'unknown command', 'secret --help'],
    [['--socket', '/a', 'secret', 'get'], "missing required argument 'name'", 'secret get --help'],
    [['secret', 'get'], "missing required argument 'name'", 'secret get --help'],
    [['secret', 'get', 'a', 'b'], 'too many arguments', 'secret get --help'],
    [['secret', 'ls', '--colour'], 'unknown option --colour', 'secret ls --help'],
    [['secret', 'ls', '--token=MARKER'], 'unknown option --token', 'secret ls --help'],
    [['secret', 'ls', '-xMARKER'], 'unknown option -x', 'secret ls --help'],
    [['secret', 'ls', '-o'], 'argument missing', 'secret ls --help'],
  ])('%j', async (argv, message, hint) => {
    const { code, connected, stderr, stdout } = await runCommand(argv);
    expect(code).toBe(64);
    expect(stdout).toBe('');
    expect(stderr).toContain(message);
    expect(stderr).toContain(`hint: Run \`conclave ${hint}\`.\n`);
    expect(stderr).not.toContain('MARKER');
    expect(connected).toEqual([]);
  });

  test('no command at all: the help, on standard error, as a mistake', async () => {
    for (const argv of [[], ['secret']]) {
      const { code, stderr, stdout } = await runCommand(argv);
      expect(code).toBe(64);
      expect(stdout).toBe('');
      expect(stderr).toContain('Usage: conclave');
    }
  });
});

describe('the socket', () => {
  const socket = async (
    argv: readonly string[],
    env: Record<string, string>,
    userId: number,
  ): Promise<string | undefined> => {
    const answers = { 'secrets.list': [] };
    const { connected } = await runCommand(['secret', 'ls', ...argv], { answers, env, userId });
    return connected[0]?.socketPath;
  };

  test('by option, by environment, by user', async () => {
    expect(await socket(['--socket', '/a'], { CONCLAVE_SOCKET: '/b' }, 0)).toBe('/a');
    expect(await socket([], { CONCLAVE_SOCKET: '/b' }, 0)).toBe('/b');
    expect(await socket([], {}, 0)).toBe('/run/conclave/conclave.sock');
    expect(await socket([], { XDG_RUNTIME_DIR: '/run/user/7' }, 7)).toBe(
      '/run/user/7/conclave/conclave.sock',
    );
    expect(await socket([], {}, 7)).toBe('/dev/shm/conclave-7/conclave/conclave.sock');
  });

  test('global options may stand before the command', async () => {
    const { connected } = await runCommand(['--socket', '/a', '--timeout', '5s', 'secret', 'ls'], {
      answers: { 'secrets.list': [] },
    });
    expect(connected).toEqual([{ socketPath: '/a', deadlineMs: 5_000 }]);
  });

  test.each(['MARKER', '0s'])('a timeout must be a duration: %s', async (text) => {
    const { code, connected } = await runCommand(['secret', 'ls', '--timeout', text]);
    expect(code).toBe(64);
    expect(connected).toEqual([]);
  });
});

describe('help', () => {
  test('lists every command and needs no daemon', async () => {
    const { code, connected, stdout } = await runCommand(['--help']);
    expect(code).toBe(0);
    expect(connected).toEqual([]);
    for (const word of new Set(COMMANDS.map(({ path }) => path.split(' ')[0]))) {
      expect(stdout).toMatch(new RegExp(`^  ${word ?? ''} `, 'm'));
    }
  });

  test.each(COMMANDS.map(({ path }) => path))('%s --help has an example', async (path) => {
    const { code, stdout } = await runCommand([...path.split(' '), '--help']);
    expect(code).toBe(0);
    expect(stdout).toMatch(/Examples?:\n {2}\$ .*conclave /);
    expect(stdout).toContain('--socket <path>');
  });

  test('help of a group lists its commands', async () => {
    const { stdout } = await runCommand(['help', 'secret']);
    for (const { path } of COMMANDS.filter((spec) => spec.path.startsWith('secret '))) {
      expect(stdout).toContain(`  ${path.split(' ')[1] ?? ''} `);
    }
  });

  test('every command has one path, one summary without a full stop', () => {
    const paths = COMMANDS.map(({ path }) => path);
    expect(new Set(paths).size).toBe(paths.length);
    for (const { summary } of COMMANDS) expect(summary).toMatch(/^[A-Z].*[^.]$/);
  });
});

test('the version is that of the package', () => {
  const text = readFileSync(new URL('../package.json', import.meta.url), 'utf8');
  expect(VERSION).toBe((JSON.parse(text) as { version: string }).version);
});
