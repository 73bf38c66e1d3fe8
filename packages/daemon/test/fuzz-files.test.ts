import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { isConclaveError } from '@conclave/kernel';
import type { FileVault } from '@conclave/manager';
import { DAMAGE_KINDS, damaged, FUZZ_RUNS, LOADED_NAMES, pollution } from '@conclave/testing';
import { readConfig } from '../src/config.js';
import type { DataFolder } from '../src/data-folder.js';
import { readFlags } from '../src/flags.js';
import { IdentityFile } from '../src/identity-file.js';

const SURROUNDINGS = { uid: 1000, hostname: 'alpha', env: { HOME: '/h' }, isTerminal: false };
const CONFIG = 'dataDir: /d\nrunDir: /r\nlisten: 10.0.0.1:7420\njoinPort: 7500\nallowSwap: true\n';
/** Pieces that parsers of YAML and JSON stumble over. */
const PIECES = [
  '__proto__',
  'constructor: {}',
  '&a',
  '*a',
  '<<: ',
  '!!js/function',
  '{',
  '[',
  '- ',
];
/** Each run writes a file. */
const RUNS = Math.min(FUZZ_RUNS, 20_000);

const damages = fc.array(
  fc.record({
    kind: fc.constantFrom(...DAMAGE_KINDS),
    at: fc.nat(),
    value: fc.integer({ min: 0, max: 255 }),
  }),
  { maxLength: 4 },
);
const pieces = fc.array(fc.tuple(fc.constantFrom(...PIECES), fc.nat()), { maxLength: 3 });

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'conclave-fuzz-'));
});
afterAll(() => rm(folder, { recursive: true, force: true }));

function strewn(text: string, parts: readonly (readonly [string, number])[]): string {
  return parts.reduce((current, [piece, at]) => {
    const place = at % (current.length + 1);
    return `${current.slice(0, place)}${piece}${current.slice(place)}`;
  }, text);
}

async function refusedWith(code: string, work: Promise<unknown>): Promise<void> {
  try {
    await work;
  } catch (error) {
    if (!isConclaveError(error) || error.code !== code) throw error;
  }
  expect(pollution()).toEqual([]);
}

// Attack row M09.
test.each([...LOADED_NAMES, '<<'])('%s is no setting, at any depth', async (name) => {
  const path = join(folder, 'conclaved.yaml');
  const flags = { ...readFlags([]), config: path };
  const forms = [
    `${name}: {polluted: true}`,
    `"${name}": {dataDir: /elsewhere}`,
    `${CONFIG}${name}:\n  allowSwap: false`,
    `allowedTaskUsers:\n  - ${name}: {polluted: true}`,
    `{"dataDir": "/d", "${name}": {"constructor": {"prototype": {"polluted": true}}}}`,
  ];
  for (const text of forms) {
    await writeFile(path, text);
    await expect(readConfig(flags, SURROUNDINGS)).rejects.toMatchObject({
      code: 'CV_CONFIG_INVALID',
    });
    expect(pollution()).toEqual([]);
  }
});

describe('hostile bytes instead of', () => {
  test('the configuration', async () => {
    const path = join(folder, 'conclaved.yaml');
    const flags = { ...readFlags([]), config: path };
    await fc.assert(
      fc.asyncProperty(damages, pieces, async (how, parts) => {
        await writeFile(path, damaged(Buffer.from(strewn(CONFIG, parts)), how));
        await refusedWith('CV_CONFIG_INVALID', readConfig(flags, SURROUNDINGS));
      }),
      { numRuns: RUNS },
    );
  });

  test('the identity of this host', async () => {
    const files = new Map<string, Uint8Array>();
    const vault: FileVault = {
      read: (name) => Promise.resolve(files.get(name)),
      write: (name, content) => Promise.resolve(void files.set(name, Uint8Array.from(content))),
      remove: (name) => Promise.resolve(void files.delete(name)),
    };
    const identity = new IdentityFile(vault as DataFolder);
    await identity.write({
      clusterId: 'c',
      nodeId: 'n',
      role: 'worker',
      raftId: 0,
      certificateDer: Uint8Array.of(1, 2),
      rootsDer: [Uint8Array.of(3)],
      crossDer: Uint8Array.of(),
      managers: [
        {
          nodeId: 'm',
          raftId: 1,
          address: 'a:1',
          joinAddress: 'a:2',
          signingPublicKey: Uint8Array.of(4),
        },
      ],
    });
    const [[name, valid] = ['', new Uint8Array(0)]] = [...files];
    const text = Buffer.from(valid).toString();
    await fc.assert(
      fc.asyncProperty(damages, pieces, async (how, parts) => {
        files.set(name, damaged(Buffer.from(strewn(text, parts)), how));
        await refusedWith('CV_LOG_DAMAGED', identity.read());
      }),
      { numRuns: RUNS },
    );
  });
});
