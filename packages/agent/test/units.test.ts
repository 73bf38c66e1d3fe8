import { spawnSync } from 'node:child_process';
import { once } from 'node:events';
import {
  appendFileSync,
  existsSync,
  mkdtempSync,
  openSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  watch,
  writeFileSync,
} from 'node:fs';

import { beforeAll, describe, expect, test } from '@jest/globals';
import { SILENT_LOGGER } from '@conclave/kernel';
import { openSealed, SecretBytes } from '@conclave/sealed';
import fc from 'fast-check';

import { lendDescriptors } from '../src/executors/process/lend-descriptors.js';
import { OutputLog } from '../src/executors/process/output-log.js';
import { identify, parseStat } from '../src/executors/process/process-table.js';
import { RunningTask } from '../src/executors/process/running-task.js';
import { parseSignal, signalOfStatus } from '../src/executors/process/signals.js';
import { TaskNotes } from '../src/executors/process/task-notes.js';
import { parseUser, TaskUsers } from '../src/executors/process/task-user.js';
import type { TaskUsersOptions } from '../src/executors/process/task-user.js';
import { FileRecords } from '../src/index.js';
import { OUTPUT_CUT_MS } from '../src/limits.js';
import type { TaskRecord } from '../src/index.js';
import { HeldValues } from '../src/tasks/held-values.js';
import { ReportOutbox } from '../src/tasks/report-outbox.js';
import { Slots } from '../src/tasks/slots.js';
import { ManualTime, seededRandom } from './manual-time.js';

beforeAll(openSealed);

const testAsRoot = process.geteuid?.() === 0 ? test : test.skip;
const folder = (): string => mkdtempSync('/dev/shm/conclave-units-');
const value = (text: string): SecretBytes => SecretBytes.take(new TextEncoder().encode(text));

describe('held values', () => {
  const textOf = (lent: SecretBytes | undefined): string | undefined =>
    lent?.use((view) => new TextDecoder().decode(view));

  test('what is handed in is wiped; what is lent is, after its use', async () => {
    const held = new HeldValues(seededRandom());
    const [a, double, b] = [value('a'), value('a'), value('b')];
    held.add(new Map(Object.entries({ 's@1': a, 's@2': b })));
    held.add(new Map([['s@1', double]]));
    expect([a.isWiped, b.isWiped, double.isWiped]).toEqual([true, true, true]);
    const lent = await held.borrow(['s@1', 's@2', 's@1'], (values) => {
      expect([...values].map(([key, one]) => [key, textOf(one)])).toEqual([
        ['s@1', 'a'],
        ['s@2', 'b'],
      ]);
      return Promise.resolve([...values.values()]);
    });
    expect(lent.map(({ isWiped }) => isWiped)).toEqual([true, true]);
    await expect(held.borrow(['s@1'], () => Promise.reject(new Error('full')))).rejects.toThrow(
      'full',
    );
    expect(held.keys()).toEqual(['s@1', 's@2']);
  });

  test('a withdrawn value is gone, also while somebody has borrowed it', async () => {
    const held = new HeldValues(seededRandom());
    held.add(new Map(Object.entries({ 's@1': value('a'), 's@2': value('b') })));
    let finish: () => void = () => undefined;
    const text = held.borrow(['s@1'], async (values) => {
      await new Promise<void>((resolve) => (finish = resolve));
      return textOf(values.get('s@1'));
    });
    held.retain(new Set(['s@2']));
    expect(held.keys()).toEqual(['s@2']);
    finish();
    expect(await text).toBe('a');
    await expect(held.borrow(['s@1'], () => Promise.resolve())).rejects.toThrow('is held');
    held.close();
    expect(held.has('s@2')).toBe(false);
  });
});

describe('records', () => {
  const record: TaskRecord = {
    taskId: 'aaaaaaaaaaaaaaaaaaaaaaaaaa',
    state: 'RUNNING',
    message: '',
    error: '',
    exitCode: undefined,
    atMs: 1,
    assignment: undefined,
    files: [],
    pending: [],
    receipts: [],
  };
  const member = { clusterId: 'c', nodeId: 'n' };

  test('come back, except those of another start of the host, and damaged ones', () => {
    const path = folder();
    const records = new FileRecords({ folder: path, bootId: 'one', ...member });
    const other = { ...record, taskId: 'baaaaaaaaaaaaaaaaaaaaaaaaa' };
    records.save(record);
    records.save(other);
    records.savePosition({ epoch: 2, index: 30 });
    writeFileSync(`${path}/${other.taskId}.json`, '{"format":1');
    const again = new FileRecords({ folder: path, bootId: 'one', ...member });
    expect(again.load().map(({ taskId }) => taskId)).toEqual([record.taskId]);
    expect(again.loadPosition()).toEqual({ epoch: 2, index: 30 });
    const rebooted = new FileRecords({ folder: path, bootId: 'two', ...member });
    expect(rebooted.loadPosition()).toBeUndefined();
    expect(rebooted.load()).toEqual([]);
    again.destroy();
    expect(existsSync(path)).toBe(false);
  });

  test('of another member that this host was are not taken', () => {
    const path = folder();
    const before = new FileRecords({ folder: path, bootId: 'one', ...member });
    before.save(record);
    before.savePosition({ epoch: 2, index: 30 });
    for (const later of [
      { clusterId: 'c', nodeId: 'other' },
      { clusterId: 'other', nodeId: 'n' },
    ]) {
      const records = new FileRecords({ folder: path, bootId: 'one', ...later });
      expect(records.loadPosition()).toBeUndefined();
      expect(records.load()).toEqual([]);
    }
    rmSync(path, { recursive: true });
  });
});

