import { beforeEach, describe, expect, test } from '@jest/globals';
import type { ServiceSpec } from '@conclave/wire';
import { bindingMessage, CALL, collect, specMessage, TestControl } from './cluster.js';

let control: TestControl;
beforeEach(async () => {
  control = await TestControl.open();
  await control.set('shop/db', 'x');
});

const code = (name: string): unknown => expect.objectContaining({ code: name });

function create(spec: ServiceSpec | null): ReturnType<TestControl['services']['create']> {
  return control.services.create({ spec, idempotencyKey: '' }, CALL);
}

const policy = { condition: '', attemptsMax: 0, windowMs: 0 };
const update = { parallelism: 0, delayMs: 0, order: '', failureAction: '' };
const onChange = { kind: '', signal: '', command: '' };

describe('create', () => {
  test('fills in every default', async () => {
    const { service } = await create(specMessage({ bindings: [bindingMessage()] }));
    const secretId = control.state.secretByName('shop/db')?.id;
    expect(service).toMatchObject({ specVersion: 1, desiredTasks: 1, runningTasks: 0 });
    expect(service?.spec).toEqual({
      name: 'web',
      runtime: 'process',
      command: ['/bin/web'],
      image: '',
      env: {},
      workingDirectory: '',
      user: '',
      mode: 'replicated',
      replicas: 1,
      replicasPerNodeMax: 0,
      bindings: [
        {
          secretId,
          secretName: 'shop/db',
          version: 0,
          target: 'db',
          uid: undefined,
          gid: undefined,
          mode: 0o400,
          onChange: { kind: 'none', signal: '', command: '' },
          optional: false,
        },
      ],
      constraints: [],
      restart: { condition: 'any', delayMs: 5_000, attemptsMax: 0, windowMs: 0 },
      update: { parallelism: 1, delayMs: 0, order: 'stop-first', failureAction: 'pause' },
      stopSignal: 'TERM',
      stopGraceMs: 10_000,
      labels: {},
    });
  });

  test('takes what it is told', async () => {
    const spec = specMessage({
      mode: 'replicated',
      replicas: 0,
      user: '1000:1001',
      workingDirectory: '/srv',
      env: { PATH: '/bin', _X1: '' },
      constraints: ['node.labels.zone == a', 'hostname!=b'],
      restart: { ...policy, condition: 'none', delayMs: 0 },
      update: { ...update, order: 'start-first', failureAction: 'rollback', parallelism: 3 },
      stopSignal: 'SIGQUIT',
      stopGraceMs: 0,
      bindings: [
        bindingMessage({ target: 'one', uid: 0, gid: 2 ** 32 - 2, mode: 0o755, version: 1 }),
        bindingMessage({
          target: 'two',
          onChange: { ...onChange, kind: 'signal', signal: 'sighup' },
        }),
        bindingMessage({ target: 'three', onChange: { ...onChange, kind: 'exec', command: 'x' } }),
      ],
    });
    const { service } = await create(spec);
    expect(service?.spec).toMatchObject({
      replicas: 0,
      user: '1000:1001',
      constraints: ['node.labels.zone==a', 'node.hostname!=b'],
      restart: { condition: 'none', delayMs: 0 },
      stopSignal: 'QUIT',
      stopGraceMs: 0,
    });
    expect(service?.spec?.bindings?.map((binding) => binding.onChange)).toEqual([
      { kind: 'none', signal: '', command: '' },
      { kind: 'signal', signal: 'HUP', command: '' },
      { kind: 'exec', signal: '', command: 'x' },
    ]);
  });

  test('refuses a missing spec and a taken name', async () => {
    await expect(create(null)).rejects.toEqual(code('CV_ARGUMENT_INVALID'));
    await create(specMessage());
    await expect(create(specMessage({ name: 'WEB' }))).rejects.toEqual(code('CV_NAME_TAKEN'));
  });

  test('says that containers are for another version', async () => {
    await expect(create(specMessage({ runtime: 'container', image: 'a' }))).rejects.toMatchObject({
      code: 'CV_UNSUPPORTED',
      message: expect.stringContaining('this version runs processes only') as unknown,
    });
  });

  const bad: [string, Partial<ServiceSpec>][] = [
    ['spec.command', { command: [] }],
    ['spec.command', { command: [''] }],
    ['spec.command', { command: ['a\0b'] }],
    ['spec.command', { command: Array<string>(257).fill('a') }],
    ['spec.command', { command: ['a'.repeat(70_000)] }],
    ['spec.runtime', { runtime: 'vm' }],
    ['spec.image', { image: 'nginx' }],
    ['spec.env', { env: { 'A-B': 'x' } }],
    ['spec.env', { env: { '1A': 'x' } }],
    ['spec.env', { env: { A: 'x\0' } }],
    ['spec.env', { env: { A: 'x'.repeat(70_000) } }],
    ['spec.user', { user: 'root' }],
    ['spec.user', { user: '700000' }],
    ['spec.user', { user: '33:765535' }],
    ['spec.user', { user: '4294967295' }],
    ['spec.user', { user: '1:2:3' }],
    ['spec.working_directory', { workingDirectory: 'relative' }],
    ['spec.working_directory', { workingDirectory: '/a/../b' }],
    ['spec.mode', { mode: 'some' }],
    ['spec.replicas', { replicas: 10_001 }],
    ['spec.replicas', { mode: 'global', replicas: 3 }],
    ['spec.replicas_per_node_max', { mode: 'global', replicasPerNodeMax: 3 }],
    ['spec.constraints[0]', { constraints: ['node.ip==1'] }],
    ['spec.constraints[1]', { constraints: ['node.id==1', 'labels.a=b'] }],
    ['spec.constraints', { constraints: Array<string>(33).fill('node.id==1') }],
    ['spec.restart.condition', { restart: { ...policy, condition: 'always' } }],
    ['spec.restart.delay_ms', { restart: { ...policy, delayMs: 2 ** 40 } }],
    ['spec.restart.attempts_max', { restart: { ...policy, attemptsMax: 101 } }],
    ['spec.update.order', { update: { ...update, order: 'both' } }],
    ['spec.update.failure_action', { update: { ...update, failureAction: 'x' } }],
    ['spec.stop_signal', { stopSignal: '15' }],
    ['spec.stop_signal', { stopSignal: 'STOP' }],
    ['spec.stop_grace_ms', { stopGraceMs: 3_600_001 }],
    ['labels', { labels: { ['k'.repeat(129)]: 'v' } }],
  ];
  test.each(bad)('names the field: %s', async (field, fields) => {
    await expect(create(specMessage(fields))).rejects.toMatchObject({
      code: 'CV_ARGUMENT_INVALID',
      message: expect.stringContaining(field) as unknown,
      details: { field },
    });
    expect(control.state.services()).toHaveLength(0);
  });

  const badBindings: [string, string, Partial<ServiceSpec['bindings'][number]>][] = [
    ['secret_name', 'CV_NAME_INVALID', { secretName: '' }],
    ['secret_name', 'CV_SECRET_NOT_FOUND', { secretName: 'nobody' }],
    ['secret_id', 'CV_ARGUMENT_INVALID', { secretId: 'of-another' }],
    ['version', 'CV_VERSION_NOT_FOUND', { version: 2 }],
    ['target', 'CV_ARGUMENT_INVALID', { target: '../x' }],
    ['target', 'CV_ARGUMENT_INVALID', { target: 'a\nb' }],
    ['target', 'CV_ARGUMENT_INVALID', { target: 'a'.repeat(256) }],
    ['secret_name', 'CV_SECRET_NOT_FOUND', { secretName: 'nobody', optional: true, version: 1 }],
    ['mode', 'CV_ARGUMENT_INVALID', { mode: 0o4755 }],
    ['mode', 'CV_ARGUMENT_INVALID', { mode: 0o777 }],
    ['uid', 'CV_ARGUMENT_INVALID', { uid: 2 ** 32 - 1 }],
    ['kind', 'CV_ARGUMENT_INVALID', { onChange: { ...onChange, kind: 'mail' } }],
    ['signal', 'CV_ARGUMENT_INVALID', { onChange: { ...onChange, kind: 'signal', signal: '1' } }],
    [
      'signal',
      'CV_ARGUMENT_INVALID',
      { onChange: { ...onChange, kind: 'signal', signal: 'KILL' } },
    ],
    ['signal', 'CV_ARGUMENT_INVALID', { onChange: { ...onChange, signal: 'HUP' } }],
    ['command', 'CV_ARGUMENT_INVALID', { onChange: { ...onChange, kind: 'exec' } }],
    ['command', 'CV_ARGUMENT_INVALID', { onChange: { ...onChange, command: 'x' } }],
  ];
  test.each(badBindings)(
    'refuses a binding by its %s with %s',
    async (field, errorCode, fields) => {
      await expect(
        create(specMessage({ bindings: [bindingMessage(fields)] })),
      ).rejects.toMatchObject({
        code: errorCode,
        message: expect.stringContaining('spec.bindings[0]') as unknown,
      });
      expect(field).not.toBe('');
    },
  );

  test('accepts an optional secret that does not exist yet, under its own name', async () => {
    const binding = bindingMessage({ secretName: 'not/yet', target: '', optional: true });
    const { service } = await create(specMessage({ bindings: [binding] }));
    expect(service?.spec?.bindings).toMatchObject([
      { secretId: '', secretName: 'not/yet', target: 'yet', optional: true },
    ]);
  });

  test('refuses two bindings with one target, accepts one secret at two', async () => {
    const bindings = [bindingMessage(), bindingMessage({ target: 'db' })];
    await expect(create(specMessage({ bindings }))).rejects.toMatchObject({
      details: { field: 'spec.bindings[1].target' },
    });
    await create(
      specMessage({ bindings: [bindingMessage(), bindingMessage({ target: 'other' })] }),
    );
  });

  test('with a repeated key makes one service', async () => {
    const request = { spec: specMessage(), idempotencyKey: 'key' };
    const first = await control.services.create(request, CALL);
    expect(await control.services.create(request, CALL)).toEqual(first);
    // The same request, although what its names stand for has changed.
    const bound = { ...request, idempotencyKey: 'bound' };
    const awaited = bindingMessage({
      secretId: '',
      secretName: 'late',
      target: 'late',
      optional: true,
    });
    bound.spec = specMessage({ name: 'bound', bindings: [awaited] });
    const { index } = await control.services.create(bound, CALL);
    await control.set('late', 'x');
    expect((await control.services.create(bound, CALL)).index).toBe(index);
    const other = { ...request, spec: specMessage({ command: ['/bin/other'] }) };
    await expect(control.services.create(other, CALL)).rejects.toEqual(
      code('CV_IDEMPOTENCY_REUSED'),
    );
  });
});

