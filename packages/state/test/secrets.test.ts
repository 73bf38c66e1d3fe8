import { describe, expect, test } from '@jest/globals';
import { limits } from '@conclave/kernel';
import { restoreState } from '../src/index.js';
import { adminFields, Bench, bindingSpec, valueBytes } from './support/bench.js';

const rollback = (id: string, version: number) =>
  ({ kind: 'secret.rollback', id, version }) as const;
const destroy = (id: string, version: number, force = false) =>
  ({ kind: 'secret.destroy-version', id, version, force }) as const;

describe('setting a secret', () => {
  test('creates it, then its next version, and moves the pointer', () => {
    const bench = new Bench();
    expect(bench.set('shop/db', 1)).toEqual({
      id: 'id-shop/db',
      version: 1,
      unchanged: false,
      created: true,
    });
    expect(bench.set('shop/db', 2)).toMatchObject({ version: 2, unchanged: false, created: false });
    const row = bench.state.secretByName('SHOP/db');
    expect(row).toMatchObject({
      name: 'shop/db',
      currentVersion: 2,
      previousVersion: 1,
      latestVersion: 2,
      objectVersion: bench.state.appliedIndex,
    });
    const kept = bench.state.secretVersion('id-shop/db', 1);
    expect(kept?.sealed).toEqual({
      keyId: 1,
      wrappedDek: valueBytes(1, 90),
      envelope: valueBytes(2, 120),
      size: 64,
    });
    expect(kept?.createdBy).toEqual({ kind: 'admin', id: 'local' });
  });

  test('the same value as the current one makes no version unless forced', () => {
    const bench = new Bench();
    bench.set('a', 1);
    const before = bench.state.digest();
    expect(bench.set('a', 1)).toEqual({ id: 'id-a', version: 1, unchanged: true });
    expect(bench.state.digest()).toBe(before);
    expect(bench.ok(bench.setCommand('a', 1, { force: true }))).toMatchObject({ version: 2 });
    expect(bench.set('a', 2)).toMatchObject({ version: 3 });
    // The value of an older version is not the current one.
    expect(bench.set('a', 1)).toMatchObject({ version: 4, unchanged: false });
  });

  test('names are taken in any case', () => {
    const bench = new Bench();
    bench.set('name', 1);
    const refusal = bench.no('CV_NAME_TAKEN', bench.setCommand('NAME', 2, { createOnly: true }));
    expect(refusal.details).toEqual({ id: 'id-name' });
    expect(bench.set('NAME', 2)).toMatchObject({ id: 'id-name', version: 2 });
    expect(bench.state.secretById('id-name')?.name).toBe('name');
  });

  test('a value sealed for another version or secret is to be sealed again', () => {
    const bench = new Bench();
    bench.set('a', 1);
    const again = { retry: true, id: 'id-a', version: 2 };
    for (const fields of [{ version: 1 }, { version: 3 }, { secretId: 'id-b' }]) {
      const refusal = bench.no('CV_VERSION_STALE', bench.setCommand('a', 2, fields));
      expect(refusal.details).toEqual(again);
    }
    const fresh = bench.setCommand('b', 2, { secretId: 'id-a' });
    const refusal = bench.no('CV_VERSION_STALE', fresh);
    expect(refusal.details).toEqual({ retry: true, id: 'id-b', version: 1 });
  });

  test('an older object version is refused and the current one named', () => {
    const bench = new Bench();
    bench.set('a', 1);
    const read = bench.state.secretById('id-a')?.objectVersion ?? 0;
    bench.set('a', 2);
    const refusal = bench.no('CV_VERSION_STALE', bench.setCommand('a', 3, { objectVersion: read }));
    expect(refusal.details).toEqual({ current: read + 1 });
    expect(refusal.message).toContain(String(read + 1));
    bench.ok(bench.setCommand('a', 3, { objectVersion: read + 1 }));
    bench.no('CV_SECRET_NOT_FOUND', bench.setCommand('gone', 1, { objectVersion: 1 }));
  });

  test('labels and description count for a new secret only', () => {
    const bench = new Bench();
    const labels = { team: 'a', ['__proto__']: 'own' };
    bench.ok(bench.setCommand('a', 1, { labels, description: 'first' }));
    bench.ok(bench.setCommand('a', 2, { labels: {}, description: 'second' }));
    const row = bench.state.secretById('id-a');
    expect(Object.entries(row?.labels ?? {})).toEqual(Object.entries(labels));
    expect(row?.description).toBe('first');
  });

  test('an id is used once', () => {
    const bench = new Bench();
    bench.set('a', 1);
    const command = bench.setCommand('b', 1, { newId: 'id-a', secretId: 'id-a' });
    bench.no('CV_ARGUMENT_INVALID', command);
  });

  test('what a reader got cannot change the state', () => {
    const bench = new Bench();
    bench.set('a', 1);
    bench.state.secretVersion('id-a', 1)?.sealed?.envelope.fill(0);
    expect(bench.state.secretVersion('id-a', 1)?.sealed?.envelope).toEqual(valueBytes(2, 120));
  });
});