describe('users of tasks', () => {
  const root = { uid: 0, gid: 0 };
  const ask = (taskId: string, user = '', serviceName = 'web') => ({ taskId, user, serviceName });
  const accounts = () => ({ uids: new Set([0, 33]), gids: new Set([0, 33, 999]) });
  const createUsers = (rest: Partial<TaskUsersOptions> = {}) =>
    new TaskUsers({ agent: root, random: seededRandom(), accounts, ...rest });

  test('a service may name nobody of the host, of the agent or of other tasks', () => {
    const users = createUsers();
    const refused = ['0', '0:5000', '5000:0', '33', '5000:33', '5000:999', '700000', '5000:765535'];
    for (const user of refused) {
      expect(() => users.assign(ask('a', user))).toThrow(`may not run as user ${user}`);
    }
    const agent = { uid: 0, gid: 4000 };
    expect(() => createUsers({ agent }).assign(ask('a', '5000:4000'))).toThrow('of the host');
    expect(users.assign(ask('a', '5000:5001'))).toEqual({
      uid: 5000,
      gid: 5001,
      isExclusive: false,
    });
  });

  test('two services share a named user only where the host allows it', () => {
    const users = createUsers();
    users.assign(ask('a', '5000'));
    users.assign(ask('b', '5000'));
    expect(() => users.assign(ask('c', '5000:1', 'spy'))).toThrow('of another service');
    users.release('a');
    expect(() => users.assign(ask('c', '5000', 'spy'))).toThrow('of another service');
    users.release('b');
    users.adopt(ask('c', '', 'spy'), { uid: 5000, gid: 5000, isExclusive: false });
    expect(() => users.assign(ask('a', '5000'))).toThrow('of another service');
    const shared = createUsers({ allowedUsers: ['5000'] });
    shared.assign(ask('a', '5000'));
    expect(shared.assign(ask('c', '5000', 'spy')).uid).toBe(5000);
  });

  test('the host may allow its own users, exactly as listed, but none of those of tasks', () => {
    const users = createUsers({ allowedUsers: ['0', '33:999', '700000'] });
    expect(users.assign(ask('a', '0')).uid).toBe(0);
    expect(users.assign(ask('b', '33:999')).gid).toBe(999);
    expect(() => users.assign(ask('c', '33'))).toThrow('an account of the host');
    expect(() => users.assign(ask('c', '700000'))).toThrow('range');
  });

  test('a user of which something still runs is given to nobody', () => {
    const users = createUsers({ uidMin: 10, uidMax: 10 });
    users.assign(ask('a'));
    users.withhold('a');
    users.release('a');
    expect(() => users.assign(ask('b'))).toThrow('in use');
  });

  test('no two tasks share a uid of the range, and the range has an end', () => {
    const range = { uidMin: 10, uidMax: 14 };
    const users = new TaskUsers({ agent: root, random: seededRandom(), ...range });
    const uids = ['a', 'b', 'c', 'd', 'e'].map((task) => users.assign(ask(task)).uid);
    expect(new Set(uids).size).toBe(5);
    expect(() => users.assign(ask('f'))).toThrow('in use');
    users.release('c');
    expect(users.assign(ask('f')).uid).toBe(uids[2]);
  });

  test('without the rights of root only the own user is possible', () => {
    const users = new TaskUsers({ agent: { uid: 7, gid: 8 }, random: seededRandom() });
    expect(users.assign(ask('a'))).toEqual({ uid: 7, gid: 8, isExclusive: false });
    expect(users.assign(ask('a', '7')).uid).toBe(7);
    expect(() => users.assign(ask('a', '0'))).toThrow('cannot run a task as another user');
    expect(() => users.assign(ask('a', '7:9'))).toThrow('cannot run a task as another user');
  });

  test('a user is numbers within their range', () => {
    expect(parseUser('1000:50')).toMatchObject({ uid: 1000, gid: 50 });
    for (const bad of ['', 'root', '-1', '1:', ':1', '01', '4294967295', '1 ', '1:2:3']) {
      expect(() => parseUser(bad)).toThrow('user must be');
    }
  });
});

