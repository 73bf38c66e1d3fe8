import { beforeAll, beforeEach, describe, expect, test } from '@jest/globals';
import { SILENT_LOGGER } from '@conclave/kernel';
import { openSealed } from '@conclave/sealed';

import { Bench } from './agent-support.js';
import type { FakeBinding } from './fake-manager.js';

beforeAll(openSealed);

let bench: Bench;
let task: string;
let secret: string;
beforeEach(() => {
  bench = new Bench();
  task = bench.id();
  secret = bench.id();
});

const bind = (version: number, rest: Partial<FakeBinding> = {}): FakeBinding => ({
  target: 'password',
  secretId: secret,
  version,
  ...rest,
});

const state = (): string | undefined =>
  bench.agent.status().tasks.find(({ taskId }) => taskId === task)?.state;

/** An agent whose task runs with version 1. */
async function runTask(rest: Partial<FakeBinding> = {}) {
  const session = await bench.open();
  session.assign({
    tasks: [{ id: task, bindings: [bind(1, rest)] }],
    values: { [`${secret}@1`]: { text: 'one', taskIds: [task] } },
  });
  await bench.time.until('RUNNING', () => session.states.includes(`${task} RUNNING`));
  return session;
}

function rotate(session: Awaited<ReturnType<typeof runTask>>, rest: Partial<FakeBinding> = {}) {
  session.assign({
    tasks: [{ id: task, bindings: [bind(2, rest)] }],
    values: { [`${secret}@2`]: { text: 'two', taskIds: [task] } },
    secretsRemoved: [`${secret}@1`],
  });
}

describe('a task that should run', () => {
  test('gets its file, runs, and is reported with a receipt', async () => {
    const session = await runTask({ uid: 5, mode: 0o440 });
    expect(bench.textOf(task, 'password')).toBe('one');
    expect(bench.files.inspect(task)?.get('password')).toMatchObject({
      uid: 5,
      gid: 700_000,
      mode: 0o440,
    });
    await bench.time.until('a receipt', () => session.receipts.includes('password 1 delivered'));
    expect(session.all('ack')).toEqual([{ sequence: 1, error: '' }]);
    await bench.time.until('committed', () => bench.agent.status().waitingReportCount === 0);
    expect(bench.agent.status().heldVersionCount).toBe(1);
    expect(bench.records.text()).not.toMatch(/\bone\b/);
  });

  test('is REJECTED with the reason when a required secret cannot be delivered', async () => {
    const session = await bench.open();
    session.assign({
      tasks: [{ id: task, bindings: [bind(1)], undeliverable: 'secret "x" has no version' }],
    });
    await bench.time.until('REJECTED', () => session.states.includes(`${task} REJECTED`));
    const reports = session.all('taskReports').flatMap(({ reports: list }) => list);
    expect(reports.at(-1)?.error).toBe('secret "x" has no version');
    expect(bench.executor.events).not.toContain(`start ${task}`);
    expect(bench.files.list()).toEqual([]);
  });

  test('is REJECTED when it cannot be prepared, and leaves nothing behind', async () => {
    bench.executor.refusal = 'command is empty';
    const session = await bench.open();
    session.assign({
      tasks: [{ id: task, bindings: [bind(1)] }],
      values: { [`${secret}@1`]: { text: 'one', taskIds: [task] } },
    });
    await bench.time.until('REJECTED', () => session.states.includes(`${task} REJECTED`));
    expect(bench.files.list()).toEqual([]);
  });

  test.each([
    ['its mount is refused', () => (bench.files.failingCreates = 1)],
    ['its files cannot be written', () => (bench.files.failingWrites = 1)],
    ['its command cannot be started', () => (bench.executor.startFailure = 'no')],
  ])('is REJECTED when %s, and leaves nothing behind', async (_, breakIt) => {
    breakIt();
    const session = await bench.open();
    session.assign({
      tasks: [{ id: task, bindings: [bind(1)] }],
      values: { [`${secret}@1`]: { text: 'one', taskIds: [task] } },
    });
    await bench.time.until('REJECTED', () => session.states.includes(`${task} REJECTED`));
    expect(bench.files.list()).toEqual([]);
    expect(bench.executor.running).toEqual([]);
  });

  test('of a runtime that this version lacks is REJECTED with a clear text', async () => {
    const session = await bench.open();
    session.assign({ tasks: [{ id: task, spec: { runtime: 'container' } }] });
    await bench.time.until('REJECTED', () => session.states.includes(`${task} REJECTED`));
    expect(bench.agent.status().tasks[0]?.error).toBe('this version runs processes only');
  });

  test('an optional secret that does not exist is left out', async () => {
    const session = await bench.open();
    session.assign({ tasks: [{ id: task, bindings: [bind(0, { optional: true })] }] });
    await bench.time.until('RUNNING', () => session.states.includes(`${task} RUNNING`));
    expect(bench.files.inspect(task)?.size).toBe(0);
  });

  test('an optional pinned version that was destroyed is left out', async () => {
    const session = await bench.open();
    session.assign({ tasks: [{ id: task, bindings: [bind(0, { optional: true, pinned: 1 })] }] });
    await bench.time.until('RUNNING', () => session.states.includes(`${task} RUNNING`));
    expect(bench.files.inspect(task)?.size).toBe(0);
  });

  test('one secret at two targets is two files with their own owner and mode', async () => {
    const session = await bench.open();
    const bindings = [bind(1, { uid: 1, mode: 0o400 }), bind(1, { target: 'copy', uid: 2 })];
    session.assign({
      tasks: [{ id: task, bindings }],
      values: { [`${secret}@1`]: { text: 'one', taskIds: [task] } },
    });
    await bench.time.until('RUNNING', () => session.states.includes(`${task} RUNNING`));
    expect(bench.textOf(task, 'copy')).toBe('one');
    expect(bench.files.inspect(task)?.get('copy')?.uid).toBe(2);
    expect(bench.agent.status().heldVersionCount).toBe(1);
  });
});

