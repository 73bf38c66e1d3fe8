import { spawnSync } from 'node:child_process';
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, test } from '@jest/globals';
import { refusedVariables } from '@conclave/transport';
import { readConfig } from '../src/config.js';
import { readFlags, USAGE } from '../src/flags.js';

const ROOT = join(import.meta.dirname, '../../..');
const HOST = { uid: 0, hostname: 'host-1', env: {}, isTerminal: false };
const EXAMPLE = join(ROOT, 'deploy/conclave.example.yaml');
const UNITS = join(ROOT, 'deploy/systemd');

const text = (...path: string[]): string => readFileSync(join(ROOT, ...path), 'utf8');

/** Keys of the schema in config.ts, which is not exported. */
function keysOfSchema(): string[] {
  const source = text('packages/daemon/src/config.ts');
  const schema = /z\.strictObject\(\{\n([\s\S]*?)\n\}\)/.exec(source)?.[1] ?? '';
  return [...schema.matchAll(/^ {2}(\w+):/gm)].map(([, key = '']) => key).sort();
}

const flagsIn = (part: string): string[] =>
  [...part.matchAll(/--[a-z][a-z-]+/g)].map(([flag]) => flag).sort();

/** Directives of a unit: sections, then key and value, continuation lines not in use. */
function directives(unit: string): Map<string, string> {
  const found = new Map<string, string>();
  for (const line of text('deploy/systemd', unit).split('\n')) {
    if (line === '' || line.startsWith('#') || /^\[\w+\]$/.test(line)) continue;
    const at = line.indexOf('=');
    expect(at).toBeGreaterThan(0);
    found.set(line.slice(0, at), line.slice(at + 1));
  }
  return found;
}

describe('the example configuration', () => {
  test('is what readConfig accepts, with every key', async () => {
    expect(await readConfig(readFlags(['--config', EXAMPLE]), HOST)).toEqual({
      dataDir: '/var/lib/conclave',
      runDir: '/run/conclave',
      listenHost: '10.0.0.5',
      clusterPort: 7420,
      joinPort: 7421,
      hostname: 'host-1',
      logLevel: 'info',
      logFormat: 'json',
      allowSwap: false,
      allowedTaskUsers: [],
      deliverySealing: 'hybrid',
    });
    const keys = [...readFileSync(EXAMPLE, 'utf8').matchAll(/^(\w+):/gm)].map(
      ([, key = '']) => key,
    );
    expect(keys.sort()).toEqual(keysOfSchema());
  });
});

