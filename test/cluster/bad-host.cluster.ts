import { chmod, mkdir, mkdtemp, readdir, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import type { Server } from 'node:net';
import { join } from 'node:path';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from '@jest/globals';
import { cleanEnvironment, Farm, run } from '@conclave/testing';
import type { Host, RunResult } from '@conclave/testing';
import { BUNDLE, PLANTED, refusalOf } from './support.js';
import type { Refusal } from './support.js';

let farm: Farm;
/** A host whose daemon runs and is a member of nothing. */
let host: Host;
/** Places for daemons that must not start. */
let dataDir = '';
let runDir = '';

beforeAll(async () => {
  farm = await Farm.create({ tag: 'chost', bundle: BUNDLE, names: ['a'], network: 'loopback' });
  host = farm.host('a');
  await host.start([], 60_000);
});
afterAll(() => farm?.close());

beforeEach(async () => {
  dataDir = join(await mkdtemp(join(farm.folder, 'case-')), 'data');
  runDir = join(await mkdtemp(join(farm.memoryFolder, 'case-')), 'run');
});

interface DaemonOptions {
  readonly env?: Record<string, string>;
  readonly timeoutMs?: number;
}

/** Runs a daemon that must end by itself. */
function daemon(args: readonly string[], options: DaemonOptions = {}): Promise<RunResult> {
  const argv = [join(BUNDLE, 'conclaved.js'), ...args];
  const env = { ...cleanEnvironment(), HOME: farm.folder, ...options.env };
  return run(argv, { timeoutMs: 20_000, env });
}

const folders = (): string[] => ['--data-dir', dataDir, '--run-dir', runDir];

/** One sentence, one hint, nothing of what was planted, no stack and no code of the library. */
function expectRefusal(result: RunResult, code: number, error: RegExp): Refusal {
  const refusal = refusalOf(result);
  expect({ ...refusal, stdout: result.stdout }).toMatchObject({
    code,
    error: expect.stringMatching(error),
    hint: expect.stringMatching(/./),
    stdout: '',
  });
  expect(result.stderr.trimEnd().split('\n').filter(isText)).toHaveLength(2);
  expect(result.stderr).not.toContain(PLANTED);
  return refusal;
}

/** Log lines are beside the matter. */
const isText = (line: string): boolean => !line.startsWith('{');

describe('folders', () => {
  test('a second daemon on the data folder of another is refused; the first goes on', async () => {
    const result = await daemon(['--data-dir', host.dataDir, '--run-dir', runDir]);
    expectRefusal(result, 71, /another daemon uses the data folder/);
    expect((await host.conclave(['status'])).stdout).toContain('not-initialized');
    expect(host.isRunning).toBe(true);
  });

  test('a second daemon on the run folder of another is refused and takes no socket away', async () => {
    const result = await daemon(['--data-dir', dataDir, '--run-dir', host.runDir]);
    expectRefusal(result, 71, /another daemon answers/);
    expect((await host.conclave(['status'])).stdout).toContain('not-initialized');
  });

  test.each([
    ['readable by all', 0o755],
    ['writable by the group', 0o720],
  ])('a data folder %s is refused with the command that mends it', async (_what, mode) => {
    await mkdir(dataDir);
    await chmod(dataDir, mode);
    const refusal = expectRefusal(await daemon(folders()), 71, /data folder .* has mode 07/);
    expect(refusal.hint).toContain(`chmod 700 ${dataDir}`);
    expect(await readdir(dataDir)).toEqual([]);
  });

  test('a run folder that others may enter is refused with the command that mends it', async () => {
    await mkdir(runDir);
    await chmod(runDir, 0o755);
    const refusal = expectRefusal(await daemon(folders()), 71, /run folder/);
    expect(refusal.hint).toContain(`chmod 700 ${runDir}`);
  });

  test.each([
    ['a file', '/etc/passwd'],
    ['where nothing can be made', '/proc/nothing/conclave'],
  ])('a folder that is %s is refused at once', async (_what, path) => {
    const asData = await daemon(['--data-dir', path, '--run-dir', runDir]);
    expectRefusal(asData, 71, /data folder .* (cannot be made|is not a folder)/);
    const asRun = await daemon(['--data-dir', dataDir, '--run-dir', path]);
    expectRefusal(asRun, 71, /run folder .* (cannot be made|is not a folder)/);
  });
});

describe('configuration', () => {
  const withFile = async (text: string | Uint8Array): Promise<RunResult> => {
    const path = join(dataDir, '../conclave.yaml');
    await writeFile(path, text);
    return daemon(['--config', path, ...folders()]);
  };

  test.each([
    ['an unknown key', 'dataFolder: /x\n', /dataFolder is not a setting/],
    ['a value where none belongs', `unlockKey: ${PLANTED}\n`, /unlockKey is not a setting/],
    ['a value as a key', `"${PLANTED} x": 1\n`, /is not a setting/],
    ['a wrong type', 'joinPort: many\n', /joinPort: .*number/],
    ['a key twice', 'logLevel: info\nlogLevel: warn\n', /key stands twice, at line 2/],
    ['the prototype', '__proto__:\n  allowSwap: true\n', /__proto__ is not a setting/],
    ['a reference', 'hostname: &a x\nlogLevel: *a\n', /references/],
    ['no YAML', 'listen: [\n', /not plain YAML/],
  ])('%s is refused', async (_what, text, error) => {
    const refusal = expectRefusal(await withFile(text), 64, error);
    if (text.includes('unlockKey')) expect(refusal.hint).toContain('pipe them');
  });

  test('a file over 64 KiB is refused', async () => {
    expectRefusal(await withFile(`#${'x'.repeat(64 * 1024)}\n`), 64, /over 65536 bytes/);
  });

  test('a file that is not there, and one without an end', async () => {
    expectRefusal(await daemon(['--config', '/no/such/file', ...folders()]), 64, /ENOENT/);
    expectRefusal(await daemon(['--config', '/dev/zero', ...folders()]), 64, /not a file/);
  });
});

describe('the command line of the daemon', () => {
  test.each([
    ['an unknown flag', [`--token=${PLANTED}`], /--token is not a flag/],
    ['a stray word', [PLANTED], /only flags/],
    ['a flag without its value', ['--data-dir'], /--data-dir needs a value/],
    ['a port out of range', ['--listen', '127.0.0.1:70000'], /1 to 65535/],
  ])('%s is refused', async (_what, args, error) => {
    expectRefusal(await daemon([...folders(), ...args]), 64, error);
  });

  test('through the command as well, and its help needs no daemon', async () => {
    const conclave = join(BUNDLE, 'conclave.js');
    const started = await run([process.execPath, conclave, 'daemon', `--token=${PLANTED}`]);
    expectRefusal(started, 64, /--token is not a flag/);
    const help = await run([join(BUNDLE, 'conclaved.js'), '--help']);
    expect(help).toMatchObject({ code: 0, stdout: expect.stringContaining('--data-dir') });
  });
});

describe('the environment', () => {
  test.each([
    ['NODE_OPTIONS', '--no-warnings'],
    ['OPENSSL_CONF', '/dev/null'],
    ['HTTPS_PROXY', `http://${PLANTED}@proxy:3128`],
  ])('%s: the daemon does not start and names it', async (name, value) => {
    const result = await daemon(folders(), { env: { [name]: value } });
    const refusal = refusalOf(result);
    expect(refusal).toMatchObject({ code: 71, hint: expect.stringMatching(/Unset/) });
    expect(refusal.error).toContain(`sets ${name}`);
    expect(result.stderr).not.toContain(PLANTED);
  });

  test('several at once are all named, and nothing was made before', async () => {
    const names = [
      'GRPC_TRACE',
      'HTTP_PROXY',
      'NODE_DEBUG',
      'NODE_EXTRA_CA_CERTS',
      'NODE_PATH',
      'NODE_TLS_REJECT_UNAUTHORIZED',
      'SSLKEYLOGFILE',
      'SSL_CERT_FILE',
      'all_proxy',
      'http_proxy',
    ];
    const env = Object.fromEntries(names.map((name) => [name, '/dev/null']));
    const refusal = refusalOf(await daemon(folders(), { env: { ...env, NO_PROXY: 'x' } }));
    expect(refusal.error).toContain(`sets ${names.join(', ')}, which`);
    await expect(readdir(dataDir)).rejects.toMatchObject({ code: 'ENOENT' });
  });
});

describe('the command without a daemon', () => {
  const command = (socket: string, ...args: string[]): Promise<RunResult> =>
    run([process.execPath, join(BUNDLE, 'conclave.js'), '--socket', socket, ...args]);

  test.each([
    ['nobody listens', () => join(runDir, 'none.sock')],
    ['a file', () => '/etc/passwd'],
  ])('%s: says how to start one', async (_what, path) => {
    const refusal = expectRefusal(await command(path(), 'status'), 69, /no daemon answers at/);
    expect(refusal.hint).toMatch(/systemctl start conclaved/);
  });

  test('a path that is too long for a socket', async () => {
    expectRefusal(await command(`/${'x'.repeat(120)}`, 'status'), 64, /107 bytes/);
  });

  test('a daemon that is a member of nothing says what to run', async () => {
    const refusal = expectRefusal(await host.conclave(['secret', 'ls']), 75, /not a member/);
    expect(refusal.hint).toMatch(/conclave init/);
    const left = await host.conclave(['leave', '--yes']);
    expectRefusal(left, 75, /not a member/);
  });
});

describe('ports', () => {
  const taken = async (port: number, act: () => Promise<void>): Promise<void> => {
    const server: Server = createServer();
    await new Promise<void>((resolve) => server.listen(port, host.address, resolve));
    try {
      await act();
    } finally {
      await new Promise((resolve) => server.close(resolve));
    }
  };

  test.each([7420, 7421])(
    'init is refused while port %d is taken, and leaves nothing',
    async (port) => {
      await taken(port, async () => {
        expectRefusal(await host.conclave(['init']), 71, new RegExp(`port ${port} is taken`));
      });
      expect((await host.conclave(['status'])).stdout).toContain('not-initialized');
      expect(
        (await readdir(host.dataDir)).filter((name) => /identity|raft|keys/.test(name)),
      ).toEqual([]);
    },
  );

  test('with free ports the same host makes its cluster; then a taken port stops its next start', async () => {
    await host.ok(['init', '-q', '--auto-unlock', 'host']);
    await host.stop();
    await taken(7420, async () => {
      const child = await host.spawn();
      const code = await new Promise((resolve) => child.once('exit', resolve));
      expect(code).toBe(71);
      expect(await host.logTail(3)).toMatch(/error: port 7420 is taken/);
    });
    await host.start([], 60_000);
    expect(await host.ok(['secret', 'ls', '-q'])).toBe('');
  });
});
