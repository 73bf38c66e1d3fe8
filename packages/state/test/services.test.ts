import { describe, expect, test } from '@jest/globals';
import { desiredAssignments } from '../src/index.js';
import type { ServiceSpec } from '../src/index.js';
import { Bench, bindingSpec, serviceSpec } from './support/bench.js';

const create = (id: string, fields: Partial<ServiceSpec>) =>
  ({ kind: 'service.create', id, spec: serviceSpec(fields) }) as const;
const update = (id: string, fields: Partial<ServiceSpec>, objectVersion = 0) =>
  ({ kind: 'service.update', id, spec: serviceSpec(fields), objectVersion }) as const;

describe('creating a service', () => {
  test('keeps the spec at version 1', () => {
    const bench = new Bench();
    expect(bench.ok(create('s1', { name: 'web' }))).toEqual({ id: 's1', specVersion: 1 });
    expect(bench.state.serviceByName('WEB')).toMatchObject({
      id: 's1',
      specVersion: 1,
      updateState: '',
      isRemoving: false,
      previousSpec: undefined,
    });
  });

  test('a taken name is refused even with the same spec, in any case', () => {
    const bench = new Bench();
    bench.ok(create('s1', { name: 'web' }));
    bench.no('CV_NAME_TAKEN', create('s2', { name: 'web' }));
    bench.no('CV_NAME_TAKEN', create('s2', { name: 'Web' }));
    bench.no('CV_ARGUMENT_INVALID', create('s1', { name: 'other' }));
  });

  test('bindings name a secret that exists, by its id and its name', () => {
    const bench = new Bench();
    bench.set('a', 1);
    const withBinding = (binding: ServiceSpec['bindings'][number]) =>
      create('s1', { bindings: [binding] });
    bench.no('CV_SECRET_NOT_FOUND', withBinding(bindingSpec({ secretId: 'id-b' })));
    const wrongName = bindingSpec({ secretId: 'id-a', secretName: 'b' });
    const refusal = bench.no('CV_ARGUMENT_INVALID', withBinding(wrongName));
    expect(refusal.details).toEqual({ field: 'bindings[0]' });
    bench.no('CV_VERSION_NOT_FOUND', withBinding(bindingSpec({ secretId: 'id-a', version: 2 })));
    bench.ok(withBinding(bindingSpec({ secretId: 'id-a', secretName: 'A', version: 1 })));
  });

  test('an optional binding may wait for a secret, and gets it with the entry that makes it', () => {
    const bench = new Bench();
    bench.node('n1');
    const awaited = bindingSpec({ secretId: '', secretName: 'Late', target: 'late' });
    bench.no('CV_SECRET_NOT_FOUND', create('s1', { bindings: [awaited] }));
    const optional = { ...awaited, isOptional: true };
    const pinned = create('s1', { bindings: [{ ...optional, version: 3 }] });
    bench.no('CV_SECRET_NOT_FOUND', pinned);
    bench.service('web', { bindings: [optional] });
    bench.service('other', { bindings: [{ ...optional, secretName: 'later' }] });
    bench.task('t1', 'service-web', 'n1');
    const before = bench.state.taskById('t1')?.objectVersion ?? 0;
    expect(desiredAssignments(bench.state, 'n1')).toMatchObject({
      tasks: [{ undeliverable: '', bindings: [{ version: 0 }] }],
      versions: [],
    });
    bench.set('late', 1);
    expect(desiredAssignments(bench.state, 'n1').versions).toEqual([
      { secretId: 'id-late', version: 1 },
    ]);
    expect(bench.state.taskById('t1')?.objectVersion).toBeGreaterThan(before);
    expect(bench.state.servicesUsingSecret('id-late').map(({ spec }) => spec.name)).toEqual([
      'web',
    ]);
    expect(bench.state.exposureOfNode('n1')).toMatchObject([{ secretId: 'id-late', version: 1 }]);
    const users = bench.no('CV_SECRET_IN_USE', { kind: 'secret.remove', id: 'id-late' });
    expect(users.message).toMatch(/service web/);
  });

  test('an optional binding that was checked before its secret was made finds it', () => {
    const bench = new Bench();
    bench.set('late', 1);
    const awaited = bindingSpec({
      secretId: '',
      secretName: 'late',
      target: 'x',
      isOptional: true,
    });
    bench.ok(create('s1', { bindings: [awaited] }));
    expect(bench.state.serviceById('s1')?.spec.bindings[0]?.secretId).toBe('id-late');
    bench.ok(update('s1', { bindings: [awaited], replicas: 2 }));
    expect(bench.state.serviceById('s1')).toMatchObject({
      specVersion: 1,
      spec: { replicas: 2, bindings: [{ secretId: 'id-late' }] },
    });
  });

  test('a secret may have two targets, a target only one secret', () => {
    const bench = new Bench();
    bench.set('a', 1);
    bench.set('b', 2);
    const a = bindingSpec({ secretId: 'id-a' });
    const clash = bindingSpec({ secretId: 'id-b', target: 'a' });
    const refusal = bench.no('CV_ARGUMENT_INVALID', create('s1', { bindings: [a, clash] }));
    expect(refusal.details).toEqual({ field: 'bindings[1]' });
    bench.ok(create('s1', { bindings: [a, { ...a, target: 'second' }] }));
    expect(bench.state.servicesUsingSecret('id-a').map((row) => row.id)).toEqual(['s1']);
  });
});

