import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import type { ConclaveClient, Task } from '@conclave/client';
import { SecretBytes } from '@conclave/sealed';
import type { RunResult } from '@conclave/testing';
import { Cluster, expectRefused, PLANTED, refusalOf } from './support.js';

const MIB = 1024 * 1024;
const DAY_MS = 24 * 3_600_000;
let cluster: Cluster;
let client: ConclaveClient;

beforeAll(async () => {
  cluster = await Cluster.start({ tag: 'cinput', managers: 1, workers: 1 });
  client = await cluster.client();
  await cluster.set('known', 'v');
});
afterAll(() => cluster?.close());

const conclave = (args: readonly string[], input?: Uint8Array | string): Promise<RunResult> =>
  cluster.seed.conclave(args, input === undefined ? {} : { input });

const long = (count: number, letter = 'a'): string => letter.repeat(count);

async function namesOf(list: AsyncIterable<{ readonly name: string }>): Promise<string[]> {
  const names: string[] = [];
  for await (const { name } of list) names.push(name);
  return names;
}

describe('names of secrets', () => {
  test.each([
    ['nothing', ''],
    ['254 bytes', `${[long(63), long(63), long(63), long(62)].join('/')}`],
    ['a dash in front', '-a'],
    ['a dash at the end', 'a-'],
    ['a space', 'a b'],
    ['an empty segment', 'a//b'],
    ['a slash in front', '/a'],
    ['a slash at the end', 'a/'],
    ['a way up', 'a/../b'],
    ['a letter that is not ASCII', 'ä'],
    ['a sign that folds to a letter', '\u212a'],
    ['a segment of 64', long(64)],
    ['a line feed', 'a\n'],
    ['a NUL', 'a\0b'],
  ])('%s: refused with the rule, nothing is stored', async (_what, name) => {
    const before = await namesOf(client.secrets.list());
    await expectRefused(cluster.set(name, PLANTED), 'CV_NAME_INVALID', /secret name/);
    expect(await namesOf(client.secrets.list())).toEqual(before);
  });

  test.each([
    '0',
    'a',
    'shop/db',
    'name-with--dashes',
    'name.with..dots',
    long(63),
    [long(63), long(63), long(63), long(61)].join('/'),
  ])('%s: accepted', async (name) => {
    expect(await cluster.set(name, 'v')).toBe(1);
  });

  test('the command refuses the same names, with one sentence and one hint', async () => {
    for (const name of ['', 'a//b', 'ä']) {
      const refused = refusalOf(await conclave(['secret', 'set', name], PLANTED));
      expect(refused).toMatchObject({ code: 64, error: expect.stringMatching(/^secret name/) });
      expect(refused.hint).not.toBe('');
    }
  });

  test('upper and lower case are one name', async () => {
    await cluster.set('Folded/Name', 'one');
    const taken = refusalOf(await conclave(['secret', 'set', 'FOLDED/name', '--create-only'], 'x'));
    expect(taken).toMatchObject({ code: 65, error: expect.stringMatching(/exists/) });
    expect(await cluster.set('folded/name', 'two')).toBe(2);
    expect(await namesOf(client.secrets.list({ namePrefix: 'Folded' }))).toEqual(['Folded/Name']);
  });
});