describe('the reference of the configuration', () => {
  const page = text('docs/reference/configuration.md');
  const rows = [...page.matchAll(/^\| `(\w+)` \| (?:`(--[a-z-]+)|–)/gm)];

  test('has every key, each with its flag but for a list', () => {
    expect(rows.map(([, key = '']) => key).sort()).toEqual(keysOfSchema());
    for (const [, key = '', flag = ''] of rows) {
      if (key === 'allowedTaskUsers') expect(flag).toBe('');
      else
        expect(flag).toBe(`--${key.replaceAll(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`)}`);
    }
  });

  test('has every flag of the daemon and no other', () => {
    const documented = [...page.matchAll(/^\|.*?`(--[a-z-]+)/gm)]
      .map(([, flag = '']) => flag)
      .sort();
    const offered = [...new Set(flagsIn(USAGE))].sort();
    expect(documented).toEqual(offered);
  });

  test('names every variable that the daemon refuses', () => {
    const named = [...page.matchAll(/`([A-Z][A-Z_]+)`/g)].map(([, name]) => name ?? '');
    const refused = refusedVariables(Object.fromEntries(named.map((name) => [name, 'x'])));
    const source = text('packages/transport/src/environment.ts');
    const wanted = [...source.matchAll(/^ {2}'([A-Z_]+)',$/gm)].map(([, name]) => name ?? '');
    expect(wanted.length).toBeGreaterThan(10);
    const ofNode = (names: readonly string[]): ReadonlySet<string> =>
      new Set(names.filter((name) => !name.startsWith('GRPC_')));
    expect(ofNode(refused)).toEqual(ofNode(wanted));
  });
});

describe('the units of systemd', () => {
  const units = readdirSync(UNITS).sort();

  test('are one for managers and one for workers', () => {
    expect(units).toEqual(['conclaved-manager.service', 'conclaved-worker.service']);
  });

  test.each(units)('%s starts the daemon with flags that exist', (unit) => {
    const [program, ...args] = (directives(unit).get('ExecStart') ?? '').split(' ');
    expect(program).toBe('/usr/local/bin/conclaved');
    expect(readFlags(args)).toMatchObject({
      config: '/etc/conclave/conclave.yaml',
      dataDir: '/var/lib/conclave',
      runDir: '/run/conclave',
    });
  });

  test.each(units)('%s keeps memory and folders to itself', (unit) => {
    const found = directives(unit);
    expect(Object.fromEntries(found)).toMatchObject({
      Type: 'exec',
      MemorySwapMax: '0',
      LimitCORE: '0',
      NoNewPrivileges: 'yes',
      UMask: '0077',
      StateDirectory: 'conclave',
      StateDirectoryMode: '0700',
      RuntimeDirectory: 'conclave',
      RuntimeDirectoryMode: '0700',
    });
  });

  test('a manager has no capability', () => {
    const found = directives('conclaved-manager.service');
    expect(found.get('CapabilityBoundingSet')).toBe('');
    expect(found.get('User')).toBe('conclave');
    expect(found.get('ProtectSystem')).toBe('strict');
  });

  test('tasks outlive the daemon of a worker and stay visible to the next one', () => {
    const found = directives('conclaved-worker.service');
    expect(found.get('KillMode')).toBe('process');
    expect(found.get('OOMPolicy')).toBe('continue');
    expect(found.get('RuntimeDirectoryPreserve')).toBe('yes');
    // Each of these would give the daemon a mount namespace that ends with it, or bind its tasks.
    const harmful = [...found.keys()].filter((key) =>
      /^(?:Private|Protect|ReadOnly|ReadWrite|Inaccessible|Exec.*Paths|Bind|Temporary|Mount|Root|Dynamic|System|Restrict(?:Names|Addr))/.test(
        key,
      ),
    );
    expect(harmful).toEqual([]);
  });

  test('systemd itself accepts them, where it is installed', () => {
    const folder = mkdtempSync(join(tmpdir(), 'conclave-units-'));
    try {
      for (const unit of units) {
        const ours = text('deploy/systemd', unit);
        writeFileSync(
          join(folder, unit),
          ours.replace('/usr/local/bin/conclaved', process.execPath),
        );
      }
      const paths = units.map((unit) => join(folder, unit));
      const { error, status, stderr } = spawnSync('systemd-analyze', ['verify', ...paths], {
        encoding: 'utf8',
      });
      if ((error as NodeJS.ErrnoException | undefined)?.code === 'ENOENT') return;
      const aboutOurs = stderr.split('\n').filter((line) => line.includes('conclaved'));
      expect({ status, aboutOurs }).toEqual({ status: 0, aboutOurs: [] });
    } finally {
      rmSync(folder, { recursive: true, force: true });
    }
  });
});

describe('the image recipe', () => {
  const lines = text('deploy/container/Containerfile')
    .replaceAll('\\\n', ' ')
    .split('\n')
    .filter((line) => line !== '' && !line.startsWith('#'));

  test('has only instructions that engines know, FROM first', () => {
    const words = lines.map((line) => line.split(' ')[0]);
    expect(words[0]).toBe('FROM');
    const known = 'FROM COPY RUN ENV USER VOLUME EXPOSE STOPSIGNAL ENTRYPOINT'.split(' ');
    expect(words.filter((word) => !known.includes(word ?? ''))).toEqual([]);
  });

  test('starts the daemon with flags that exist, not as root', () => {
    const json = lines.find((line) => line.startsWith('ENTRYPOINT '))?.slice('ENTRYPOINT '.length);
    const [program, ...args] = JSON.parse(json ?? '[]') as string[];
    expect(program).toBe('conclaved');
    expect(readFlags(args)).toMatchObject({ dataDir: '/var/lib/conclave', logFormat: 'json' });
    expect(lines.find((line) => line.startsWith('USER '))).not.toMatch(/USER (?:root|0)/);
  });
});