describe('update and scale', () => {
  test('an answer can be sent back as it is', async () => {
    const { service } = await create(
      specMessage({ mode: 'global', bindings: [bindingMessage()], constraints: ['labels.a!=b'] }),
    );
    const spec = (await control.services.get({ service: 'web', stale: false }, CALL)).spec;
    const objectVersion = service?.objectVersion ?? 0;
    const sent = JSON.parse(JSON.stringify(spec)) as ServiceSpec;
    const request = { service: 'web', spec: sent, objectVersion, idempotencyKey: '' };
    const after = await control.services.update(request, CALL);
    expect(after.service).toMatchObject({ specVersion: 1, objectVersion });
  });

  test('needs spec and version, refuses another name, mode, or a stale version', async () => {
    const { service } = await create(specMessage());
    const objectVersion = service?.objectVersion ?? 0;
    const send = (spec: ServiceSpec | null, version = objectVersion): Promise<unknown> =>
      control.services.update(
        { service: 'web', spec, objectVersion: version, idempotencyKey: '' },
        CALL,
      );
    await expect(send(null)).rejects.toEqual(code('CV_ARGUMENT_INVALID'));
    await expect(send(specMessage(), 0)).rejects.toEqual(code('CV_ARGUMENT_INVALID'));
    await expect(send(specMessage({ name: 'other' }))).rejects.toMatchObject({
      message: 'spec.name cannot change',
    });
    await expect(send(specMessage({ mode: 'global' }))).rejects.toMatchObject({
      message: 'spec.mode cannot change',
    });
    await expect(send(specMessage(), objectVersion + 1)).rejects.toEqual(code('CV_VERSION_STALE'));
    await send(specMessage({ command: ['/bin/new'] }));
    expect(control.state.serviceByName('web')).toMatchObject({ specVersion: 2 });
  });

  test('a pin to a version that was destroyed by force may stay in an update', async () => {
    const bindings = [bindingMessage({ version: 1 })];
    await create(specMessage({ bindings }));
    await control.set('shop/db', 'y');
    const destroy = { secret: 'shop/db', version: 1, force: true, idempotencyKey: '' };
    await control.secrets.destroyVersion(destroy, CALL);
    const { objectVersion = 0 } = await control.services.get(
      { service: 'web', stale: false },
      CALL,
    );
    const spec = specMessage({ bindings, command: ['/bin/new'] });
    const request = { service: 'web', spec, objectVersion, idempotencyKey: '' };
    await control.services.update(request, CALL);
    await expect(create(specMessage({ name: 'two', bindings }))).rejects.toEqual(
      code('CV_VERSION_NOT_FOUND'),
    );
  });

  test('scale changes the number only, even when something else came in between', async () => {
    const { service } = await create(specMessage());
    const row = control.state.serviceByName('web');
    if (row === undefined) throw new Error('no service');
    control.beforeApply = () => {
      const spec = { ...row.spec, command: ['/bin/new'] };
      control.apply({ kind: 'service.update', id: row.id, spec, objectVersion: 0 });
    };
    const scale = { service: 'web', replicas: 7, idempotencyKey: '' };
    const after = await control.services.scale(scale, CALL);
    expect(after.service?.spec).toMatchObject({ replicas: 7, command: ['/bin/new'] });
    expect(after.service?.id).toBe(service?.id);
    await expect(control.services.scale({ ...scale, replicas: 10_001 }, CALL)).rejects.toEqual(
      code('CV_ARGUMENT_INVALID'),
    );
    await create(specMessage({ name: 'all', mode: 'global' }));
    await expect(control.services.scale({ ...scale, service: 'all' }, CALL)).rejects.toEqual(
      code('CV_ARGUMENT_INVALID'),
    );
    await expect(control.services.scale({ ...scale, service: 'none' }, CALL)).rejects.toEqual(
      code('CV_SERVICE_NOT_FOUND'),
    );
  });
});