describe('values', () => {
  test('none, and none at all', async () => {
    expect(refusalOf(await conclave(['secret', 'set', 'empty'], ''))).toMatchObject({
      code: 64,
      error: expect.stringMatching(/empty/),
    });
    const absent = await conclave(['secret', 'set', 'empty', '--from-file', '/no/such/file']);
    expect(refusalOf(absent)).toMatchObject({ code: 64, error: expect.stringMatching(/ENOENT/) });
    await expectRefused(client.secrets.get('empty'), 'CV_SECRET_NOT_FOUND');
  });

  test('one byte more than the limit, and a stream without an end', async () => {
    const over = await conclave(['secret', 'set', 'large'], new Uint8Array(MIB + 1));
    expect(refusalOf(over)).toMatchObject({
      code: 65,
      error: expect.stringMatching(new RegExp(`${MIB} bytes`)),
    });
    const endless = await conclave(['secret', 'set', 'large', '--from-file', '/dev/zero']);
    expect(refusalOf(endless)).toMatchObject({ code: 65 });
    await expectRefused(client.secrets.get('large'), 'CV_SECRET_NOT_FOUND');
  });

  test('on the command line: refused with the advice, and not repeated', async () => {
    const refused = await conclave(['secret', 'set', 'typed', PLANTED]);
    expect(refusalOf(refused)).toMatchObject({
      code: 64,
      error: expect.stringMatching(/command line/),
      hint: expect.stringMatching(/Pipe it/),
    });
    expect(refused.stderr + refused.stdout).not.toContain(PLANTED);
  });

  test('one byte, every byte, and exactly the limit arrive byte for byte', async () => {
    const every = Uint8Array.from({ length: 1024 }, (_, at) => at & 255);
    const text = Buffer.from('a\0b\r\nc\x1a\n\n', 'latin1');
    const largest = Uint8Array.from({ length: MIB }, (_, at) => (at * 31 + (at >> 8)) & 255);
    const values = { one: Uint8Array.of(0), every, text, largest };
    for (const [name, value] of Object.entries(values)) {
      const set = await conclave(['secret', 'set', `exact/${name}`, '-q'], value);
      expect({ name, code: set.code, stderr: set.stderr }).toEqual({ name, code: 0, stderr: '' });
    }
    const bindings = Object.keys(values).map((name) => ({ secretName: `exact/${name}` }));
    await client.services.create({ name: 'exact', command: ['sleep', '1000'], bindings });
    const [task] = await cluster.running('exact', 1);
    for (const [name, value] of Object.entries(values)) {
      const content = await cluster.contentOf(task as Task, name);
      expect({ name, isSame: content.equals(value) }).toEqual({ name, isSame: true });
    }
    await client.services.remove('exact');
  });

  test('the same value makes no version unless forced', async () => {
    await cluster.set('same', 'v');
    const again = await conclave(['secret', 'set', 'same', '-o', 'json'], 'v');
    expect(JSON.parse(again.stdout)).toMatchObject({ version: 1, unchanged: true });
    const forced = await conclave(['secret', 'set', 'same', '--force', '-o', 'json'], 'v');
    expect(JSON.parse(forced.stdout)).toMatchObject({ version: 2, unchanged: false });
  });
});

describe('changes of what has changed', () => {
  test('a stale object version is refused with what is current', async () => {
    await cluster.set('stale', 'one');
    const { objectVersion } = await client.secrets.get('stale');
    await cluster.set('stale', 'two');
    const change = { objectVersion, labels: {}, description: '' };
    const act = client.secrets.update('stale', change);
    const { objectVersion: current } = await client.secrets.get('stale');
    await expectRefused(act, 'CV_VERSION_STALE', new RegExp(String(current)));
    await expectRefused(
      client.secrets.update('stale', { ...change, objectVersion: 0 }),
      'CV_ARGUMENT_INVALID',
      /version/,
    );
  });

  test('name and mode of a service cannot change, and no spec is no update', async () => {
    const spec = { name: 'fixed', command: ['true'], replicas: 0 };
    const { service } = await client.services.create(spec);
    const objectVersion = service?.objectVersion ?? 0;
    const change = (fields: object): Promise<unknown> =>
      client.services.update('fixed', { objectVersion, spec: { ...spec, ...fields } });
    await expectRefused(change({ name: 'other' }), 'CV_ARGUMENT_INVALID', /name cannot change/);
    const isGlobal = change({ mode: 'global', replicas: undefined });
    await expectRefused(isGlobal, 'CV_ARGUMENT_INVALID', /mode cannot change/);
    const none = client.services.update('fixed', { objectVersion, spec: undefined as never });
    await expectRefused(none, 'CV_ARGUMENT_INVALID', /spec is missing/);
    await change({ replicas: 1, command: ['sleep', '1'] });
    await expectRefused(change({ replicas: 2 }), 'CV_VERSION_STALE');
    await client.services.remove('fixed');
  });

  test('a repeated request is done once; the key for another request is refused', async () => {
    const key = { idempotencyKey: 'k'.repeat(64) };
    const spec = { name: 'keyed', command: ['true'], replicas: 0 };
    const first = await client.services.create(spec, key);
    expect(await client.services.create(spec, key)).toEqual(first);
    const other = client.services.create({ ...spec, name: 'other' }, key);
    await expectRefused(other, 'CV_IDEMPOTENCY_REUSED');
    const long65 = { idempotencyKey: 'k'.repeat(65) };
    await expectRefused(client.services.remove('keyed', long65), 'CV_ARGUMENT_INVALID', /64/);
    await client.services.remove('keyed');
  });

  test('a used secret is not removed, and its users are named; an unused one goes once', async () => {
    await cluster.set('used', 'v');
    for (const name of ['user-1', 'user-2']) {
      const bindings = [{ secretName: 'used' }];
      await client.services.create({ name, command: ['true'], replicas: 0, bindings });
    }
    const refused = refusalOf(await conclave(['secret', 'rm', 'used', '--yes']));
    expect(refused).toMatchObject({
      code: 65,
      error: expect.stringMatching(/service user-1, service user-2/),
    });
    expect((await client.secrets.get('used')).usedBy).toEqual(['user-1', 'user-2']);
    for (const name of ['user-1', 'user-2']) await client.services.remove(name);
    expect((await conclave(['secret', 'rm', 'used', '--yes'])).code).toBe(0);
    expect(refusalOf(await conclave(['secret', 'rm', 'used', '--yes']))).toMatchObject({
      code: 66,
      error: expect.stringMatching(/no secret has this name/),
    });
  });

  test('without a terminal and --yes nothing is destroyed', async () => {
    const refused = refusalOf(await conclave(['secret', 'rm', 'known']));
    expect(refused).toMatchObject({ code: 64, hint: expect.stringMatching(/--yes/) });
    expect((await client.secrets.get('known')).currentVersion).toBe(1);
  });
});