describe('the end of a task', () => {
  test.each([
    [0, 'COMPLETE', ''],
    [7, 'FAILED', 'exit code 7'],
    [127, 'FAILED', 'the command was not found (exit code 127)'],
  ])('status %i is reported as %s after its files are gone', async (status, expected, error) => {
    const session = await runTask();
    bench.executor.end(task, status);
    await bench.time.until(expected, () => session.states.includes(`${task} ${expected}`));
    expect(bench.files.list()).toEqual([]);
    const report = session.all('taskReports').at(-1)?.reports.at(-1);
    expect(report).toMatchObject({ error, exitCode: status });
  });

  test('an end without a status is logged and reported with the reason', async () => {
    const lines: [string, unknown][] = [];
    const note = (event: string, fields: unknown): number => lines.push([event, fields]);
    const logger = { ...SILENT_LOGGER, info: note, warn: note };
    bench.agent = bench.createAgent({ logger });
    const session = await runTask();
    bench.executor.lose(task);
    await bench.time.until('FAILED', () => session.states.includes(`${task} FAILED`));
    const reason = 'it ended together with its supervisor; no status is known';
    const report = session.all('taskReports').at(-1)?.reports.at(-1);
    expect(report).toMatchObject({ message: reason, error: reason });
    expect(report?.exitCode ?? undefined).toBeUndefined();
    expect(lines.filter(([event]) => event === 'task.ended')).toEqual([
      ['task.ended', { taskId: task, state: 'FAILED', exitCode: undefined, reason }],
    ]);
  });

  test('output of tasks that ended by themselves is kept for the newest only', async () => {
    const session = await bench.open();
    const ids = Array.from({ length: 70 }, () => bench.id());
    session.assign({ tasks: ids.map((id) => ({ id })) });
    await bench.time.until('all run', () => bench.executor.running.length === ids.length);
    for (const id of ids) {
      bench.executor.end(id, 1);
      await bench.time.until('FAILED', () => session.states.includes(`${id} FAILED`));
    }
    const options = { tailLines: 0, follow: false, signal: new AbortController().signal };
    const hasOutput = ids.map((id) => {
      try {
        return bench.agent.logs(id, options) !== undefined;
      } catch {
        return false;
      }
    });
    expect(hasOutput).toEqual(ids.map((_, position) => position >= ids.length - 64));
  });

  test.each(['SHUTDOWN', 'REMOVE'])('desired %s stops it and wipes its files', async (desired) => {
    const session = await runTask();
    session.assign({
      tasks: [{ id: task, desiredState: desired }],
      secretsRemoved: [`${secret}@1`],
    });
    await bench.time.until('SHUTDOWN', () => session.states.includes(`${task} SHUTDOWN`));
    expect(bench.files.list()).toEqual([]);
    expect(bench.agent.status().heldVersionCount).toBe(0);
    expect(session.all('taskReports').at(-1)?.reports[0]?.exitCode).toBe(143);
  });

  test('a task that the cluster forgot is stopped, wiped and forgotten', async () => {
    const session = await runTask();
    session.assign({ tasksRemoved: [task], secretsRemoved: [`${secret}@1`] });
    await bench.time.until('forgotten', () => state() === undefined);
    expect(bench.files.list()).toEqual([]);
    expect(bench.executor.running).toEqual([]);
    expect(bench.records.load()).toEqual([]);
  });

  test('an ended task is not started again while the cluster still names it', async () => {
    const session = await runTask();
    bench.executor.end(task, 1);
    await bench.time.until('FAILED', () => session.states.includes(`${task} FAILED`));
    session.assign({
      tasks: [{ id: task, bindings: [bind(2)] }],
      values: { [`${secret}@2`]: { text: 'two', taskIds: [task] } },
    });
    await bench.time.until('acknowledged', () => session.all('ack').length === 2);
    expect(bench.executor.events.filter((event) => event === `start ${task}`)).toHaveLength(1);
  });

  // Attack row G05.
  test('two tasks share a secret; one ends, the other keeps it', async () => {
    const other = bench.id();
    const session = await bench.open();
    const tasks = [task, other].map((id) => ({ id, bindings: [bind(1)] }));
    session.assign({
      tasks,
      values: { [`${secret}@1`]: { text: 'one', taskIds: [task, other] } },
    });
    await bench.time.until('both run', () => bench.executor.running.length === 2);
    session.assign({ tasks: [{ id: task, desiredState: 'SHUTDOWN' }] });
    await bench.time.until('SHUTDOWN', () => session.states.includes(`${task} SHUTDOWN`));
    expect(bench.textOf(other, 'password')).toBe('one');
    expect(bench.agent.status().heldVersionCount).toBe(1);
  });
});