describe('get, list, remove, logs', () => {
  test('list by prefix and label', async () => {
    for (const name of ['web10', 'web2', 'db']) {
      await create(specMessage({ name, labels: name === 'db' ? { tier: 'back' } : {} }));
    }
    const list = async (namePrefix: string, labels: Record<string, string>): Promise<unknown> =>
      (await collect(control.services.list({ namePrefix, labels, stale: true }, CALL)))
        .flatMap((page) => page.services ?? [])
        .map((service) => service.spec?.name);
    expect(await list('web', {})).toEqual(['web2', 'web10']);
    expect(await list('', { tier: 'back' })).toEqual(['db']);
    expect(await list('zzz', {})).toEqual([]);
  });

  test('counts running tasks, and nothing is wanted while it is being removed', async () => {
    const nodeId = control.addWorker('w1');
    const { service } = await create(specMessage());
    const taskId = control.addTask(service?.id ?? '', nodeId);
    const report = {
      state: 'RUNNING',
      message: '',
      error: '',
      exitCode: undefined,
      atMs: 1,
    } as const;
    control.apply({ kind: 'tasks.report', reports: [{ nodeId, taskId, ...report }] });
    const get = { service: 'web', stale: false };
    expect(await control.services.get(get, CALL)).toMatchObject({
      runningTasks: 1,
      desiredTasks: 1,
    });
    await control.services.remove({ service: 'web', idempotencyKey: '' }, CALL);
    expect(await control.services.get(get, CALL)).toMatchObject({
      desiredTasks: 0,
      updateMessage: 'being removed',
    });
  });

  test('remove is NOT FOUND for what is not there', async () => {
    const remove = { service: 'none', idempotencyKey: '' };
    await expect(control.services.remove(remove, CALL)).rejects.toEqual(
      code('CV_SERVICE_NOT_FOUND'),
    );
    await expect(control.services.remove({ ...remove, service: '' }, CALL)).rejects.toEqual(
      code('CV_ARGUMENT_INVALID'),
    );
  });

  test('logs come from where the tasks are', async () => {
    const request = { service: 'web', task: '', tailLines: 0, follow: false };
    expect(await collect(control.services.logs(request, CALL))).toEqual([
      { taskId: 't', stream: 'stdout' },
    ]);
  });
});
