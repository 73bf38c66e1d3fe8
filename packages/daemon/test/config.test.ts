import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { ConclaveError } from '@conclave/kernel';
import { readConfig } from '../src/config.js';
import type { DaemonConfig } from '../src/config.js';
import { readFlags } from '../src/flags.js';

const HOST = { uid: 0, hostname: 'host-1', env: {}, isTerminal: false };

describe('the configuration', () => {
  let folder: string;
  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'conclave-config-'));
  });
  afterEach(() => rmSync(folder, { recursive: true, force: true }));

  const fromFile = (text: string, args: readonly string[] = []): Promise<DaemonConfig> => {
    const path = join(folder, 'conclave.yaml');
    writeFileSync(path, text);
    return readConfig(readFlags(['--config', path, ...args]), HOST);
  };

  test('defaults depend on the user', async () => {
    expect(await readConfig(readFlags([]), HOST)).toEqual({
      dataDir: '/var/lib/conclave',
      runDir: '/run/conclave',
      listenHost: '0.0.0.0',
      clusterPort: 7420,
      joinPort: 7421,
      hostname: 'host-1',
      logLevel: 'info',
      logFormat: 'json',
      allowSwap: false,
      allowedTaskUsers: [],
      deliverySealing: 'hybrid',
    });
    const env = { HOME: '/home/someone', XDG_RUNTIME_DIR: '/run/user/7' };
    const own = await readConfig(readFlags([]), { ...HOST, uid: 7, env, isTerminal: true });
    expect(own).toMatchObject({
      dataDir: '/home/someone/.local/state/conclave',
      runDir: '/run/user/7/conclave',
      logFormat: 'pretty',
    });
  });

  test('flags win over the file', async () => {
    const text = 'listen: 10.0.0.5:8000\nlogLevel: warn\ndataDir: /srv/conclave\n';
    const config = await fromFile(text, ['--log-level', 'debug']);
    expect(config).toMatchObject({
      listenHost: '10.0.0.5',
      clusterPort: 8000,
      joinPort: 8001,
      logLevel: 'debug',
      dataDir: '/srv/conclave',
    });
  });

  test('users for tasks are numbers, as a service names them', async () => {
    const config = await fromFile('allowedTaskUsers: [33, "1000:50", 0:0]\n');
    expect(config.allowedTaskUsers).toEqual(['33', '1000:50', '0:0']);
    for (const bad of ['root', '"01"', '-1', '"1:2:3"', '4294967295', '1.5']) {
      await expect(fromFile(`allowedTaskUsers: [${bad}]\n`)).rejects.toThrow('allowedTaskUsers');
    }
  });

  test.each([
    ['unknown key', 'dataDirectory: /x\n'],
    ['wrong type', 'joinPort: "many"\n'],
    ['not YAML', 'listen: [\n'],
    ['duplicate key', 'logLevel: info\nlogLevel: warn\n'],
    ['prototype', '__proto__:\n  allowSwap: true\n'],
    ['a secret that strayed in', 'password: planted-4711\n'],
    ['a list', '- 1\n'],
    ['a reference', 'hostname: &planted a\nlogLevel: *planted\n'],
    ['a tag', 'hostname: !planted a\n'],
    ['two documents', 'logLevel: info\n---\nlogLevel: warn\n'],
    ['a secret as a key', '"planted 4711": 1\n'],
  ])('%s is refused without showing a value', async (_name, text) => {
    const failure = await fromFile(text).then(
      () => undefined,
      (error: unknown) => error as { code: string; message: string },
    );
    expect(failure?.code).toBe('CV_CONFIG_INVALID');
    expect(failure?.message).not.toContain('planted');
    expect(({} as Record<string, unknown>)['allowSwap']).toBeUndefined();
  });

  test.each([
    ['--listen', 'example.com'],
    ['--listen', '10.0.0.5:0'],
    ['--listen', '10.0.0.5:70000'],
    ['--join-port', '7420'],
    ['--join-port', '-1'],
    ['--log-level', 'loud'],
    ['--log-format', 'xml'],
    ['--hostname', 'a b'],
    ['--config', '/no/such/file'],
  ])('%s %s is refused', async (flag, value) => {
    const read = async (): Promise<DaemonConfig> =>
      readConfig(readFlags([`${flag}=${value}`]), HOST);
    await expect(read()).rejects.toMatchObject({ code: 'CV_CONFIG_INVALID' });
  });

  test('IPv6 addresses stand with and without a port', async () => {
    const bare = await readConfig(readFlags(['--listen', '::1']), HOST);
    expect(bare).toMatchObject({ listenHost: '::1', clusterPort: 7420 });
    const both = await readConfig(readFlags(['--listen', '[::1]:9000']), HOST);
    expect(both).toMatchObject({ listenHost: '::1', clusterPort: 9000 });
  });

  test('where a value must not be is said with the places for it', async () => {
    await expect(fromFile('unlockKey: planted-4711\n')).rejects.toMatchObject({
      message: 'configuration: unlockKey is not a setting',
      hint: expect.stringContaining('pipe them') as unknown as string,
    });
  });

  test('a device is not read', async () => {
    await expect(readConfig(readFlags(['--config', '/dev/zero']), HOST)).rejects.toMatchObject({
      message: 'the configuration is not a file',
    });
  });

  test.each([
    [['--nope=planted'], '--nope is not a flag of conclaved'],
    [['planted'], 'only flags may be given'],
    [['--data-dir'], '--data-dir needs a value behind it'],
    [['--allow-swap=planted'], '--allow-swap takes no value'],
    [['--data-dir', '--run-dir'], '--data-dir needs a value behind it'],
    [['-x'], '-x is not a flag of conclaved'],
  ])('%j is refused without repeating what was typed', (args, message) => {
    expect(() => readFlags(args)).toThrow(new ConclaveError('CV_ARGUMENT_INVALID', message));
  });
});
