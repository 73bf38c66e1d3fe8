import { describe, expect, test } from '@jest/globals';
import type { ServiceSpecInput } from '@conclave/client';
import { serviceOf, specOf, taskOf } from './support/objects.js';
import { failure, runCommand } from './support/run-command.js';
import type { Outcome } from './support/run-command.js';

const response = { service: serviceOf(), index: 12 };
const create = (...words: string[]): Promise<Outcome> =>
  runCommand(['service', 'create', ...words], {
    answers: { 'services.create': response },
    env: { FROM_HERE: 'here' },
  });
const specSent = (outcome: Outcome): ServiceSpecInput =>
  outcome.calls.at(-1)?.arguments[0] as ServiceSpecInput;

describe('service create', () => {
  test('the line of the product screen', async () => {
    const line = 'web --replicas 3 --secret shop/db --on-change signal:HUP -- ./server';
    const outcome = await create(...line.split(' '));
    expect(outcome.stderr).toBe('');
    expect(outcome.stdout).toBe('web created at index 12, 3 tasks wanted\n');
    expect(specSent(outcome)).toEqual({
      name: 'web',
      mode: 'replicated',
      runtime: 'process',
      replicas: 3,
      command: ['./server'],
      env: {},
      labels: {},
      constraints: [],
      bindings: [
        { secretName: 'shop/db', version: 0, onChange: { kind: 'signal', signal: 'HUP' } },
      ],
    });
  });

  test('every option', async () => {
    const options = [
      'web --replicas 2 --replicas-max-per-node 1 --secret k@2 --env A=b=c --env FROM_HERE',
      '--secret shop/db:target=x,mode=0440,on-change=exec:a,b --constraint node.labels.disk!=slow',
      '--label k=v --restart-condition on-failure --restart-delay 1s --restart-attempts 3',
      '--restart-window 1m --update-parallelism 2 --update-delay 5s --update-order start-first',
      '--update-failure-action rollback --stop-signal SIGINT --stop-grace 3s --user 1000:1000',
      '--workdir /srv',
    ];
    const command = ['--', 'sh', '-c', 'exec x --replicas 9'];
    const outcome = await create(
      ...options.join(' ').split(' '),
      '--constraint',
      'node.hostname == h1',
      ...command,
    );
    expect(outcome.stderr).toBe('');
    expect(specSent(outcome)).toEqual({
      name: 'web',
      mode: 'replicated',
      runtime: 'process',
      replicas: 2,
      replicasPerNodeMax: 1,
      command: ['sh', '-c', 'exec x --replicas 9'],
      env: { A: 'b=c', FROM_HERE: 'here' },
      labels: { k: 'v' },
      constraints: ['node.labels.disk!=slow', 'node.hostname==h1'],
      bindings: [
        { secretName: 'k', version: 2 },
        {
          secretName: 'shop/db',
          version: 0,
          target: 'x',
          mode: 0o440,
          onChange: { kind: 'exec', command: 'a,b' },
        },
      ],
      restart: { condition: 'on-failure', delayMs: 1_000, attemptsMax: 3, windowMs: 60_000 },
      update: { parallelism: 2, delayMs: 5_000, order: 'start-first', failureAction: 'rollback' },
      stopSignal: 'INT',
      stopGraceMs: 3_000,
      user: '1000:1000',
      workingDirectory: '/srv',
    });
  });

  test('an image makes a container, which needs no command', async () => {
    const outcome = await create('web', '--image', 'nginx:1');
    expect(specSent(outcome)).toMatchObject({
      runtime: 'container',
      image: 'nginx:1',
      command: [],
    });
  });

  test('global has no replicas', async () => {
    expect(specSent(await create('web', '--mode', 'global', '--', 'x'))).not.toHaveProperty(
      'replicas',
    );
    expect((await create('web', '--mode', 'global', '--replicas', '2', '--', 'x')).code).toBe(64);
  });

  test.each([
    [['web'], 'needs a command'],
    [['web', '--replicas', '-1', '--', 'x'], '--replicas must be a whole number'],
    [['web', '--replicas', '10001', '--', 'x'], '--replicas must be a whole number'],
    [['web', '--secret', 'a/x', '--secret', 'b/x', '--', 'x'], 'would both be the file x'],
    [['web', '--secret', 'a:target=x', '--secret', 'x', '--', 'x'], 'would both be the file x'],
    [['web', '--secret', 'a//b', '--', 'x'], 'empty segment'],
    [['web', '--env', 'ABSENT', '--', 'x'], '--env number 1 must be KEY=VALUE'],
    [['web', '--env', 'A=1', '--env', 'A=2', '--', 'x'], '--env number 2 repeats a key'],
    [['web', '--constraint', 'node.id=x', '--', 'x'], '--constraint number 1 must be'],
    [['web', '--restart-delay', '5', '--', 'x'], '--restart-delay must be a duration'],
    [['web', '--restart-condition', 'always', '--', 'x'], 'none, on-failure, any'],
    [['web', '--stop-signal', 'hup', '--', 'x'], '--stop-signal'],
    [['web', '--user', 'root', '--', 'x'], '--user must be'],
    [['web', '--mode', 'some', '--', 'x'], '--mode must be'],
    [['web', '--on-change', 'later', '--secret', 'a', '--', 'x'], '--on-change'],
    [[], 'missing required argument'],
  ])('%j is refused before anything is asked', async (words, message) => {
    const { code, connected, stderr } = await create(...words);
    expect(code).toBe(64);
    expect(stderr).toContain(message);
    expect(connected).toEqual([]);
  });

  test('no error repeats the value of a variable', async () => {
    const { stderr } = await create('web', '--env', '=MARKER-env', '--', 'x');
    expect(stderr).not.toContain('MARKER');
  });

  test('what the cluster does not do is told in its words', async () => {
    const { code, stderr } = await runCommand(['service', 'create', 'web', '--image', 'x'], {
      answers: { 'services.create': failure('CV_UNSUPPORTED', 'containers are not supported') },
    });
    expect(code).toBe(64);
    expect(stderr).toContain('error: containers are not supported\n');
  });
});