describe('a changed secret', () => {
  const action = (kind: string, rest = {}) => ({ kind, signal: '', command: '', ...rest });
  test.each([
    ['nothing', action('none'), 'delivered', undefined],
    ['a signal', action('signal', { signal: 'HUP' }), 'reloaded', 'signal ID HUP'],
    ['a command', action('exec', { command: 'reload' }), 'reloaded', 'exec ID reload'],
    ['a restart', action('restart'), 'reloaded', 'stop ID'],
  ])('is written, and then %s happens', async (_, onChange, outcome, event) => {
    const session = await runTask({ onChange });
    rotate(session, { onChange });
    await bench.time.until('a receipt', () => session.receipts.includes(`password 2 ${outcome}`));
    expect(bench.textOf(task, 'password')).toBe('two');
    if (event !== undefined) {
      expect(bench.executor.events).toContain(event.replace('ID', task));
    }
    expect(state()).toBe('RUNNING');
    expect(bench.executor.running).toEqual([task]);
    expect(bench.agent.status().heldVersionCount).toBe(1);
  });

  test('a command that fails makes the receipt say so; the task goes on', async () => {
    const onChange = action('exec', { command: 'reload' });
    const session = await runTask({ onChange });
    bench.executor.execStatus = 3;
    rotate(session, { onChange });
    await bench.time.until('a receipt', () => session.receipts.includes('password 2 failed'));
    const receipt = session.all('receiptReports').at(-1)?.reports[0];
    expect(receipt?.detail).toBe('the command gave exit code 3');
    expect(state()).toBe('RUNNING');
  });

  test('the same action of several files runs once', async () => {
    const onChange = action('signal', { signal: 'HUP' });
    const pair = (version: number) => [
      bind(version, { onChange }),
      bind(version, { onChange, target: 'copy' }),
    ];
    const session = await bench.open();
    session.assign({
      tasks: [{ id: task, bindings: pair(1) }],
      values: { [`${secret}@1`]: { text: 'one', taskIds: [task] } },
    });
    await bench.time.until('RUNNING', () => session.states.includes(`${task} RUNNING`));
    session.assign({
      tasks: [{ id: task, bindings: pair(2) }],
      values: { [`${secret}@2`]: { text: 'two', taskIds: [task] } },
    });
    await bench.time.until('a receipt', () => session.receipts.includes('copy 2 reloaded'));
    expect(bench.executor.events.filter((event) => event.startsWith('signal'))).toHaveLength(1);
  });

  test('that cannot be written keeps the old file, says so, and is tried again', async () => {
    const session = await runTask();
    bench.files.failingWrites = 1;
    rotate(session);
    await bench.time.until('failed', () => session.receipts.includes('password 2 failed'));
    expect(bench.textOf(task, 'password')).toBe('one');
    await bench.time.until('delivered', () => session.receipts.includes('password 2 delivered'));
    expect(bench.textOf(task, 'password')).toBe('two');
  });

  test('that changes again while its task restarts is told by the version that was written', async () => {
    const onChange = action('restart');
    const session = await runTask({ onChange });
    let goOn = (): void => undefined;
    const stop = bench.executor.stop.bind(bench.executor);
    bench.executor.stop = async (taskId) => {
      await new Promise<void>((resolve) => {
        goOn = resolve;
      });
      return await stop(taskId);
    };
    rotate(session, { onChange });
    await bench.time.until('written', () => bench.textOf(task, 'password') === 'two');
    session.assign({
      tasks: [{ id: task, bindings: [bind(3, { onChange })] }],
      values: { [`${secret}@3`]: { text: 'three', taskIds: [task] } },
      secretsRemoved: [`${secret}@2`],
    });
    await bench.time.until('acknowledged', () => session.all('ack').length === 3);
    goOn();
    await bench.time.until('a receipt', () => session.receipts.includes('password 3 reloaded'));
    expect(session.receipts).not.toContain('password 2 reloaded');
    expect(bench.textOf(task, 'password')).toBe('three');
  });

  test('that was destroyed under a running task stops it with the reason', async () => {
    const session = await runTask();
    session.assign({
      tasks: [{ id: task, bindings: [bind(1)], undeliverable: 'destroyed' }],
      secretsRemoved: [`${secret}@1`],
    });
    await bench.time.until('REJECTED', () => session.states.includes(`${task} REJECTED`));
    expect(bench.executor.running).toEqual([]);
    expect(bench.files.list()).toEqual([]);
  });
});

