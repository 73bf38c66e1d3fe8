import { spawn } from 'node:child_process';
import { once } from 'node:events';
import {
  closeSync,
  existsSync,
  fstatSync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  readSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';

import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { SecretBytes } from '@conclave/sealed';

import type { MountHost } from '../src/index.js';
import {
  file,
  hostWith,
  modeOf,
  openFixture,
  OTHER_TASK,
  realHost,
  reasonToSkip,
  SWAP_OFF,
  TASK,
} from './support.js';
import type { Fixture } from './support.js';

const skip = reasonToSkip();
const because = skip === undefined ? '' : ` (skipped: ${skip})`;
const describeMounts = skip === undefined ? describe : describe.skip;

type MakeHost = (changes?: Partial<MountHost>) => MountHost;

const noTmpfs: MakeHost = (changes = {}) => {
  const real = realHost();
  return hostWith({
    mount: (request) =>
      request.fileSystem === 'tmpfs' ? Promise.reject(new Error('no')) : real.mount(request),
    ...changes,
  });
};

const HOSTS: [string, MakeHost][] = [
  ['tmpfs-noswap', hostWith],
  ['ramfs', noTmpfs],
  // Whether this machine swaps is not what is tested.
  ['folder', (changes = {}) => hostWith({ canMount: false, swaps: () => SWAP_OFF, ...changes })],
];

describeMounts.each(HOSTS)(`files of a task on %s${because}`, (method, makeHost) => {
  let fixture: Fixture;
  let view: string;
  beforeEach(async () => {
    fixture = await openFixture(makeHost());
    expect(fixture.areas.method).toBe(method);
    await fixture.files.create(TASK);
    view = fixture.files.viewPath(TASK);
  });
  afterEach(() => fixture.close());

  const shown = (name: string): string => readFileSync(`${view}/${name}`, 'utf8');

  // Attack row V23.
  test('every byte of a value arrives, with owner and mode', async () => {
    const bytes = Uint8Array.from({ length: 256 }, (_, byte) => byte);
    const value = SecretBytes.take(bytes.slice());
    const owned = { ...file('all-bytes', ''), value, uid: 700_001, gid: 700_002, mode: 0o440 };
    await fixture.files.write(TASK, [owned]);
    expect(new Uint8Array(readFileSync(`${view}/all-bytes`))).toEqual(bytes);
    expect(modeOf(`${view}/all-bytes`)).toBe(0o440);
    expect(statSync(`${view}/all-bytes`)).toMatchObject({ uid: 700_001, gid: 700_002 });
    expect(value.isWiped).toBe(false);
  });

  test('a new set replaces the old one: changed, added and removed names', async () => {
    await fixture.files.write(TASK, [file('a', 'one'), file('b', 'two')]);
    await fixture.files.write(TASK, [file('a', 'three'), file('c', 'four')]);
    expect(shown('a')).toBe('three');
    expect(shown('c')).toBe('four');
    expect(readdirSync(view).toSorted()).toEqual(['.gen-2', '.now', 'a', 'c']);
    expect(readlinkSync(`${view}/a`)).toBe('.now/a');
  });

  test('a reader that holds a replaced file open reads its old value to the end', async () => {
    await fixture.files.write(TASK, [file('a', 'old value')]);
    const reader = openSync(`${view}/a`, 'r');
    await fixture.files.write(TASK, [file('a', 'new value')]);
    expect(fstatSync(reader).size).toBe('old value'.length);
    expect(shown('a')).toBe('new value');
    closeSync(reader);
  });

  test('a reader of a replaced file finds it empty when a secret is taken away', async () => {
    await fixture.files.write(TASK, [file('a', 'old value'), file('b', 'taken')]);
    const reader = openSync(`${view}/b`, 'r');
    await fixture.files.write(TASK, [file('a', 'old value')], { emptiesReplaced: true });
    expect(fstatSync(reader).size).toBe(0);
    closeSync(reader);
    expect(existsSync(`${view}/b`)).toBe(false);
  });

  test('after removal an open file is empty, also one of a replaced generation', async () => {
    await fixture.files.write(TASK, [file('a', 'first')]);
    const old = openSync(`${view}/a`, 'r');
    await fixture.files.write(TASK, [file('a', 'second')]);
    const removal = fixture.files.remove(TASK);
    expect(readSync(old, Buffer.alloc(16))).toBe(0);
    closeSync(old);
    await removal;
    expect(existsSync(fixture.files.taskDir(TASK))).toBe(false);
    expect(realHost().mountInfo()).not.toContain(TASK);
  });

  // Attack rows V05, V07.
  test('a set with a path trick, a duplicate or a special bit changes nothing', async () => {
    await fixture.files.write(TASK, [file('a', 'kept')]);
    const bad = [
      [file('a', 'x'), file('../evil', 'x')],
      [file('a', 'x'), file('b/c', 'x')],
      [file('a', 'x'), file('.now', 'x')],
      [file('a', 'x'), file('a', 'y')],
      [file('a', 'x', { mode: 0o4755 })],
      [file('a', 'x', { uid: -1 })],
      [file('a', 'x', { gid: 2 ** 32 })],
    ];
    for (const set of bad) {
      await expect(fixture.files.write(TASK, set)).rejects.toMatchObject({
        code: 'CV_ARGUMENT_INVALID',
      });
    }
    expect(readdirSync(view).toSorted()).toEqual(['.gen-1', '.now', 'a']);
    expect(shown('a')).toBe('kept');
  });

  test('a write that fails in the middle leaves the old generation', async () => {
    await fixture.files.write(TASK, [file('a', 'kept')]);
    const gone = file('b', 'gone');
    gone.value.wipe();
    await expect(fixture.files.write(TASK, [file('a', 'new'), gone])).rejects.toThrow('wipe');
    expect(readdirSync(view).toSorted()).toEqual(['.gen-1', '.now', 'a']);
    expect(shown('a')).toBe('kept');
    expect(await fixture.files.write(TASK, [file('a', 'later')])).toBe(2);
  });

  test('what fails after the switch leaves the new generation, and the next write goes on', async () => {
    await fixture.files.write(TASK, [file('a', 'one'), file('b', 'gone')]);
    const blocked = `${fixture.files.taskDir(TASK)}/files/old/.gen-1`;
    mkdirSync(blocked);
    writeFileSync(`${blocked}/x`, '');
    await expect(fixture.files.write(TASK, [file('a', 'two')])).rejects.toThrow('ENOTEMPTY');
    expect(shown('a')).toBe('two');
    // Nor does a try that fails again take away what the task sees.
    await expect(fixture.files.write(TASK, [file('a', 'three')])).rejects.toThrow('ENOTEMPTY');
    expect(shown('a')).toBe('three');
    rmSync(blocked, { recursive: true });
    const emptiesReplaced = { emptiesReplaced: true };
    expect(await fixture.files.write(TASK, [file('a', 'four')], emptiesReplaced)).toBe(4);
    expect(shown('a')).toBe('four');
    expect(readdirSync(view).toSorted()).toEqual(['.gen-4', '.now', 'a']);
    expect(readdirSync(`${view}/../old`)).toEqual([]);
  });

  test('values may grow and be replaced many times within bounded memory', async () => {
    const big = 'x'.repeat(1024 * 1024);
    for (let round = 1; round <= 30; round += 1) {
      await fixture.files.write(TASK, [file('a', `${round}${big}`)]);
    }
    expect(shown('a').startsWith('30x')).toBe(true);
    const old = readdirSync(`${fixture.files.taskDir(TASK)}/files/old`);
    expect(old.length).toBeLessThanOrEqual(10);
  });

  test('a later run adopts the files and clears what a cut-off write left', async () => {
    await fixture.files.write(TASK, [file('a', 'one')]);
    await fixture.files.write(TASK, [file('a', 'two'), file('b', 'three')]);
    const later = await fixture.reopen();
    expect(later.list()).toEqual([TASK]);
    expect(await later.adopt(TASK)).toEqual(['a', 'b']);
    const value = later.read(TASK, 'b');
    expect(value.equals(file('', 'three').value)).toBe(true);
    expect(await later.write(TASK, [file('a', 'four')])).toBe(3);
    expect(shown('a')).toBe('four');
  });

  test('a later run adopts the files also when the host gives no more room', async () => {
    await fixture.files.write(TASK, [file('a', 'one')]);
    const noRoom = () => Promise.reject(new Error('no'));
    const later = await fixture.reopen(makeHost({ resize: noRoom }));
    expect(await later.adopt(TASK)).toEqual(['a']);
    expect(shown('a')).toBe('one');
  });

  test('a later run adopts nothing where nothing was written', async () => {
    const later = await fixture.reopen();
    expect(await later.adopt(TASK)).toBeUndefined();
    expect(await later.adopt(OTHER_TASK)).toBeUndefined();
  });

  test('removing twice, or a task that never was, does nothing', async () => {
    await fixture.files.remove(TASK);
    expect(await fixture.files.remove(TASK)).toEqual([]);
    expect(await fixture.files.remove(OTHER_TASK)).toEqual([]);
  });

  test('one task is untouched when another one goes', async () => {
    await fixture.files.create(OTHER_TASK);
    await fixture.files.write(TASK, [file('a', 'mine')]);
    await fixture.files.write(OTHER_TASK, [file('a', 'other')]);
    await fixture.files.remove(OTHER_TASK);
    expect(shown('a')).toBe('mine');
  });

  // Attack row V09.
  test('a link planted in place of the view leads no write elsewhere', async () => {
    const outside = `${fixture.areas.runDir}/outside`;
    writeFileSync(outside, 'untouched');
    symlinkSync(outside, `${view}/a`);
    await fixture.files.write(TASK, [file('a', 'value')]).catch(() => undefined);
    expect(readFileSync(outside, 'utf8')).toBe('untouched');
  });
});

describeMounts(`a mount that is held elsewhere${because}`, () => {
  // Attack row G07.
  test('a copy in another namespace is empty after removal, and reported', async () => {
    const fixture = await openFixture();
    await fixture.files.create(TASK);
    await fixture.files.write(TASK, [file('a', 'secret')]);
    const path = `${fixture.files.viewPath(TASK)}/a`;
    const script = `exec 3<"${path}" && echo held && read -r _ && wc -c <&3`;
    const holder = spawn('unshare', ['--mount', 'sh', '-c', script], {
      stdio: ['pipe', 'pipe', 'inherit'],
    });
    holder.stdout.setEncoding('utf8');
    expect((await once(holder.stdout, 'data'))[0]).toBe('held\n');
    const leftovers = await fixture.files.remove(TASK);
    expect(leftovers).toHaveLength(1);
    expect(leftovers[0]?.pid).toBe(holder.pid);
    expect(existsSync(fixture.files.taskDir(TASK))).toBe(false);
    const after = once(holder.stdout, 'data');
    holder.stdin.end('\n');
    expect(String((await after)[0]).trim()).toBe('0');
    await once(holder, 'close');
    await fixture.close();
  });

  // Attack row G21.
  test('readers never see a mixed set while ten files change a thousand times', async () => {
    const fixture = await openFixture();
    await fixture.files.create(TASK);
    const names = ['a', 'b', 'c', 'd', 'e', 'f', 'g', 'h', 'i', 'j'];
    const setOf = (round: number) => names.map((name) => file(name, `${round}\n`));
    await fixture.files.write(TASK, setOf(0));
    const view = fixture.files.viewPath(TASK);
    // A reader that enters the current generation sees that one to its end.
    const script = `i=0; while [ ! -e "$0/stop" ]; do cd "$0"; cd -P .now 2>/dev/null || continue
      s=$(cat [a-j] 2>/dev/null | sort -u | wc -l); n=$(cat [a-j] 2>/dev/null | wc -l)
      [ "$n" = 10 ] || continue; i=$((i+1)); [ "$s" = 1 ] || { echo mixed; exit; }; done; echo "$i"`;
    const reader = spawn('sh', ['-c', script, view], { stdio: ['ignore', 'pipe', 'inherit'] });
    reader.stdout.setEncoding('utf8');
    const result = once(reader.stdout, 'data');
    for (let round = 1; round <= 1_000; round += 1) {
      await fixture.files.write(TASK, setOf(round));
      await new Promise(setImmediate);
    }
    writeFileSync(`${view}/stop`, '');
    expect(Number((await result)[0])).toBeGreaterThan(0);
    await once(reader, 'close');
    await fixture.close();
  }, 120_000);
});
