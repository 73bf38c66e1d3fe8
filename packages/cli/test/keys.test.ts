import { readFile, mkdtemp, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeAll, beforeEach, describe, expect, test } from '@jest/globals';
import { createRecoveryKit, openSealed } from '@conclave/sealed';
import type { RecoveryKit, RecoveryRecipient, SecretBytes } from '@conclave/sealed';
import { fakeIo } from './support/fake-io.js';
import { failure, runCommand } from './support/run-command.js';

const textOf = (secret: SecretBytes | undefined): string =>
  secret?.use((view) => Buffer.from(view).toString()) ?? '';

let seed = 0;
/** Another key for every kit. */
const random = {
  bytes: (count: number) => Uint8Array.from({ length: count }, () => (seed += 37) % 251),
  below: () => 0,
};

let whole: RecoveryKit;
let split: RecoveryKit;
let folder: string;

beforeAll(async () => {
  await openSealed();
  whole = createRecoveryKit(random);
  split = createRecoveryKit(random, { threshold: 2, count: 3 });
});
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'conclave-cli-'));
});
afterEach(() => rm(folder, { recursive: true }));

const made = {
  clusterId: 'c1',
  nodeId: 'n1',
  clusterAddress: '10.0.0.5:7420',
  joinAddress: '10.0.0.5:7421',
  notes: [],
};

describe('init', () => {
  let sent: RecoveryRecipient;
  const answers = {
    'local.init': (spec: { recovery: RecoveryRecipient }) => {
      sent = spec.recovery;
      return made;
    },
  };

  test('prints the key once and sends its public half only', async () => {
    const { stdout } = await runCommand(['init'], { answers });
    expect(stdout.match(/cvrk1-\S+/g)).toHaveLength(1);
    expect(sent).toMatchObject({ threshold: 0, shareHashes: [] });
    expect(sent.publicKey.length).toBe(1217);
  });

  test('prints shares instead when they are asked for', async () => {
    const { stdout } = await runCommand(['init', '--recovery-shares', '3/5'], { answers });
    expect(stdout.match(/cvrs1-\S+/g)).toHaveLength(5);
    expect(stdout).not.toContain('cvrk1-');
    expect(sent).toMatchObject({ threshold: 3, shareHashes: { length: 5 } });
  });

  test('with -q prints the id alone, and the key where no pipe takes it for the id', async () => {
    const { stderr, stdout } = await runCommand(['init', '-q'], { answers });
    expect(stdout).toBe('c1\n');
    expect(stderr).toMatch(/cvrk1-/);
  });

  test('writes the key to a new file of its own, and nowhere else', async () => {
    const path = join(folder, 'key');
    const argv = ['init', '-o', 'json', '--recovery-key-file', path];
    const { stderr, stdout } = await runCommand(argv, { answers });
    expect(JSON.parse(stdout)).toMatchObject({ clusterId: 'c1', recoveryKeyFile: path });
    expect(stdout + stderr).not.toContain('cvrk1-');
    expect(await readFile(path, 'utf8')).toMatch(/^cvrk1-\S+\n$/);
    expect((await stat(path)).mode & 0o777).toBe(0o600);
  });

  test('touches no file that is there, and leaves none behind when it is refused', async () => {
    const path = join(folder, 'key');
    const refusing = { 'local.init': failure('CV_ALREADY_INITIALIZED', 'a member already') };
    const refused = await runCommand(['init', '--recovery-key-file', path], { answers: refusing });
    expect(refused.code).toBe(65);
    await expect(stat(path)).rejects.toMatchObject({ code: 'ENOENT' });
    await writeFile(path, 'mine');
    expect(await runCommand(['init', '--recovery-key-file', path], { answers })).toMatchObject({
      code: 64,
      calls: [],
    });
    expect(await readFile(path, 'utf8')).toBe('mine');
  });

  test.each(['CV_CANCELLED', 'CV_DEADLINE', 'CV_PEER_UNREACHABLE', 'CV_INTERNAL'] as const)(
    'keeps the key when %s leaves it open whether the cluster has it',
    async (code) => {
      const path = join(folder, 'key');
      const open = { 'local.init': failure(code) };
      const filed = await runCommand(['init', '--recovery-key-file', path], { answers: open });
      expect(filed.code).not.toBe(0);
      expect(await readFile(path, 'utf8')).toMatch(/^cvrk1-/);
      const shown = await runCommand(['init', '-o', 'json'], { answers: open });
      expect(shown.code).not.toBe(0);
      expect(shown.stderr).toMatch(/not known whether this key is in force[^]*cvrk1-/);
    },
  );

  test('a reader that went away before it had the key is told of, with the key', async () => {
    const io = fakeIo();
    io.stdout.failAfter = 0;
    const { code, stderr } = await runCommand(['init'], { answers, io });
    expect(code).toBe(71);
    expect(stderr).toMatch(/cvrk1-[^]*the recovery key is in force/);
  });

  test.each(['1/2', '3/2', '0/0', '2/17', '2', '2/3/4', 'a/b', ''])(
    '--recovery-shares %j is refused',
    async (shares) => {
      const outcome = await runCommand(['init', '--recovery-shares', shares], { answers });
      expect(outcome).toMatchObject({ code: 64, calls: [] });
    },
  );
});