describe('updating the metadata of a secret', () => {
  test('touches no version', () => {
    const bench = new Bench();
    bench.set('a', 1);
    const update = (objectVersion: number) =>
      ({
        kind: 'secret.update',
        id: 'id-a',
        objectVersion,
        labels: { x: 'y' },
        description: 'd',
      }) as const;
    bench.ok(update(bench.state.appliedIndex));
    expect(bench.state.secretById('id-a')).toMatchObject({
      labels: { x: 'y' },
      description: 'd',
      currentVersion: 1,
      latestVersion: 1,
    });
    bench.no('CV_VERSION_STALE', update(1));
    bench.ok(update(0));
    bench.no('CV_SECRET_NOT_FOUND', { ...update(0), id: 'nobody' });
  });
});

describe('rolling back', () => {
  test('moves the pointer and adds a revision with who and when', () => {
    const bench = new Bench();
    for (const seed of [1, 2, 3]) bench.set('a', seed);
    const by = { kind: 'admin', id: 'eve' } as const;
    bench.ok({ kind: 'admin.create', admin: adminFields('eve') });
    expect(bench.ok(rollback('id-a', 1), { by })).toMatchObject({ version: 1, unchanged: false });
    expect(bench.state.secretById('id-a')).toMatchObject({
      currentVersion: 1,
      previousVersion: 3,
      latestVersion: 3,
    });
    const history = bench.state.secretHistory('id-a');
    expect(history.map(({ revision, what, version }) => [revision, what, version])).toEqual([
      [1, 'set', 1],
      [2, 'set', 2],
      [3, 'set', 3],
      [4, 'rollback', 1],
    ]);
    expect(history[3]).toMatchObject({ by, atMs: bench.atMs, index: bench.state.appliedIndex });
    expect(bench.set('a', 4)).toMatchObject({ version: 4 });
  });

  test('0 means the previous version', () => {
    const bench = new Bench();
    bench.set('a', 1);
    bench.no('CV_VERSION_NOT_FOUND', rollback('id-a', 0));
    bench.set('a', 2);
    expect(bench.ok(rollback('id-a', 0))).toMatchObject({ version: 1 });
    expect(bench.ok(rollback('id-a', 0))).toMatchObject({ version: 2 });
    expect(bench.ok(rollback('id-a', 2))).toMatchObject({ unchanged: true });
  });

  test('needs a live version of a secret that exists', () => {
    const bench = new Bench();
    bench.set('a', 1);
    bench.set('a', 2);
    bench.ok(destroy('id-a', 1));
    bench.no('CV_VERSION_NOT_FOUND', rollback('id-a', 1));
    bench.no('CV_VERSION_NOT_FOUND', rollback('id-a', 9));
    bench.no('CV_SECRET_NOT_FOUND', rollback('nobody', 1));
    // The previous version is gone, so there is nothing to go back to.
    expect(bench.state.secretById('id-a')?.previousVersion).toBe(0);
    bench.no('CV_VERSION_NOT_FOUND', rollback('id-a', 0));
  });
});

