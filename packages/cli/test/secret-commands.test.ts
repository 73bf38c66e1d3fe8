import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { secretOf, useOf } from './support/objects.js';
import { failure, runCommand } from './support/run-command.js';
import type { Situation } from './support/run-command.js';

const MARKER = 'MARKER-value-9f2c';
const info = { secretValueBytesMax: 1_024 };
const committed = {
  id: 'aaaaaaaaaaaaaaaaaaaaaaaaaa',
  name: 'shop/db',
  version: 2,
  unchanged: false,
  index: 42,
  affectedTasks: 3,
};
const setting = (answer: unknown = committed): Situation['answers'] => ({
  'cluster.info': info,
  'secrets.set': answer,
});
const progress = {
  version: 2,
  bindingCount: 3,
  deliveredCount: 3,
  reloadCount: 3,
  reloadedCount: 3,
  failures: [],
  waiting: [],
  isSuperseded: false,
  isComplete: true,
};

const textOf = (bytes: Uint8Array | undefined): string => new TextDecoder().decode(bytes);

describe('secret set', () => {
  test('sends standard input byte for byte and says at which index', async () => {
    const stdin = ['pass', Uint8Array.of(0, 255, 10)];
    const { calls, code, secrets, stderr, stdout, values } = await runCommand(
      ['secret', 'set', 'shop/db'],
      { answers: setting(), stdin },
    );
    expect(code).toBe(0);
    expect(stdout).toBe('shop/db v2  committed at index 42, 3 tasks to follow\n');
    expect(stderr).toBe('');
    expect([...(values[0] ?? [])]).toEqual([112, 97, 115, 115, 0, 255, 10]);
    expect(calls.at(-1)).toMatchObject({
      method: 'secrets.set',
      arguments: ['shop/db', '[secret]', { isForced: false, isCreateOnly: false, labels: {} }],
    });
    expect(secrets[0]?.isWiped).toBe(true);
  });

  test('passes its options on', async () => {
    const argv =
      'secret set a --force --create-only --label k=v --description d --idempotency-key x';
    const { calls } = await runCommand(argv.split(' '), { answers: setting(), stdin: ['x'] });
    expect(calls.at(-1)?.arguments[2]).toMatchObject({
      isForced: true,
      isCreateOnly: true,
      labels: { k: 'v' },
      description: 'd',
      idempotencyKey: 'x',
    });
  });

  test('says when the value is the same', async () => {
    const answers = setting({ ...committed, unchanged: true, affectedTasks: 0 });
    const { stdout } = await runCommand(['secret', 'set', 'a'], { answers, stdin: ['x'] });
    expect(stdout).toBe('shop/db v2  unchanged, the value is the same at index 42\n');
  });

  test('answers JSON, YAML or the id', async () => {
    const at = async (...flags: string[]): Promise<string> =>
      (await runCommand(['secret', 'set', 'a', ...flags], { answers: setting(), stdin: ['x'] }))
        .stdout;
    expect(JSON.parse(await at('-o', 'json'))).toEqual(committed);
    expect(await at('-o', 'yaml')).toContain('version: 2\n');
    expect(await at('-q')).toBe('aaaaaaaaaaaaaaaaaaaaaaaaaa\n');
  });

  test.each([
    [['secret', 'set', 'shop/db', MARKER]],
    [['secret', 'set', 'shop/db', `--value=${MARKER}`]],
    [['secret', 'set', 'shop/db', '--value', MARKER]],
    [['secret', 'set', 'shop/db', `-${MARKER}`]],
    [['secret', 'set', 'shop/db', '--', MARKER]],
    [['secret', 'set', `--${MARKER}`]],
    [['secret', 'set', `shop/db=${MARKER}`]],
    [['secret', 'generate', 'shop/db', MARKER]],
    [['secret', 'set', 'shop/db', '--label', MARKER]],
    [['secret', 'set', 'shop/db', '--wait-timeout', MARKER]],
    [[`--${MARKER}`, 'secret', 'set', 'shop/db']],
    [['secret', 'set', 'shop/db', `-o${MARKER}`]],
  ])('%j: what is typed is refused and never repeated', async (argv) => {
    const outcome = await runCommand(argv, { answers: setting(), stdin: ['x'] });
    expect(outcome.code).toBe(64);
    expect(outcome.stdout).toBe('');
    expect(outcome.stderr).not.toContain('MARKER');
    expect(outcome.stderr).toMatch(/^error: .+\nhint: .+\n$/);
    expect(outcome.calls).toEqual([]);
  });

  test('a value behind the name is refused before anything is read or connected', async () => {
    const { connected, io, stderr } = await runCommand(['secret', 'set', 'shop/db', 'value'], {
      stdin: ['x'],
    });
    expect(connected).toEqual([]);
    expect(io.stdin.leftCount).toBe(1);
    expect(stderr).toContain('printf %s "$VALUE" | conclave secret set NAME');
  });

  test('an empty value is refused', async () => {
    const { code, stderr } = await runCommand(['secret', 'set', 'a'], { answers: setting() });
    expect(code).toBe(64);
    expect(stderr).toContain('error: the value is empty\n');
  });

  test('the limit of the cluster holds while reading', async () => {
    const stdin = ['x'.repeat(1_000), 'x'.repeat(1_000), 'x'.repeat(1_000)];
    const { calls, code, io, stderr } = await runCommand(['secret', 'set', 'a'], {
      answers: setting(),
      stdin,
    });
    expect(code).toBe(65);
    expect(stderr).toContain('more than 1024 bytes');
    expect(io.stdin.leftCount).toBe(1);
    expect(calls.map(({ method }) => method)).toEqual(['cluster.info']);
  });

  test('the value is wiped when the write fails', async () => {
    const answers = setting(failure('CV_NAME_TAKEN', 'the name exists'));
    const { code, secrets } = await runCommand(['secret', 'set', 'a'], { answers, stdin: ['x'] });
    expect(code).toBe(65);
    expect(secrets[0]?.isWiped).toBe(true);
  });

  test('on a terminal it is typed twice without echo', async () => {
    const { code, stderr, values } = await runCommand(['secret', 'set', 'a'], {
      answers: setting(),
      stdin: [`${MARKER}\r`, `${MARKER}\r`],
      isTerminal: true,
    });
    expect(code).toBe(0);
    expect(textOf(values[0])).toBe(MARKER);
    expect(stderr).toBe('value (not shown): \nonce more: \n');
  });

  test('two different values are refused', async () => {
    const { calls, code, stderr } = await runCommand(['secret', 'set', 'a'], {
      answers: setting(),
      stdin: ['one\r', 'two\r'],
      isTerminal: true,
      env: { NO_COLOR: '1' },
    });
    expect(code).toBe(64);
    expect(stderr).toContain('error: the two values differ; nothing was done\n');
    expect(calls.map(({ method }) => method)).toEqual(['cluster.info']);
  });

  describe('from a file', () => {
    let folder: string;
    beforeAll(() => {
      folder = mkdtempSync(join(tmpdir(), 'cli-'));
      writeFileSync(join(folder, 'value'), MARKER);
    });
    afterAll(() => rmSync(folder, { recursive: true }));

    test('its bytes are the value', async () => {
      const { code, stdout, values } = await runCommand(
        ['secret', 'set', 'a', '--from-file', join(folder, 'value')],
        { answers: setting() },
      );
      expect(code).toBe(0);
      expect(textOf(values[0])).toBe(MARKER);
      expect(stdout).not.toContain(MARKER);
    });

    test('- is standard input', async () => {
      const { values } = await runCommand(['secret', 'set', 'a', '--from-file', '-'], {
        answers: setting(),
        stdin: ['x'],
      });
      expect(textOf(values[0])).toBe('x');
    });
  });
});