describe('service update', () => {
  const update = (...words: string[]): Promise<Outcome> =>
    runCommand(['service', 'update', 'web', ...words], {
      answers: { 'services.get': serviceOf(), 'services.update': response },
    });
  const changed = async (...words: string[]): Promise<ServiceSpecInput> => {
    const outcome = await update(...words);
    expect(outcome.stderr).toBe('');
    const [id, change] = (outcome.calls.at(-1)?.arguments ?? []) as [
      string,
      { spec: ServiceSpecInput },
    ];
    expect(id).toBe(serviceOf().id);
    expect(change).toMatchObject({ objectVersion: 50 });
    return change.spec;
  };

  test('keeps what is not named', async () => {
    expect(await changed('--replicas', '5')).toEqual({ ...specOf(), replicas: 5 });
    expect(await changed('--restart-delay', '1s')).toMatchObject({
      restart: { condition: 'any', delayMs: 1_000 },
    });
  });

  test('adds, replaces and takes away', async () => {
    const words =
      '--secret-add new --secret-add other:target=db --env-add B=2 --env-rm MODE ' +
      '--label-add a=b --constraint-add node.role==worker';
    const spec = await changed(...words.split(' '));
    expect(spec.bindings).toEqual([
      { secretName: 'new', version: 0 },
      { secretName: 'other', version: 0, target: 'db' },
    ]);
    expect(spec).toMatchObject({
      env: { B: '2' },
      labels: { a: 'b' },
      constraints: ['node.role==worker'],
    });
    expect((await changed('--secret-rm', 'shop/db')).bindings).toEqual([]);
    expect((await changed('--secret-rm', 'db')).bindings).toEqual([]);
  });

  test('replaces the command', async () => {
    expect((await changed('--', './other', 'x')).command).toEqual(['./other', 'x']);
  });

  test('a binding that is not there cannot be taken away', async () => {
    const { code, stderr } = await update('--secret-rm', 'nothing');
    expect(code).toBe(64);
    expect(stderr).toContain('has no binding nothing');
  });
});