describe('unlock', () => {
  let given: string[] = [];
  const answers = {
    'local.unlock': (text: SecretBytes) => {
      given.push(textOf(text));
      return { isUnlocked: given.length === 2, haveCount: given.length, needCount: 2 };
    },
  };
  beforeEach(() => {
    given = [];
  });

  test('gives each line of standard input, until there are enough', async () => {
    const stdin = ['share one\n\n  \nshare', ' two\r\nshare three\n'];
    const { code, stdout } = await runCommand(['unlock'], { answers, stdin });
    expect(given).toEqual(['share one', 'share two\r']);
    expect([code, stdout]).toEqual([0, 'unlocked; this manager takes part again\n']);
  });

  test('ends with 75 while shares are missing', async () => {
    const { code, stdout } = await runCommand(['unlock'], { answers, stdin: ['share one'] });
    expect([code, stdout]).toEqual([75, '1 of 2 shares; still locked\n']);
  });

  test('asks a person without echo, until an empty line', async () => {
    const stdin = ['share one\r', '\r'];
    const { code, stderr } = await runCommand(['unlock'], { answers, stdin, isTerminal: true });
    expect([code, given]).toEqual([75, ['share one']]);
    expect(stderr).not.toContain('share one');
  });

  test('wants something, and takes no argument', async () => {
    expect(await runCommand(['unlock'], { answers, stdin: ['\n'] })).toMatchObject({ code: 64 });
    const argument = await runCommand(['unlock', 'cvrk1-marker'], { answers });
    expect(argument.code).toBe(64);
    expect(argument.stderr).not.toContain('marker');
  });

  test('says when there is nothing to unlock', async () => {
    const refusing = { 'local.unlock': failure('CV_NOT_LOCKED', 'not locked') };
    expect(await runCommand(['unlock'], { answers: refusing, stdin: ['x'] })).toMatchObject({
      code: 65,
    });
  });
});

describe('keys', () => {
  const current = (kit: RecoveryKit): object => ({
    'recovery.get': { current: { generation: 1, ...kit.recipient }, staged: null, waitingFor: [] },
  });

  test('check-kit takes the right key, and enough shares', async () => {
    const [text] = whole.texts.map(textOf);
    const one = await runCommand(['keys', 'check-kit'], {
      answers: current(whole) as never,
      stdin: [`${text}\n`],
    });
    expect([one.code, one.stdout]).toEqual([0, expect.stringMatching(/opens every manager/)]);
    const [first, , third] = split.texts.map(textOf);
    const shares = { answers: current(split) as never, stdin: [`${third}\n${first}\n`] };
    expect((await runCommand(['keys', 'check-kit'], shares)).code).toBe(0);
  });

  test('check-kit refuses another key, and too few shares, without repeating them', async () => {
    const other = textOf(whole.texts[0]);
    const wrong = await runCommand(['keys', 'check-kit'], {
      answers: current(split) as never,
      stdin: [other],
    });
    expect(wrong.code).toBe(77);
    expect(wrong.stderr + wrong.stdout).not.toContain(other.split('-')[2]);
    const few = await runCommand(['keys', 'check-kit'], {
      answers: current(split) as never,
      stdin: [textOf(split.texts[0])],
    });
    expect([few.code, few.stderr]).toEqual([64, expect.stringMatching(/only 1 of 2 shares/)]);
  });

  test('confirm-recovery wants a staged key', async () => {
    const outcome = await runCommand(['keys', 'confirm-recovery'], {
      answers: current(whole) as never,
      stdin: ['x'],
    });
    expect(outcome).toMatchObject({ code: 65, stderr: expect.stringMatching(/rotate-recovery/) });
  });

  test('ls says what a copy of the disk is worth', async () => {
    const slot = { id: 'a', kind: 'recovery', detail: '', createdAtMs: 1, recoveryId: 'xyz' };
    const slots = [slot, { ...slot, id: 'b', kind: 'host', detail: 'file', recoveryId: '' }];
    const { stdout } = await runCommand(['keys', 'ls'], { answers: { 'local.slots': slots } });
    expect(stdout).toMatch(/recovery key xyz/);
    expect(stdout).toMatch(/a copy of this disk opens it/);
  });
});