describe('secret set --wait', () => {
  const waiting = (end: object, before: readonly unknown[] = [useOf()]): Situation => ({
    answers: { ...setting(), 'secrets.status': before, 'secrets.waitForDelivery': end },
    stdin: ['x'],
    tickMs: 200,
  });

  test('says what arrived', async () => {
    const { calls, code, stdout } = await runCommand(
      ['secret', 'set', 'shop/db', '--wait', '--wait-timeout', '5s'],
      waiting(progress),
    );
    expect(code).toBe(0);
    expect(stdout).toBe('shop/db v2  committed · delivered 3/3 · reloaded 3/3 · 0.2 s\n');
    expect(calls.at(-1)?.arguments).toMatchObject([
      'shop/db',
      2,
      { before: [useOf()], deadlineMs: 5_000 },
    ]);
  });

  test('says when nobody uses it', async () => {
    const nobody = { ...progress, bindingCount: 0, deliveredCount: 0, reloadCount: 0 };
    const { stdout } = await runCommand(['secret', 'set', 'a', '-w'], waiting(nobody));
    expect(stdout).toBe('shop/db v2  committed · no running task uses it · 0.2 s\n');
  });

  test('a new name has no tasks before', async () => {
    const missing = failure('CV_SECRET_NOT_FOUND') as unknown as readonly unknown[];
    const { calls, code } = await runCommand(
      ['secret', 'set', 'a', '-w'],
      waiting(progress, missing),
    );
    expect(code).toBe(0);
    expect(calls.at(-1)?.arguments[2]).toMatchObject({ before: [] });
  });

  test('ends with 69 and names the late ones', async () => {
    const late = { ...progress, deliveredCount: 2, waiting: [useOf()], isComplete: false };
    const { code, stderr, stdout } = await runCommand(['secret', 'set', 'a', '-w'], waiting(late));
    expect(code).toBe(69);
    expect(stdout).toContain('delivered 2/3');
    expect(stderr).toBe(
      'error: v2 is committed, but has not arrived at task task1 on host-1\n' +
        'hint: See `conclave secret status shop/db`.\n',
    );
  });

  test('ends with 71 and names the failed ones', async () => {
    const bad = useOf({ outcome: 'failed', detail: 'exit code 1' });
    const failed = { ...progress, reloadedCount: 2, failures: [bad, bad, bad, bad] };
    const { code, stderr, stdout } = await runCommand(
      ['secret', 'set', 'a', '-w'],
      waiting(failed),
    );
    expect(code).toBe(71);
    expect(stdout).toContain('reloaded 2/3 · failed 4');
    expect(stderr).toContain('task task1 on host-1 (exit code 1)');
    expect(stderr).toContain('and 1 more');
  });

  test('shows progress on a terminal only', async () => {
    const moving = {
      answers: {
        ...setting(),
        'secrets.status': [],
        'secrets.waitForDelivery': (
          _name: string,
          _version: number,
          options: { onProgress(seen: object): void },
        ) => {
          options.onProgress({ ...progress, deliveredCount: 1, reloadedCount: 0 });
          return progress;
        },
      },
    };
    const argv = ['secret', 'set', 'a', '--wait', '--from-file', '-'];
    const terminal = await runCommand(argv, { ...moving, stdin: ['x'], isTerminal: true });
    expect(terminal.stderr).toContain('delivered 1/3 · reloaded 0/3');
    expect(terminal.stdout).not.toContain('delivered 1/3');
    const pipe = await runCommand(argv, { ...moving, stdin: ['x'] });
    expect(pipe.stderr).toBe('');
  });

  test('JSON has the counts', async () => {
    const { stdout } = await runCommand(
      ['secret', 'set', 'a', '-w', '-o', 'json'],
      waiting(progress),
    );
    expect(JSON.parse(stdout)).toMatchObject({
      version: 2,
      delivery: { bindingCount: 3, deliveredCount: 3, reloadedCount: 3, isComplete: true },
    });
  });
});