describe('service scale', () => {
  const scale = (...words: string[]): Promise<Outcome> =>
    runCommand(['service', 'scale', ...words], { answers: { 'services.scale': response } });

  test('takes several', async () => {
    const { calls, stdout } = await scale('web=5', 'job=0');
    expect(calls.map(({ arguments: words }) => words.slice(0, 2))).toEqual([
      ['web', 5],
      ['job', 0],
    ]);
    expect(stdout).toContain('web scaled to 5 at index 12, 3 tasks wanted\n');
  });

  test('JSON is a list, also when a later one fails', async () => {
    const both = await scale('web=5', 'job=0', '-o', 'json');
    expect(JSON.parse(both.stdout)).toMatchObject([{ name: 'web' }, { name: 'web' }]);
    let count = 0;
    const { code, stdout } = await runCommand(['service', 'scale', 'a=1', 'b=1', '-o', 'yaml'], {
      answers: {
        'services.scale': () => {
          count += 1;
          if (count === 2) throw failure('CV_SERVICE_NOT_FOUND');
          return response;
        },
      },
    });
    expect(code).toBe(66);
    expect(stdout).toContain('- id: bbbbbbbbbbbbbbbbbbbbbbbbbb\n');
  });

  test.each(['web', 'web=', '=5', 'web=x', 'web=99999'])('%s is refused', async (word) => {
    const { code, connected } = await scale('ok=1', word);
    expect(code).toBe(64);
    expect(connected).toEqual([]);
  });
});

describe('what is shown', () => {
  test('service ls', async () => {
    const { stdout } = await runCommand(['service', 'ls'], {
      answers: { 'services.list': [serviceOf(), serviceOf({ id: 'x', spec: null })] },
    });
    expect(stdout).toBe(
      [
        'NAME   MODE         TASKS   SECRETS   RUNS                 UPDATE   CHANGED',
        '                    2/3     0                              -        2h ago',
        'web    replicated   2/3     1         ./server --port 80   -        2h ago',
        '',
      ].join('\n'),
    );
  });

  test('service inspect', async () => {
    const answers = { 'services.get': serviceOf() };
    const { stdout } = await runCommand(['service', 'inspect', 'web', '-o', 'json'], { answers });
    expect(JSON.parse(stdout)).toMatchObject({
      name: 'web',
      spec: { command: ['./server', '--port', '80'] },
    });
    const { stdout: yaml } = await runCommand(['service', 'inspect', 'web'], { answers });
    expect(yaml).toContain('    - secretId: aaaaaaaaaaaaaaaaaaaaaaaaaa\n');
  });

  const tasks = [
    taskOf({ id: 'old', createdAtMs: 1, state: 'FAILED', error: 'exited', exitCode: 3 }),
    taskOf({ id: 'new' }),
    taskOf({ id: 'ten', slot: 10, nodeHostname: '', state: 'PENDING', message: 'no node fits' }),
    taskOf({ id: 'glob', slot: 0 }),
  ];

  test('service ps: by slot, newest first', async () => {
    const { calls, stdout } = await runCommand(['service', 'ps', 'web', '--live'], {
      answers: { 'tasks.list': tasks },
    });
    expect(stdout).toBe(
      [
        'TASK   NAME         NODE     STATE     WANTED    SINCE     DETAIL',
        'new    web.1        host-1   RUNNING   RUNNING   50s ago   started',
        'old    web.1        host-1   FAILED    RUNNING   50s ago   exited, exit code 3',
        'ten    web.10       -        PENDING   RUNNING   50s ago   no node fits',
        'glob   web@host-1   host-1   RUNNING   RUNNING   50s ago   started',
        '',
      ].join('\n'),
    );
    expect(calls[0]?.arguments[0]).toMatchObject({ service: 'web', isLiveOnly: true });
  });

  test('task ls and task inspect', async () => {
    const list = await runCommand(['task', 'ls', '--node', 'self', '-q', '-f', 'state=failed'], {
      answers: { 'tasks.list': tasks },
    });
    expect(list.stdout).toBe('old\n');
    expect(list.calls[0]?.arguments[0]).toMatchObject({ service: '', node: 'self' });
    const one = await runCommand(['task', 'inspect', 'new', '--format', '{{.name}} {{.state}}'], {
      answers: { 'tasks.get': taskOf() },
    });
    expect(one.stdout).toBe('web.1 RUNNING\n');
  });

  test('service rm', async () => {
    const { stdout } = await runCommand(['service', 'rm', 'web', '-y', '-o', 'json'], {
      answers: { 'services.remove': { index: 3 } },
    });
    expect(JSON.parse(stdout)).toEqual([{ name: 'web', index: 3 }]);
  });
});

