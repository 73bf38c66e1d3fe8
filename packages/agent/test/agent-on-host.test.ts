import { existsSync, readdirSync, readFileSync } from 'node:fs';

import { afterEach, beforeAll, beforeEach, describe, expect, test } from '@jest/globals';
import { createId, SILENT_LOGGER } from '@conclave/kernel';
import { openSealed } from '@conclave/sealed';

import { Agent, FileRecords } from '../src/index.js';
import { dialerTo, FakeManager } from './fake-manager.js';
import type { FakeSession } from './fake-manager.js';
import {
  openHost,
  outputOf,
  realClock,
  realRandom,
  realTimers,
  reasonToSkip,
} from './process-support.js';
import type { Host } from './process-support.js';

const skip = reasonToSkip();
const describeTasks = skip === undefined ? describe : describe.skip;
const because = skip === undefined ? '' : ` (skipped: ${skip})`;
const MARK = 'MK-7f3a-secret-value';

async function until<T>(what: string, probe: () => T | undefined | false): Promise<T> {
  const deadline = performance.now() + 15_000;
  while (performance.now() < deadline) {
    const found = probe();
    if (found !== undefined && found !== false) return found;
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
  throw new Error(`did not happen: ${what}`);
}

/** Every file below a folder that contains `text`. */
function filesWith(folder: string, text: string): string[] {
  return readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => `${entry.parentPath}/${entry.name}`)
    .filter((path) => readFileSync(path).includes(text));
}

describeTasks(`an agent with real mounts and processes${because}`, () => {
  const cluster = { clusterId: createId(realRandom), nodeId: createId(realRandom) };
  let host: Host;
  let manager: FakeManager;
  let agent: Agent;
  let task: string;
  let secret: string;
  beforeAll(openSealed);
  beforeEach(async () => {
    host = await openHost();
    manager = new FakeManager({ random: realRandom, cluster });
    task = createId(realRandom);
    secret = createId(realRandom);
    agent = createAgent();
  });
  afterEach(async () => {
    await agent.stop({ keepTasks: false });
    await host.close();
  });

  function createAgent(): Agent {
    return new Agent({
      ...cluster,
      bootId: 'boot',
      description: { hostname: 'h', platformOs: 'linux', version: '1', executors: ['process'] },
      dialer: dialerTo([manager]),
      managers: [manager.place],
      saveManagers: () => undefined,
      files: host.files,
      executors: [host.executor],
      records: new FileRecords({
        folder: `${host.areas.runDir}/records`,
        bootId: 'boot',
        ...cluster,
      }),
      clock: realClock,
      timers: realTimers,
      random: realRandom,
      logger: SILENT_LOGGER,
    });
  }

  async function open(): Promise<FakeSession> {
    const known = manager.sessions.length;
    await agent.start();
    await until('Hello', () => (manager.sessions[known]?.all('hello').length ?? 0) > 0);
    manager.session.accept();
    return manager.session;
  }

  const SCRIPT =
    'trap "cat /run/secrets/password; echo" HUP; cat /run/secrets/password; echo; ' +
    'while :; do sleep 0.05; done';

  function assign(session: FakeSession, version: number, text: string): void {
    const onChange = { kind: 'signal', signal: 'HUP', command: '' };
    session.assign({
      tasks: [
        {
          id: task,
          bindings: [{ target: 'password', secretId: secret, version, onChange }],
          spec: { command: ['sh', '-c', SCRIPT], stopGraceMs: 2_000 },
        },
      ],
      values: { [`${secret}@${version}`]: { text, taskIds: [task] } },
    });
  }

  test('delivers, rotates, withdraws; the value is in the mount of its task and nowhere else', async () => {
    const session = await open();
    assign(session, 1, `${MARK}-one`);
    await until('RUNNING', () => session.states.includes(`${task} RUNNING`));
    const holders = filesWith(host.areas.runDir, MARK);
    const places = new Set(holders.map((path) => path.split('/').at(-2)));
    expect([...places].filter((name) => name !== '.gen-1' && name !== 'output')).toEqual([]);
    const output = () => outputOf(host, task);
    await until('its output', () => filesWith(`${host.areas.tasksDir}/${task}/output`, MARK)[0]);
    assign(session, 2, `${MARK}-two`);
    await until('reloaded', () => session.receipts.includes('password 2 reloaded'));
    await until('its output', () => filesWith(host.areas.tasksDir, `${MARK}-two\n`)[0]);
    expect(await output()).toBe(`${MARK}-one\n${MARK}-two\n`);
    session.assign({ tasks: [{ id: task, desiredState: 'SHUTDOWN' }] });
    await until('SHUTDOWN', () => session.states.includes(`${task} SHUTDOWN`));
    expect(filesWith(host.areas.runDir, MARK)).toEqual([]);
    expect(existsSync(host.files.taskDir(task))).toBe(false);
    expect(readFileSync('/proc/self/mountinfo', 'utf8')).not.toContain(task);
  });

  test('its task goes on without it and is adopted by the next one', async () => {
    const session = await open();
    assign(session, 1, `${MARK}-one`);
    await until('RUNNING', () => session.states.includes(`${task} RUNNING`));
    const started = readFileSync(`${host.files.taskDir(task)}/started`, 'utf8');
    await agent.stop({ keepTasks: true });
    host = await host.restart();
    agent = createAgent();
    const next = await open();
    assign(next, 1, `${MARK}-one`);
    assign(next, 2, `${MARK}-two`);
    await until('reloaded', () => next.receipts.includes('password 2 reloaded'));
    expect(readFileSync(`${host.files.taskDir(task)}/started`, 'utf8')).toBe(started);
  });

  test('wipes a task of before that the cluster does not know any more', async () => {
    const session = await open();
    assign(session, 1, `${MARK}-one`);
    await until('RUNNING', () => session.states.includes(`${task} RUNNING`));
    await agent.stop({ keepTasks: true });
    host = await host.restart();
    agent = createAgent();
    const next = await open();
    next.assign({});
    await until('wiped', () => !existsSync(host.files.taskDir(task)));
    expect(filesWith(host.areas.runDir, MARK)).toEqual([]);
  });

  test('a task that ends by itself takes its file with it', async () => {
    const session = await open();
    session.assign({
      tasks: [
        {
          id: task,
          bindings: [{ target: 'password', secretId: secret, version: 1 }],
          spec: { command: ['sh', '-c', 'test -s /run/secrets/password && echo why && exit 6'] },
        },
      ],
      values: { [`${secret}@1`]: { text: MARK, taskIds: [task] } },
    });
    await until('FAILED', () => session.states.includes(`${task} FAILED`));
    expect(session.all('taskReports').at(-1)?.reports.at(-1)).toMatchObject({ exitCode: 6 });
    expect(filesWith(host.areas.runDir, MARK)).toEqual([]);
    expect(readFileSync('/proc/self/mountinfo', 'utf8')).not.toContain(`${task}/files`);
    session.send({ logRequest: { request: 1, taskId: task, follow: true } });
    await until('the end', () => session.all('logReply').some(({ end }) => end));
    expect(session.all('logReply')[0]?.output.toString()).toBe('why\n');
    session.assign({ tasksRemoved: [task] });
    await until('forgotten', () => !existsSync(host.files.taskDir(task)));
    expect(readFileSync('/proc/self/mountinfo', 'utf8')).not.toContain(task);
  });
});
