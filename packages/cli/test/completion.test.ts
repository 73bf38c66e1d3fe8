import { spawnSync } from 'node:child_process';
import { describe, expect, test } from '@jest/globals';
import { COMMANDS } from '../src/commands/index.js';
import { choicesOf, optionChoice } from '../src/completion/words.js';
import { completionScript } from '../src/completion/script.js';

/** What bash offers for a line whose last word is being typed. */
function offered(...words: string[]): readonly string[] {
  const line = ['conclave', ...words].map((word) => `'${word}'`).join(' ');
  const script = `${completionScript('bash', COMMANDS)}
    COMP_WORDS=(${line})
    COMP_CWORD=${words.length}
    _conclave
    printf '%s\\n' "\${COMPREPLY[@]}"`;
  const { status, stderr, stdout } = spawnSync('bash', ['--norc', '-c', script], {
    encoding: 'utf8',
  });
  expect(stderr).toBe('');
  expect(status).toBe(0);
  return stdout.split('\n').filter((word) => word !== '');
}

describe('bash', () => {
  test.each([
    [['se'], ['secret', 'service']],
    [['secret', 'ro'], ['rollback']],
    [
      ['secret', 'set', 'shop/db', '--wai'],
      ['--wait', '--wait-timeout'],
    ],
    [['secret', 'set', 'shop/db', '--from-file', 'x', '--crea'], ['--create-only']],
    [['token', 'create', 'w'], ['worker']],
    [['completion', 'f'], ['fish']],
    [['status', '--sock'], ['--socket']],
    [['nonsense', 'x'], []],
  ])('%j', (words, expected) => {
    expect(offered(...words)).toEqual(expected);
  });

  test('offers every command and option', () => {
    for (const { path, options } of COMMANDS) {
      const [group = '', leaf] = path.split(' ');
      if (leaf !== undefined)
        expect(choicesOf(COMMANDS).find((c) => c.path === group)).toBeDefined();
      const words = choicesOf(COMMANDS).find((choice) => choice.path === path)?.options ?? [];
      for (const option of options ?? []) {
        expect(words.map(({ long }) => long)).toContain(optionChoice(option).long);
      }
    }
  });
});

test('every option has the form that completions and flags read', () => {
  for (const { options } of COMMANDS) {
    for (const option of options ?? [])
      expect(optionChoice(option).long).toMatch(/^--[a-z][a-z-]+$/);
  }
});

describe.each(['zsh', 'fish'] as const)('%s', (shell) => {
  test('has every path, and quotes that fit', () => {
    const script = completionScript(shell, COMMANDS);
    for (const { path } of COMMANDS) expect(script).toContain(path);
    expect((script.match(/'/g)?.length ?? 0) % 2).toBe(0);
  });

  test('is a script for the shell, where it is installed', () => {
    const { error, status } = spawnSync(shell, ['-n', '-c', completionScript(shell, COMMANDS)]);
    if (error === undefined) expect(status).toBe(0);
    else expect(error).toMatchObject({ code: 'ENOENT' });
  });
});