describe('updating a service', () => {
  test('raises the spec version when tasks must follow, not for replicas', () => {
    const bench = new Bench();
    bench.ok(create('s1', { command: ['/bin/a'] }));
    expect(bench.ok(update('s1', { command: ['/bin/a'], replicas: 5 }))).toMatchObject({
      specVersion: 1,
      unchanged: false,
    });
    expect(bench.state.serviceById('s1')).toMatchObject({ updateState: '', specVersion: 1 });
    bench.ok(update('s1', { command: ['/bin/b'], replicas: 5 }));
    const row = bench.state.serviceById('s1');
    expect(row).toMatchObject({ specVersion: 2, updateState: 'updating' });
    expect(row?.previousSpec).toMatchObject({ command: ['/bin/a'], replicas: 5 });
  });

  test('the same spec changes nothing', () => {
    const bench = new Bench();
    bench.ok(create('s1', {}));
    const digest = bench.state.digest();
    expect(bench.ok(update('s1', {}))).toMatchObject({ unchanged: true });
    expect(bench.state.digest()).toBe(digest);
  });

  test('name and mode cannot change', () => {
    const bench = new Bench();
    bench.ok(create('s1', {}));
    const name = bench.no('CV_ARGUMENT_INVALID', update('s1', { name: 'other' }));
    expect(name.details).toEqual({ field: 'name' });
    const mode = bench.no('CV_ARGUMENT_INVALID', update('s1', { mode: 'global' }));
    expect(mode.details).toEqual({ field: 'mode' });
  });

  test('needs the current object version, an existing service and sound bindings', () => {
    const bench = new Bench();
    bench.ok(create('s1', {}));
    const read = bench.state.appliedIndex;
    bench.ok(update('s1', { replicas: 2 }, read));
    const refusal = bench.no('CV_VERSION_STALE', update('s1', { replicas: 3 }, read));
    expect(refusal.details).toEqual({ current: read + 1 });
    bench.no('CV_SERVICE_NOT_FOUND', update('s2', {}));
    const bindings = [bindingSpec({ secretId: 'id-a' })];
    bench.no('CV_SECRET_NOT_FOUND', update('s1', { bindings }));
  });

  test('a pin that was there before may stay when its version was destroyed by force', () => {
    const bench = new Bench();
    bench.set('a', 1);
    bench.set('a', 2);
    const bindings = [bindingSpec({ secretId: 'id-a', version: 1 })];
    bench.ok(create('s1', { bindings }));
    bench.ok({ kind: 'secret.destroy-version', id: 'id-a', version: 1, force: true });
    bench.ok(update('s1', { bindings, replicas: 3 }));
    bench.no('CV_VERSION_NOT_FOUND', create('s2', { name: 'other', bindings }));
  });
});

describe('the state of an update', () => {
  test('is noted for the spec it is about only', () => {
    const bench = new Bench();
    bench.ok(create('s1', {}));
    bench.ok(update('s1', { user: 'app' }));
    const note = (specVersion: number) =>
      ({
        kind: 'service.update-state',
        id: 's1',
        specVersion,
        state: 'paused',
        message: 'task failed',
      }) as const;
    bench.no('CV_VERSION_STALE', note(1));
    expect(bench.ok(note(2))).toMatchObject({ unchanged: false });
    expect(bench.ok(note(2))).toMatchObject({ unchanged: true });
    expect(bench.state.serviceById('s1')).toMatchObject({
      updateState: 'paused',
      updateMessage: 'task failed',
    });
    bench.no('CV_SERVICE_NOT_FOUND', { ...note(2), id: 'nobody' });
  });
});