describe('secret generate', () => {
  const value = async (...flags: string[]): Promise<Uint8Array | undefined> =>
    (await runCommand(['secret', 'generate', 'a', ...flags], { answers: setting() })).values[0];

  test('makes 32 bytes in hex', async () => {
    expect(textOf(await value())).toBe(Buffer.from([...Array(32).keys()]).toString('hex'));
  });

  test.each([16, 17, 18, 19, 64])('base64url of %d bytes', async (count) => {
    const expected = Buffer.from([...Array(count).keys()]).toString('base64url');
    expect(textOf(await value('--bytes', String(count), '--encoding', 'base64url'))).toBe(expected);
  });

  test('raw bytes', async () => {
    const bytes = await value('--bytes', '16', '--encoding', 'raw');
    expect([...(bytes ?? [])]).toEqual([...Array(16).keys()]);
  });

  test('prints no value', async () => {
    const { stdout } = await runCommand(['secret', 'generate', 'a'], { answers: setting() });
    expect(stdout).toBe('shop/db v2  committed at index 42, 3 tasks to follow\n');
  });

  test.each([
    ['--bytes', '15'],
    ['--bytes', 'x'],
    ['--encoding', 'base32'],
  ])('%s %s is refused', async (...flags) => {
    const { calls, code } = await runCommand(['secret', 'generate', 'a', ...flags], {
      answers: setting(),
    });
    expect(code).toBe(64);
    expect(calls).toEqual([]);
  });
});