describe('destroying a version', () => {
  test('drops key and ciphertext, keeps the line', () => {
    const bench = new Bench();
    bench.set('a', 1);
    bench.set('a', 2);
    bench.ok(destroy('id-a', 1));
    expect(bench.state.secretVersion('id-a', 1)).toMatchObject({ version: 1, sealed: undefined });
    expect(bench.state.secretVersions('id-a').map((row) => row.isDestroyed)).toEqual([true, false]);
    expect(bench.state.secretVersionInfo('id-a', 1)).toEqual(bench.state.secretVersions('id-a')[0]);
    expect(bench.state.secretVersionInfo('id-a', 9)).toBeUndefined();
    expect(bench.state.secretHistory('id-a').at(-1)).toMatchObject({ what: 'destroy', version: 1 });
    bench.no('CV_VERSION_NOT_FOUND', destroy('id-a', 1));
    bench.no('CV_SECRET_NOT_FOUND', destroy('nobody', 1));
  });

  test('is refused for the current and for pinned versions, naming the users', () => {
    const bench = new Bench();
    bench.set('a', 1);
    bench.set('a', 2);
    bench.service('pinned', { bindings: [bindingSpec({ secretId: 'id-a', version: 1 })] });
    const pinned = bench.no('CV_SECRET_IN_USE', destroy('id-a', 1));
    expect(pinned.details['users']).toEqual(['service pinned']);
    const current = bench.no('CV_SECRET_IN_USE', destroy('id-a', 2));
    expect(current.details['users']).toEqual(['the pointer of secret a']);
    bench.service('follows', { bindings: [bindingSpec({ secretId: 'id-a' })] });
    expect(bench.no('CV_SECRET_IN_USE', destroy('id-a', 2)).details['userCount']).toBe(2);
    bench.ok(destroy('id-a', 1, true));
    bench.ok(destroy('id-a', 2, true));
    // The same value again is a new version: the current one is not there any more.
    expect(bench.set('a', 2)).toMatchObject({ version: 3, unchanged: false });
  });

  test('is refused for what a live task of an older spec holds', () => {
    const bench = new Bench();
    bench.node('n1');
    bench.set('a', 1);
    bench.set('a', 2);
    const bindings = [bindingSpec({ secretId: 'id-a', version: 1 })];
    const serviceId = bench.service('web', { bindings });
    bench.task('t1', serviceId, 'n1');
    const { spec } = bench.state.serviceById(serviceId) ?? {};
    if (spec === undefined) throw new Error('no service');
    const unbound = { ...spec, bindings: [] };
    bench.ok({ kind: 'service.update', id: serviceId, spec: unbound, objectVersion: 0 });
    const refusal = bench.no('CV_SECRET_IN_USE', destroy('id-a', 1));
    expect(refusal.details['users']).toEqual(['task t1 of web']);
    bench.report('t1', 'COMPLETE');
    bench.ok(destroy('id-a', 1));
  });
});

describe('removing a secret', () => {
  test('twice: done, then not found; the name is free again', () => {
    const bench = new Bench();
    bench.set('a', 1);
    bench.ok({ kind: 'secret.remove', id: 'id-a' });
    expect(bench.state.secretVersion('id-a', 1)).toBeUndefined();
    expect(bench.state.secretHistory('id-a')).toEqual([]);
    expect(bench.state.counts()).toMatchObject({ secrets: 0, versions: 0 });
    bench.no('CV_SECRET_NOT_FOUND', { kind: 'secret.remove', id: 'id-a' });
    const command = bench.setCommand('A', 1, { newId: 'id-2', secretId: 'id-2' });
    expect(bench.ok(command)).toMatchObject({ id: 'id-2', version: 1 });
  });

  test('is refused while services use it, naming at most 20 in order', () => {
    const bench = new Bench();
    bench.set('a', 1);
    const bindings = [bindingSpec({ secretId: 'id-a' })];
    for (let number = 25; number >= 1; number -= 1) bench.service(`s${number}`, { bindings });
    const refusal = bench.no('CV_SECRET_IN_USE', { kind: 'secret.remove', id: 'id-a' });
    expect(refusal.details['userCount']).toBe(25);
    const named = Array.from({ length: 20 }, (_, place) => `service s${place + 1}`);
    expect(refusal.details['users']).toEqual(named);
    expect(refusal.message).toContain('and 5 more');
  });

  test('is refused while a live task of a service that is being removed uses it', () => {
    const bench = new Bench();
    bench.node('n1');
    bench.set('a', 1);
    const serviceId = bench.service('web', { bindings: [bindingSpec({ secretId: 'id-a' })] });
    bench.task('t1', serviceId, 'n1');
    bench.ok({ kind: 'service.remove', id: serviceId });
    const refusal = bench.no('CV_SECRET_IN_USE', { kind: 'secret.remove', id: 'id-a' });
    expect(refusal.details['users']).toEqual(['task t1 of web']);
    bench.report('t1', 'SHUTDOWN');
    bench.ok({ kind: 'secret.remove', id: 'id-a' });
  });
});