describe('the process table', () => {
  test('a command of any text does not confuse the fields', () => {
    const rest = `S ${Array.from({ length: 18 }, (_, index) => index).join(' ')} 4711 0 0`;
    expect(parseStat(`42 (a) b (S) 1 2) ${rest}`)).toEqual({
      pid: 42,
      startTime: 4711,
      isZombie: false,
    });
    expect(parseStat('')).toBeUndefined();
    expect(parseStat('42 (a) S')).toBeUndefined();
  });

  test('signals have names with and without SIG; a status above 128 stands for one', () => {
    expect([parseSignal(''), parseSignal('hup'), parseSignal('SIGUSR1')]).toEqual([
      'SIGTERM',
      'SIGHUP',
      'SIGUSR1',
    ]);
    expect(() => parseSignal('9')).toThrow('no known name');
    expect([signalOfStatus(137), signalOfStatus(1), signalOfStatus(255)]).toEqual([
      'SIGKILL',
      undefined,
      undefined,
    ]);
  });
});

describe('a running task', () => {
  /** Counts its cuts; each one fails. */
  class FullOutput extends OutputLog {
    cuts = 0;

    override rotate(): void {
      this.cuts += 1;
      throw new Error('no space left on device');
    }
  }

  function look(outputFolder: string) {
    const path = folder();
    const time = new ManualTime();
    const output = new FullOutput(`${path}/out`);
    const self = identify(process.pid);
    if (self === undefined) throw new Error('this process lives');
    const task = new RunningTask({
      taskId: 't',
      timers: time,
      logger: SILENT_LOGGER,
      notes: new TaskNotes(path),
      supervisor: self,
      main: self,
      marks: { user: undefined, isViewMount: () => false },
      outputs: [output],
      outputFolder,
    });
    return { path, time, output, task };
  }

  test('is polled where the host gives no watch, and no cut that fails ends the agent', () => {
    const { path, time, output, task } = look('/no/such/folder');
    time.advance(3_000);
    expect(output.cuts).toBe(3);
    task.close();
    time.advance(3_000);
    task.cutOutput();
    expect(output.cuts).toBe(4);
    rmSync(path, { recursive: true });
  });

  test('has its output cut at once, and then only after a pause however often it prints', async () => {
    const outputFolder = folder();
    const { path, time, output, task } = look(outputFolder);
    // Hears of an event after the task has.
    const watcher = watch(outputFolder, { persistent: false });
    for (let round = 1; round <= 3; round += 1) {
      for (let count = 0; count < 10; count += 1) {
        const seen = once(watcher, 'change');
        appendFileSync(`${outputFolder}/stdout`, 'x');
        await seen;
      }
      expect(output.cuts).toBe(round);
      time.advance(OUTPUT_CUT_MS);
    }
    watcher.close();
    task.close();
    for (const place of [path, outputFolder]) rmSync(place, { recursive: true });
  });
});

describe('descriptors', () => {
  const openCount = (): number => readdirSync('/proc/self/fd').length;

  test('are closed when one of them cannot be opened, and when their use fails', () => {
    const before = openCount();
    const open = (): number => openSync('/dev/null', 'r');
    const fail = (): never => {
      throw new Error('too many open files');
    };
    expect(() => lendDescriptors([open, fail], () => 0)).toThrow('too many');
    expect(() => lendDescriptors([open, open], fail)).toThrow('too many');
    expect(lendDescriptors([open, open], (descriptors) => descriptors.length)).toBe(2);
    expect(openCount()).toBe(before);
  });
});