describe('secret rollback', () => {
  test.each([
    [[], 0],
    [['1'], 1],
    [['v7'], 7],
  ])('%j', async (words, version) => {
    const { calls, code, stdout } = await runCommand(['secret', 'rollback', 'shop/db', ...words], {
      answers: { 'secrets.rollback': { ...committed, version: 1 } },
    });
    expect(code).toBe(0);
    expect(calls.at(-1)?.arguments.slice(0, 2)).toEqual(['shop/db', version]);
    expect(stdout).toBe('shop/db v1  committed at index 42, 3 tasks to follow\n');
  });

  test.each(['0', 'last', '-1x', '4294967296'])('version %s is refused', async (text) => {
    expect((await runCommand(['secret', 'rollback', 'a', text])).code).toBe(64);
  });
});

describe('secret ls', () => {
  const list = {
    answers: {
      'secrets.list': [
        secretOf({ name: 'shop/key-10', id: 'k10', usedBy: [], labels: { b: '2', a: '1' } }),
        secretOf({ name: 'shop/key-2', id: 'k2' }),
      ],
    },
  };

  test('is a table in natural order', async () => {
    const { calls, code, stdout } = await runCommand(['secret', 'ls', 'shop/'], list);
    expect(code).toBe(0);
    expect(stdout).toBe(
      [
        'NAME          VERSION   CHANGED   USED BY   LABELS',
        'shop/key-2    v2        90s ago   web',
        'shop/key-10   v2        90s ago   -         a=1,b=2',
        '',
      ].join('\n'),
    );
    expect(calls[0]?.arguments[0]).toMatchObject({ namePrefix: 'shop/', isStale: false });
  });

  test('is one JSON array, as it arrives', async () => {
    const { stdout } = await runCommand(['secret', 'ls', '-o', 'json'], list);
    const rows = JSON.parse(stdout) as { name: string }[];
    expect(rows.map(({ name }) => name)).toEqual(['shop/key-10', 'shop/key-2']);
    expect(stdout.split('\n')).toHaveLength(5);
  });

  test('names, ids, templates and filters', async () => {
    const at = async (...flags: string[]): Promise<string> =>
      (await runCommand(['secret', 'ls', ...flags], list)).stdout;
    expect(await at('-o', 'name')).toBe('shop/key-10\nshop/key-2\n');
    expect(await at('-q')).toBe('k10\nk2\n');
    expect(await at('--format', '{{.Name}}={{.currentVersion}}')).toBe(
      'shop/key-10=2\nshop/key-2=2\n',
    );
    expect(await at('-q', '-f', 'name=shop/key-2')).toBe('k2\n');
    expect(await at('-q', '--filter', 'label=a=1')).toBe('k10\n');
  });

  test('an empty list is an empty array or a line of titles', async () => {
    const empty = { answers: { 'secrets.list': [] } };
    expect((await runCommand(['secret', 'ls', '-o', 'json'], empty)).stdout).toBe('[]\n');
    expect((await runCommand(['secret', 'ls', '-o', 'yaml'], empty)).stdout).toBe('[]\n');
    expect((await runCommand(['secret', 'ls', '-q'], empty)).stdout).toBe('');
    expect((await runCommand(['secret', 'ls'], empty)).stdout).toBe(
      'NAME   VERSION   CHANGED   USED BY   LABELS\n',
    );
  });

  test.each([
    [['-o', 'xml']],
    [['-o', 'json', '-q']],
    [['--format', '{{.value}}']],
    [['-f', 'value=x']],
  ])('%j is refused before anything is asked', async (flags) => {
    const { code, connected } = await runCommand(['secret', 'ls', ...flags], list);
    expect(code).toBe(64);
    expect(connected).toEqual([]);
  });

  test('a reader that goes away is no error', async () => {
    const { fakeIo } = await import('./support/fake-io.js');
    const io = fakeIo();
    io.stdout.failAfter = 1;
    const { code, stderr } = await runCommand(['secret', 'ls', '-q'], { ...list, io });
    expect(code).toBe(0);
    expect(stderr).toBe('');
  });
});