describe('what does not exist', () => {
  const NOBODY = 'a'.repeat(26);

  test.each([
    ['a secret', 'CV_SECRET_NOT_FOUND', (id: string) => client.secrets.get(id)],
    ['a service', 'CV_SERVICE_NOT_FOUND', (id: string) => client.services.get(id)],
    ['a task', 'CV_TASK_NOT_FOUND', (id: string) => client.tasks.get(id)],
    ['a node', 'CV_NODE_NOT_FOUND', (id: string) => client.nodes.get(id)],
  ])('%s: by an unknown id, an unknown name, nothing', async (_what, code, get) => {
    await expectRefused(get(NOBODY), code);
    await expectRefused(get(PLANTED), code);
    await expectRefused(get(''), 'CV_ARGUMENT_INVALID', /missing/);
    await expectRefused(get(long(254)), 'CV_ARGUMENT_INVALID', /253/);
  });

  test('a token to revoke, a version to go back to, a service to scale', async () => {
    await expectRefused(client.tokens.revoke(PLANTED), 'CV_ARGUMENT_INVALID', /id/);
    await expectRefused(client.tokens.revoke(long(13)), 'CV_TOKEN_NOT_FOUND');
    await expectRefused(client.secrets.rollback('known', 7), 'CV_VERSION_NOT_FOUND');
    await expectRefused(client.services.scale(PLANTED, 1), 'CV_SERVICE_NOT_FOUND');
  });

  test('lists that nothing matches are empty, in every form', async () => {
    const list = ['secret', 'ls', '-f', 'name=nobody'];
    expect((await conclave(list)).stdout.trimEnd().split('\n')).toHaveLength(1);
    expect((await conclave([...list, '-q'])).stdout).toBe('');
    expect(JSON.parse((await conclave([...list, '-o', 'json'])).stdout)).toEqual([]);
    expect(JSON.parse(await cluster.seed.ok(['service', 'ls', 'none/', '-o', 'json']))).toEqual([]);
  });

  test('tokens out of their limits', async () => {
    const create = (fields: object): Promise<unknown> =>
      client.tokens.create({ role: 'worker', ...fields });
    await expectRefused(create({ role: PLANTED }), 'CV_ARGUMENT_INVALID', /role/);
    await expectRefused(create({ uses: 10_001 }), 'CV_ARGUMENT_INVALID', /uses/);
    await expectRefused(create({ ttlMs: 30 * DAY_MS + 1 }), 'CV_ARGUMENT_INVALID', /ttl_ms/);
    await expectRefused(create({ ttlMs: 999 }), 'CV_ARGUMENT_INVALID', /ttl_ms/);
    await create({ uses: 10_000, ttlMs: 30 * DAY_MS });
  });
});

describe('forms of output', () => {
  test('a table, ids, a filter, a template, in natural order', async () => {
    for (const name of ['order/a10', 'order/a9', 'order/a1']) await cluster.set(name, 'v');
    const list = ['secret', 'ls', 'order/'];
    const ids = (await conclave([...list, '-q'])).stdout.trimEnd().split('\n');
    expect(ids).toHaveLength(3);
    const named = await conclave([...list, '--format', '{{.name}}']);
    expect(named.stdout).toBe('order/a1\norder/a9\norder/a10\n');
    const wrong = refusalOf(await conclave([...list, '--format', '{{.value}}']));
    expect(wrong).toMatchObject({ code: 64, error: expect.stringMatching(/fields are/) });
  });

  test('no output has a field for a value', async () => {
    const value = SecretBytes.take(new TextEncoder().encode(PLANTED));
    await client.secrets.set('planted', value);
    value.wipe();
    for (const command of [
      ['secret', 'get', 'planted'],
      ['secret', 'history', 'planted'],
      ['secret', 'ls', 'planted'],
    ]) {
      expect(await cluster.seed.ok([...command, '-o', 'json'])).not.toContain(PLANTED);
    }
  });
});