describe('service logs', () => {
  const chunk = (taskId: string, stream: string, text: string, notice = ''): object => ({
    taskId,
    nodeId: 'node1',
    stream,
    output: new TextEncoder().encode(text),
    notice,
  });
  const tasks = [
    taskOf({ id: 't1' }),
    taskOf({ id: 't2', slot: 2 }),
    taskOf({ id: 't3', slot: 0 }),
  ];

  test('whole lines, told apart, each on its stream', async () => {
    const answers = {
      'tasks.list': tasks,
      'services.logs': [
        chunk('t1', 'stdout', 'one\ntw'),
        chunk('t2', 'stdout', 'other\n'),
        chunk('t1', 'stdout', 'o\n\nend'),
        chunk('t1', 'stderr', 'bad\n'),
        chunk('t3', 'stdout', 'global\n'),
        chunk('', '', '', 'host-9 does not answer'),
        chunk('t1', '', '', 'host-9 does not answer'),
      ],
    };
    const { calls, code, stderr, stdout } = await runCommand(
      ['service', 'logs', 'web', '--tail', '5', '--task', 't1'],
      { answers },
    );
    expect(code).toBe(0);
    expect(stdout).toBe(
      [
        'web.1@host-1 | one',
        'web.2@host-1 | other',
        'web.1@host-1 | two',
        'web.1@host-1 | ',
        'web@host-1 | global',
        'web.1@host-1 | end',
        '',
      ].join('\n'),
    );
    expect(stderr).toBe('web.1@host-1 | bad\nnote: host-9 does not answer\n');
    expect(calls.at(-1)?.arguments[1]).toMatchObject({
      tailLines: 5,
      task: 't1',
      isFollowing: false,
    });
  });

  test('a line without end is cut, not kept for ever', async () => {
    const long = 'x'.repeat(70_000);
    const answers = { 'tasks.list': tasks, 'services.logs': [chunk('t1', 'stdout', long)] };
    const { stdout } = await runCommand(['service', 'logs', 'web'], { answers });
    expect(stdout.replaceAll('web.1@host-1 | ', '').replaceAll('\n', '')).toBe(long);
    expect(stdout.split('\n').map(({ length }) => length)).toEqual([65_551, 4_479, 0]);
  });

  test('a terminal is not at the mercy of a task', async () => {
    const answers = {
      'tasks.list': tasks,
      'services.logs': [chunk('t1', 'stdout', '\u001b[2Jx\n')],
    };
    const terminal = await runCommand(['service', 'logs', 'web'], { answers, isTerminal: true });
    expect(terminal.stdout).toBe('web.1@host-1 | \ufffd[2Jx\n');
    const pipe = await runCommand(['service', 'logs', 'web'], { answers });
    expect(pipe.stdout).toBe('web.1@host-1 | \u001b[2Jx\n');
  });

  test('Ctrl-C ends --follow without an error', async () => {
    const cancelled = failure('CV_CANCELLED');
    const answers = {
      'tasks.list': tasks,
      'services.logs': [chunk('t1', 'stdout', 'x\n'), cancelled],
    };
    expect((await runCommand(['service', 'logs', 'web', '-F'], { answers })).code).toBe(0);
    expect((await runCommand(['service', 'logs', 'web'], { answers })).code).toBe(69);
  });
});