describe('the other secret commands', () => {
  test('get shows the whole record, never a value', async () => {
    const { stdout } = await runCommand(['secret', 'get', 'shop/db'], {
      answers: { 'secrets.get': secretOf({ description: 'main: db' }) },
    });
    expect(stdout).toContain('name: shop/db\n');
    expect(stdout).toContain('description: "main: db"\n');
    expect(stdout).not.toContain('value');
  });

  test('history is oldest first', async () => {
    const by = { kind: 'admin', id: 'local' };
    const events = [
      { revision: 10, what: 'rollback', version: 1, atMs: 1e12, by, index: 9 },
      { revision: 9, what: 'set', version: 2, atMs: 1e12, by, index: 8 },
    ];
    const { stdout } = await runCommand(['secret', 'history', 'a'], {
      answers: { 'secrets.history': events },
    });
    expect(stdout).toBe(
      [
        'REVISION   WHAT       VERSION   AT                     BY            INDEX',
        '9          set        v2        2001-09-09 01:46:40Z   admin local   8',
        '10         rollback   v1        2001-09-09 01:46:40Z   admin local   9',
        '',
      ].join('\n'),
    );
  });

  test('status shows who has what', async () => {
    const uses = [
      useOf(),
      useOf({
        taskId: 'task2',
        nodeHostname: '',
        deliveredVersion: 0,
        outcome: '',
        pinned: true,
        atMs: 0,
      }),
    ];
    const { stdout } = await runCommand(['secret', 'status', 'a'], {
      answers: { 'secrets.status': uses },
    });
    expect(stdout).toBe(
      [
        'SERVICE   TASK    NODE     TARGET   WANTED        HAS   OUTCOME    SINCE    DETAIL',
        'web       task2   -        db       v2 (pinned)   -     waiting    -',
        'web       task1   host-1   db       v2            v2    reloaded   1s ago',
        '',
      ].join('\n'),
    );
  });

  test('update merges labels at the version that was read', async () => {
    const answers = {
      'secrets.get': secretOf({ labels: { keep: '1', old: '2' } }),
      'secrets.update': secretOf({ objectVersion: 77 }),
    };
    const argv = ['secret', 'update', 'shop/db', '--label-add', 'new=3', '--label-rm', 'old'];
    const { calls, stdout } = await runCommand(argv, { answers });
    expect(calls.at(-1)?.arguments[1]).toEqual({
      objectVersion: 42,
      labels: { keep: '1', new: '3' },
      description: '',
    });
    expect(stdout).toBe('shop/db updated at index 77\n');
    expect((await runCommand(['secret', 'update', 'a'], { answers })).code).toBe(64);
    const both = ['secret', 'update', 'a', '--label-add', 'x=1', '--label-rm', 'x'];
    expect((await runCommand(both, { answers })).code).toBe(64);
  });

  test('rm says what it did for each, also when a later one fails', async () => {
    let count = 0;
    const answers = {
      'secrets.remove': () => {
        count += 1;
        if (count === 2) throw failure('CV_SECRET_IN_USE', 'web uses it');
        return { index: 9 };
      },
    };
    const { code, stderr, stdout } = await runCommand(['secret', 'rm', 'a', 'b', 'c', '--yes'], {
      answers,
    });
    expect(code).toBe(65);
    expect(stdout).toBe('a removed at index 9\n');
    expect(stderr).toContain('error: web uses it\n');
    expect(count).toBe(2);
  });

  test('destroy-version', async () => {
    const answers = { 'secrets.destroyVersion': { index: 11 } };
    const argv = ['secret', 'destroy-version', 'a', 'v1', '--force', '-y'];
    const { calls, stdout } = await runCommand(argv, { answers });
    expect(stdout).toBe('a v1 destroyed at index 11\n');
    expect(calls.at(-1)?.arguments).toMatchObject(['a', 1, { isForced: true }]);
  });
});