describe('complete and incremental assignments', () => {
  test('a complete one without tasks takes everything away', async () => {
    await runTask();
    bench.manager.session.end();
    const session = await bench.nextSession(1);
    session.assign({});
    await bench.time.until('forgotten', () => bench.agent.status().tasks.length === 0);
    expect(bench.agent.status().heldVersionCount).toBe(0);
    expect(bench.files.list()).toEqual([]);
  });

  test('removing what is unknown is fine', async () => {
    const session = await bench.open();
    session.assign({});
    session.assign({ tasksRemoved: [task], secretsRemoved: [`${secret}@9`] });
    await bench.time.until('acknowledged', () => session.all('ack').length === 2);
    expect(session.all('ack').map(({ error }) => error)).toEqual(['', '']);
  });

  test('a value in many parts arrives byte for byte', async () => {
    const text = 'abcdefghij'.repeat(50);
    const session = await bench.open();
    session.assign({
      tasks: [{ id: task, bindings: [bind(1)] }],
      values: { [`${secret}@1`]: { text, taskIds: [task] } },
      partBytes: 20,
    });
    await bench.time.until('RUNNING', () => session.states.includes(`${task} RUNNING`));
    expect(bench.textOf(task, 'password')).toBe(text);
  });
});

describe('a restarted agent', () => {
  test('adopts what runs before it connects, and touches only what differs', async () => {
    await runTask();
    await bench.agent.stop({ keepTasks: true });
    expect(bench.executor.running).toEqual([task]);
    bench.agent = bench.createAgent();
    const session = await bench.nextSessionAfter(() => bench.agent.start());
    expect(bench.executor.events).toContain(`adopt ${task}`);
    expect(session.all('hello')[0]).toMatchObject({ held: [], appliedIndex: 11 });
    session.assign({
      tasks: [{ id: task, bindings: [bind(1)] }],
      values: { [`${secret}@1`]: { text: 'one', taskIds: [task] } },
    });
    await bench.time.until('acknowledged', () => session.all('ack').length === 1);
    rotate(session);
    await bench.time.until('receipt', () => session.receipts.includes('password 2 delivered'));
    expect(bench.executor.events.filter((event) => event === `start ${task}`)).toHaveLength(1);
    expect(bench.textOf(task, 'password')).toBe('two');
  });

  test('tells receipts again, and runs the action that an earlier run still owed', async () => {
    const onChange = { kind: 'exec', signal: '', command: 'reload' };
    const first = await runTask({ onChange });
    const exec = bench.executor.exec.bind(bench.executor);
    // The agent is gone before the command has ended.
    bench.executor.exec = () => new Promise(() => undefined);
    rotate(first, { onChange });
    await bench.time.until('written', () => bench.textOf(task, 'password') === 'two');
    bench.executor.exec = exec;
    bench.agent = bench.createAgent();
    const session = await bench.nextSessionAfter(() => bench.agent.start());
    session.assign({
      tasks: [{ id: task, bindings: [bind(2, { onChange })] }],
      values: { [`${secret}@2`]: { text: 'two', taskIds: [task] } },
    });
    await bench.time.until('receipt', () => session.receipts.includes('password 2 reloaded'));
    expect(bench.executor.events).toContain(`exec ${task} reload`);
    // Nobody has read that receipt when the agent is gone again.
    bench.agent = bench.createAgent();
    const later = await bench.nextSessionAfter(() => bench.agent.start());
    await bench.time.until('receipt', () => later.receipts.includes('password 2 reloaded'));
    const { events } = bench.executor;
    expect(events.filter((event) => event.startsWith('exec'))).toHaveLength(1);
    expect(events.filter((event) => event === `start ${task}`)).toHaveLength(1);
  });

  test('applies what it cannot note down, and goes on', async () => {
    const session = await runTask();
    const noRoom = (): never => {
      throw Object.assign(new Error('no space left on device'), { code: 'ENOSPC' });
    };
    bench.records.savePosition = noRoom;
    bench.records.save = noRoom;
    rotate(session);
    await bench.time.until('receipt', () => session.receipts.includes('password 2 delivered'));
    expect(bench.agent.status().heldVersionCount).toBe(1);
    bench.executor.end(task, 0);
    await bench.time.until('COMPLETE', () => session.states.includes(`${task} COMPLETE`));
    expect(bench.files.list()).toEqual([]);
  });

  test('goes on when the medium cannot be looked at, and says so', async () => {
    await bench.open();
    bench.files.isSwapSafe = () => {
      throw new Error('too many open files');
    };
    bench.time.advance(31_000);
    expect(bench.agent.status().isSwapSafe).toBe(false);
    bench.files.isSwapSafe = () => true;
    bench.time.advance(31_000);
    expect(bench.agent.status().isSwapSafe).toBe(true);
  });

  test('ends a task that it cannot take over, and starts nothing in its place', async () => {
    await runTask();
    await bench.agent.stop({ keepTasks: true });
    bench.executor.adopt = () => Promise.reject(new Error('too many open files'));
    bench.agent = bench.createAgent();
    const session = await bench.nextSessionAfter(() => bench.agent.start());
    await bench.time.until('FAILED', () => session.states.includes(`${task} FAILED`));
    expect(bench.executor.events).toContain(`clear ${task}`);
    expect(bench.executor.running).toEqual([]);
    expect(bench.files.list()).toEqual([]);
  });

  test('reports the end of a task that ended while it was away', async () => {
    await runTask();
    await bench.agent.stop({ keepTasks: true });
    bench.executor.end(task, 4);
    bench.agent = bench.createAgent();
    const session = await bench.nextSessionAfter(() => bench.agent.start());
    await bench.time.until('FAILED', () => session.states.includes(`${task} FAILED`));
    expect(bench.files.list()).toEqual([]);
  });

  test('reports the true end of a task whose files the supervisor had to wipe', async () => {
    await runTask();
    await bench.agent.stop({ keepTasks: true });
    bench.executor.end(task, 0);
    await bench.files.write(task, []);
    bench.agent = bench.createAgent();
    const session = await bench.nextSessionAfter(() => bench.agent.start());
    await bench.time.until('COMPLETE', () => session.states.includes(`${task} COMPLETE`));
    expect(bench.files.list()).toEqual([]);
  });

  test('ends a task that runs although its files are gone', async () => {
    await runTask();
    await bench.agent.stop({ keepTasks: true });
    await bench.files.write(task, []);
    bench.agent = bench.createAgent();
    const session = await bench.nextSessionAfter(() => bench.agent.start());
    await bench.time.until('FAILED', () => session.states.includes(`${task} FAILED`));
    expect(bench.executor.running).toEqual([]);
  });

  test('wipes what it does not know before it connects', async () => {
    const unknown = bench.id();
    await bench.files.create(unknown);
    await bench.agent.start();
    expect(bench.files.list()).toEqual([]);
    expect(bench.executor.events).toContain(`clear ${unknown}`);
  });

  test('wipes a task whose files do not match its record, and reports it FAILED', async () => {
    await runTask();
    await bench.agent.stop({ keepTasks: true });
    await bench.files.remove(task);
    bench.agent = bench.createAgent();
    const session = await bench.nextSessionAfter(() => bench.agent.start());
    await bench.time.until('FAILED', () => session.states.includes(`${task} FAILED`));
    expect(bench.executor.events).toContain(`clear ${task}`);
  });

  test('does not start again a task that had ended, and tells its end again', async () => {
    const first = await runTask();
    bench.executor.end(task, 0);
    await bench.time.until('COMPLETE', () => first.states.includes(`${task} COMPLETE`));
    await bench.agent.stop({ keepTasks: true });
    bench.agent = bench.createAgent();
    const session = await bench.nextSessionAfter(() => bench.agent.start());
    session.assign({ tasks: [{ id: task }] });
    await bench.time.until('COMPLETE', () => session.states.includes(`${task} COMPLETE`));
    expect(bench.executor.events.filter((event) => event === `start ${task}`)).toHaveLength(1);
  });

  test('that stops for good stops and wipes every task', async () => {
    await runTask();
    await bench.agent.stop({ keepTasks: false });
    expect(bench.executor.running).toEqual([]);
    expect(bench.files.list()).toEqual([]);
    expect(bench.agent.status().heldVersionCount).toBe(0);
  });
});
