import { describe, expect, test } from '@jest/globals';
import type { ServiceSpecInput } from '@conclave/client';
import { LOADED_NAMES, pollution } from '@conclave/testing';
import { serviceOf } from './support/objects.js';
import { runCommand } from './support/run-command.js';

// Attack row M09: what people type becomes keys of maps.
describe('names that mean something to the engine', () => {
  const answers = {
    'services.create': { service: serviceOf(), index: 12 },
    'services.list': [serviceOf()],
  };
  const pairs = LOADED_NAMES.map((name) => [name, 'polluted'] as const);

  test('are keys of labels and of the environment like any other', async () => {
    const options = pairs.flatMap(([name, value]) => [
      '--label',
      `${name}=${value}`,
      '--env',
      `${name}=${value}`,
    ]);
    const argv = ['service', 'create', 'web', ...options, '--', './server'];
    const { calls, stderr } = await runCommand(argv, { answers });
    expect(stderr).toBe('');
    const spec = calls.at(-1)?.arguments[0] as ServiceSpecInput | undefined;
    for (const map of [spec?.env ?? {}, spec?.labels ?? {}]) {
      expect(Object.entries(map)).toEqual(pairs);
      expect(Object.getPrototypeOf(map)).toBe(Object.prototype);
    }
    expect(pollution()).toEqual([]);
  });

  test.each(LOADED_NAMES)(
    '%s is no option, field, variable, part of a binding or context',
    async (name) => {
      for (const words of [
        ['service', 'create', 'web', `--${name}`, '--', './server'],
        ['service', 'create', 'web', '--env', name, '--', './server'],
        ['service', 'create', 'web', '--secret', `s:${name}=polluted`, '--', './server'],
        [
          'service',
          'create',
          'web',
          '--constraint',
          `${name}==polluted`,
          '--mode',
          name,
          '--',
          'x',
        ],
        ['service', 'ls', '-f', `${name}=polluted`],
        ['service', 'ls', '-o', name],
        [name, 'ls'],
      ]) {
        const { code } = await runCommand(words, { answers });
        expect({ words, code }).toEqual({ words, code: 64 });
      }
      expect(pollution()).toEqual([]);
    },
  );
});