describe('kept output', () => {
  test('any pieces, cut at any time, leave the end of what was printed in order', () => {
    const path = folder();
    let run = 0;
    fc.assert(
      fc.property(fc.array(fc.tuple(fc.integer({ min: 0, max: 40 }), fc.boolean())), (steps) => {
        run += 1;
        const log = new OutputLog(`${path}/${run}`, 64);
        let printed = '';
        let next = 0;
        for (const [size, cuts] of steps) {
          const text = Array.from({ length: size }, () => String.fromCharCode(97 + (next++ % 26)));
          printed += text.join('');
          appendFileSync(`${path}/${run}`, text.join(''));
          if (cuts) log.rotate();
        }
        let kept = '';
        for (let offset = log.start; ;) {
          const piece = log.read(offset, 7);
          if (piece.bytes.length === 0) break;
          kept += Buffer.from(piece.bytes).toString();
          offset = piece.offset + piece.bytes.length;
        }
        expect(printed.endsWith(kept)).toBe(true);
        expect(kept.length).toBeGreaterThanOrEqual(Math.min(printed.length, 64));
      }),
      { numRuns: 60 },
    );
    rmSync(path, { recursive: true });
  });

  test('a file of a size that nobody printed is dropped, and followers go on behind it', () => {
    const path = folder();
    const log = new OutputLog(`${path}/out`, 64);
    writeFileSync(`${path}/out`, 'x'.repeat(100));
    log.rotate();
    spawnSync('truncate', ['-s', '4E', `${path}/out`]);
    expect(log.tail(1)).toBeGreaterThanOrEqual(log.end - 128);
    expect(log.read(log.tail(1), 16).bytes).toHaveLength(16);
    const { end } = log;
    log.rotate();
    expect(readdirSync(path)).toEqual(['out']);
    expect(statSync(`${path}/out`).size).toBe(0);
    appendFileSync(`${path}/out`, 'next');
    expect(Buffer.from(log.read(end, 16).bytes).toString()).toBe('next');
    // What the task takes away itself leaves no gap that a follower would wait out.
    writeFileSync(`${path}/out`, '');
    expect(log.read(end + 4, 16)).toEqual({ offset: log.end, bytes: new Uint8Array(0) });
    rmSync(path, { recursive: true });
  });

  testAsRoot('what finds no room is dropped, and the part is cut all the same', () => {
    const path = folder();
    spawnSync('mount', ['-t', 'tmpfs', '-o', 'size=64k', 'tmpfs', path]);
    const log = new OutputLog(`${path}/out`, 8_192);
    writeFileSync(`${path}/out`, 'x'.repeat(65_536));
    log.rotate();
    expect(readdirSync(path)).toEqual(['out']);
    expect(statSync(`${path}/out`).size).toBe(0);
    expect(log.start).toBe(65_536);
    spawnSync('umount', [path]);
    rmSync(path, { recursive: true });
  });

  test('the tail begins at a line', () => {
    const path = folder();
    writeFileSync(`${path}/out`, 'one\ntwo\nthree\nfour');
    const log = new OutputLog(`${path}/out`);
    const text = readFileSync(`${path}/out`, 'utf8');
    expect(text.slice(log.tail(1))).toBe('four');
    expect(text.slice(log.tail(2))).toBe('three\nfour');
    expect(text.slice(log.tail(9))).toBe(text);
    expect(text.slice(log.tail(0))).toBe(text);
    rmSync(path, { recursive: true });
  });
});

describe('reports on their way', () => {
  test('only so many batches are open, and each report is sent once per session', async () => {
    const time = new ManualTime();
    const outbox = new ReportOutbox({ timers: time, logger: SILENT_LOGGER });
    const sent: string[][] = [];
    outbox.attach((message) => {
      sent.push((message.taskReports?.reports ?? []).map(({ taskId = '' }) => taskId));
      return Promise.resolve();
    });
    for (let index = 0; index < 2_000; index += 1) {
      outbox.addTask({ taskId: String(index), state: 'RUNNING' });
    }
    time.advance(100);
    expect(sent).toHaveLength(4);
    for (let batch = 1; batch <= 8; batch += 1) {
      outbox.acknowledge(batch);
      time.advance(10);
    }
    expect(sent.flat()).toHaveLength(2_000);
    expect(new Set(sent.flat()).size).toBe(2_000);
    expect(outbox.count).toBe(0);
    await time.settle();
  });
});

describe('receipts on their way', () => {
  test('never look older than the one before, whatever the clock does', () => {
    const time = new ManualTime();
    const outbox = new ReportOutbox({ timers: time, logger: SILENT_LOGGER });
    const sent: (number | undefined)[] = [];
    outbox.attach((message) => {
      for (const { atMs } of message.receiptReports?.reports ?? []) sent.push(atMs);
      return Promise.resolve();
    });
    for (const atMs of [5_000, 4_000, 6_000]) {
      outbox.addReceipt({ taskId: 't', target: 'db', secretId: 's', version: 1, atMs });
      time.advance(100);
    }
    expect(sent).toEqual([5_000, 5_000, 6_000]);
  });
});

describe('slots', () => {
  test('never more than the given number at once, and nobody waits for ever', async () => {
    const slots = new Slots(2);
    let now = 0;
    let most = 0;
    await Promise.all(
      Array.from({ length: 9 }, (_, index) =>
        slots
          .use(async () => {
            now += 1;
            most = Math.max(most, now);
            await Promise.resolve();
            now -= 1;
            if (index === 4) throw new Error('one fails');
          })
          .catch(() => undefined),
      ),
    );
    expect([most, now]).toEqual([2, 0]);
  });
});