describe('going back to the spec before', () => {
  const rollback = { kind: 'service.rollback', id: 's1', specVersion: 2, reason: 'why' } as const;
  const policy = { ...serviceSpec().update, failureAction: 'rollback' } as const;
  const bindings = [bindingSpec({ secretId: 'id-a' })];

  test('keeps the number of tasks that is wanted now, in one entry', () => {
    const bench = new Bench();
    bench.ok(create('s1', { user: 'old' }));
    bench.no('CV_VERSION_STALE', { ...rollback, specVersion: 1 });
    bench.ok(update('s1', { user: 'new', replicas: 4 }));
    bench.no('CV_VERSION_STALE', { ...rollback, specVersion: 1 });
    bench.ok(rollback);
    expect(bench.state.serviceById('s1')).toMatchObject({
      spec: { user: 'old', replicas: 4 },
      previousSpec: { user: 'new' },
      specVersion: 3,
      updateState: 'rolled-back',
      updateMessage: 'rolled back: why',
    });
    bench.no('CV_SERVICE_NOT_FOUND', { ...rollback, id: 'nobody' });
  });

  test('a secret stays in use while the update may still fail', () => {
    const bench = new Bench();
    bench.set('a', 1);
    bench.ok(create('s1', { bindings, update: policy }));
    bench.ok(update('s1', { update: policy }));
    bench.no('CV_SECRET_IN_USE', { kind: 'secret.remove', id: 'id-a' });
    const done = { kind: 'service.update-state', id: 's1', specVersion: 2, message: '' } as const;
    bench.ok({ ...done, state: 'completed' });
    bench.ok({ kind: 'secret.remove', id: 'id-a' });
  });

  test('is a pause when a secret of that spec is gone', () => {
    const bench = new Bench();
    bench.set('a', 1);
    bench.ok(create('s1', { bindings }));
    bench.ok(update('s1', {}));
    bench.ok({ kind: 'secret.remove', id: 'id-a' });
    expect(bench.ok(rollback)).toMatchObject({ rolledBack: false });
    expect(bench.state.serviceById('s1')).toMatchObject({
      spec: { bindings: [] },
      specVersion: 2,
      updateState: 'paused',
      updateMessage: 'paused: cannot roll back: CV_SECRET_NOT_FOUND; why',
    });
  });
});

describe('removing a service', () => {
  test('without tasks it goes at once', () => {
    const bench = new Bench();
    bench.ok(create('s1', {}));
    bench.ok({ kind: 'service.remove', id: 's1' });
    expect(bench.state.serviceById('s1')).toBeUndefined();
    bench.no('CV_SERVICE_NOT_FOUND', { kind: 'service.remove', id: 's1' });
  });

  test('with tasks it goes with the last one', () => {
    const bench = new Bench();
    bench.node('n1');
    const id = bench.service('web');
    bench.task('t1', id, 'n1');
    bench.task('t2', id, 'n1');
    bench.ok({ kind: 'service.remove', id });
    expect(bench.state.serviceById(id)?.isRemoving).toBe(true);
    expect(bench.ok({ kind: 'service.remove', id })).toMatchObject({ unchanged: true });
    bench.no('CV_SERVICE_NOT_FOUND', update(id, { replicas: 4 }));
    bench.no('CV_NAME_TAKEN', create('s2', { name: 'web' }));
    const create3 = { slot: 1, nodeId: '', specVersion: 1, notBeforeMs: 0, message: '' };
    expect(bench.schedule({ kind: 'create', id: 't3', serviceId: id, ...create3 })).toEqual({
      applied: 0,
      skipped: 1,
    });
    for (const task of ['t1', 't2']) {
      bench.report(task, 'SHUTDOWN');
      expect(bench.state.serviceById(id)).toBeDefined();
      bench.schedule({ kind: 'delete', id: task });
    }
    expect(bench.state.serviceById(id)).toBeUndefined();
    bench.ok(create('s2', { name: 'web' }));
  });
});
