import { spawn } from 'node:child_process';
import { mkdtemp, readFile, readdir, rm, symlink } from 'node:fs/promises';
import { join } from 'node:path';
import { tmpdir } from 'node:os';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { cleanEnvironment, Farm, run } from '@conclave/testing';
import { BUNDLE, isRoot } from './support.js';

const ROOT = join(import.meta.dirname, '../..');
/** Milliseconds for everything that the page has the reader type. */
const TYPING_MS_MAX = 100_000;

/** The fenced blocks of a page that are marked ```sh run, in order. */
function markedBlocks(page: string): string[] {
  return [...page.matchAll(/^```sh run\n([\s\S]*?)^```$/gm)].map(([, block = '']) => block);
}

interface Typed {
  readonly code: number | null;
  readonly output: string;
}

/** A reader of the page: types blocks into one shell, with folders and addresses of their own. */
class Reader {
  readonly #places: Map<string, string>;
  readonly #path: string;

  constructor(farm: Farm, commands: string) {
    this.#places = new Map([
      ['/var/lib/conclave-', `${farm.folder}/data-`],
      ['/tmp/conclave-', `${farm.folder}/log-`],
      ['/run/conclave-', `${farm.memoryFolder}/run-`],
      ['127.0.0.1', '127.0.78.1'],
    ]);
    // The page is for root; the worker of an ordinary user mounts nothing outside its tasks.
    if (!isRoot) this.#places.set('umount ', 'test -d ');
    this.#path = `${commands}:${join(process.execPath, '..')}:/usr/sbin:/usr/bin:/sbin:/bin`;
  }

  /** What the reader has instead of the places that the page names. */
  #own(text: string): string {
    return [...this.#places].reduce((all, [from, to]) => all.replaceAll(from, to), text);
  }

  /** Types the blocks one after the other; the shell ends at the first command that fails. */
  type(blocks: readonly string[]): Promise<Typed> {
    // Job control, as in a shell that a person uses: `kill %1` has to work.
    const script = `set -eEuo pipefail; set -m\n${this.#own(blocks.join('\n'))}`;
    const child = spawn('bash', ['-c', script], {
      env: { ...cleanEnvironment(), PATH: this.#path },
      stdio: ['ignore', 'pipe', 'pipe'],
      detached: true,
    });
    const parts: Buffer[] = [];
    for (const stream of [child.stdout, child.stderr]) {
      stream.on('data', (part: Buffer) => parts.push(part));
    }
    const timer = setTimeout(() => child.kill('SIGKILL'), TYPING_MS_MAX);
    return new Promise((resolve) => {
      // Not `close`: a daemon that was left behind by a failure holds the streams open.
      child.once('exit', (code) => {
        clearTimeout(timer);
        setImmediate(() => resolve({ code, output: Buffer.concat(parts).toString() }));
      });
    });
  }
}

describe('the first ten minutes of the README', () => {
  let farm: Farm;
  let commands: string;
  let reader: Reader;
  let blocks: string[];

  beforeAll(async () => {
    // No hosts of its own: only the folders, and the sweep at the end.
    farm = await Farm.create({ names: [], bundle: BUNDLE, network: 'loopback', tag: 'creadme' });
    commands = await mkdtemp(join(tmpdir(), 'creadme-bin-'));
    for (const name of ['conclave', 'conclaved']) {
      await symlink(join(BUNDLE, `${name}.js`), join(commands, name));
    }
    reader = new Reader(farm, commands);
    blocks = markedBlocks(await readFile(join(ROOT, 'README.md'), 'utf8'));
  });
  afterAll(async () => {
    await farm?.close();
    await rm(commands, { recursive: true, force: true });
  });

  test('work as they are typed, to the end', async () => {
    expect(blocks.length).toBeGreaterThan(5);
    const { code, output } = await reader.type(blocks);
    if (code !== 0) throw new Error(`the shell ended with ${code}:\n${output}`);
    // What the text around the blocks says about what is seen.
    const sums = output.match(/\b[0-9a-f]{64}\b/g) ?? [];
    const [known = ''] = (
      await run(['sh', '-c', "printf %s 'correct horse' | sha256sum"])
    ).stdout.split(' ');
    expect(sums.filter((sum) => sum === known).length).toBeGreaterThanOrEqual(3);
    expect(output).toMatch(/ \/run\/secrets ro,.* - (?:tmpfs|ramfs) /);
    expect(output).toMatch(/-r-------- .* db$/m);
    expect(output).toMatch(/v2 +committed · delivered 2\/2 · reloaded 2\/2/);
    expect(output).toContain('reloaded');
    expect(output).toMatch(/rollback +v1/);
    // And it cleans up behind itself.
    expect(await farm.processes()).toEqual([]);
    expect(await readdir(farm.folder)).toEqual([]);
    expect(await readdir(farm.memoryFolder)).toEqual([]);
  });

  test.each([
    ['a command that fails', 'one secret get shop/nothing'],
    ['a failure at the head of a pipe', 'false | cat'],
    ['an unknown word', 'conclave secrte ls'],
  ])('this test notices %s', async (_what, command) => {
    const preamble = blocks.find((block) => block.startsWith('one()')) ?? '';
    const { code } = await reader.type([preamble, command, 'true']);
    expect(code).not.toBe(0);
  });
});