describe('listing secrets', () => {
  test('is in natural order and by prefix', () => {
    const bench = new Bench();
    for (const name of ['b/10', 'b/9', 'A/2', 'a/1', 'c']) bench.set(name, 1);
    const list = (prefix?: string) => [...bench.state.secrets(prefix)].map((row) => row.name);
    expect(list()).toEqual(['a/1', 'A/2', 'b/9', 'b/10', 'c']);
    expect(list('a/')).toEqual(['a/1', 'A/2']);
    expect(list('B/1')).toEqual(['b/10']);
    expect(list('nothing')).toEqual([]);
  });

  test('a secret that goes while somebody reads is left out', () => {
    const bench = new Bench();
    for (const name of ['a', 'b', 'c']) bench.set(name, 1);
    const seen: string[] = [];
    for (const row of bench.state.secrets()) {
      seen.push(row.name);
      if (row.name === 'a') bench.ok({ kind: 'secret.remove', id: 'id-b' });
    }
    expect(seen).toEqual(['a', 'c']);
  });
});

describe('what is kept of a secret', () => {
  test('the history is bounded, revisions go on', () => {
    const bench = new Bench();
    bench.set('a', 1);
    bench.set('a', 2);
    const count = limits.SECRET_HISTORY_COUNT_MAX;
    for (let revision = 3; revision <= count + 3; revision += 1) bench.ok(rollback('id-a', 0));
    const history = bench.state.secretHistory('id-a');
    expect(history).toHaveLength(count);
    expect(history[0]).toMatchObject({ revision: 4, what: 'rollback', secretId: 'id-a' });
    expect(history.at(-1)).toMatchObject({ revision: count + 3, index: bench.state.appliedIndex });
    expect(restoreState(bench.state.freeze().chunks()).secretHistory('id-a')).toEqual(history);
  });

  test('versions that are not among the newest are collected unless somebody needs them', () => {
    const bench = new Bench();
    const kept = limits.SECRET_VERSIONS_KEPT;
    for (const seed of [1, 2, 3, 4]) bench.set('a', seed);
    bench.service('web', { bindings: [bindingSpec({ secretId: 'id-a', version: 2 })] });
    bench.ok(destroy('id-a', 3));
    for (let seed = 5; seed <= kept + 4; seed += 1) bench.set('a', seed);
    const versions = bench.state.secretVersions('id-a');
    expect(versions.map((row) => row.version)).toEqual([
      2,
      ...Array.from({ length: kept }, (_, place) => place + 5),
    ]);
    expect(versions.every((row) => !row.isDestroyed)).toBe(true);
    const collected = bench.state
      .secretHistory('id-a')
      .filter(({ what, by }) => what === 'destroy' && by.kind === 'system');
    expect(collected.map((event) => event.version)).toEqual([1, 4]);
    expect(bench.state.counts().versions).toBe(kept + 1);
    bench.ok({ kind: 'service.remove', id: 'service-web' });
    bench.set('a', 1000);
    expect(bench.state.secretVersion('id-a', 2)).toBeUndefined();
  });

  test('the version before the current one is never collected', () => {
    const bench = new Bench();
    bench.set('a', 1);
    const kept = limits.SECRET_VERSIONS_KEPT;
    for (let seed = 2; seed <= kept; seed += 1) bench.set('a', seed);
    bench.ok(rollback('id-a', 1));
    bench.set('a', 1000);
    expect(bench.state.secretById('id-a')).toMatchObject({ previousVersion: 1 });
    expect(bench.state.secretVersion('id-a', 1)?.sealed).toBeDefined();
    bench.set('a', 1001);
    expect(bench.state.secretVersion('id-a', 1)).toBeUndefined();
  });
});
