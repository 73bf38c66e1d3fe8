import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import type { ConclaveClient, ServiceSpecInput, Task } from '@conclave/client';
import type { RunResult } from '@conclave/testing';
import { Cluster, expectRefused, PLANTED, refusalOf } from './support.js';

const DAY_MS = 24 * 3_600_000;

let cluster: Cluster;
let client: ConclaveClient;

beforeAll(async () => {
  cluster = await Cluster.start({ tag: 'cspec', managers: 1, workers: 1 });
  client = await cluster.client();
  for (const name of ['known', 'shop/db']) await cluster.set(name, 'v');
});
afterAll(() => cluster?.close());

const conclave = (args: readonly string[]): Promise<RunResult> => cluster.seed.conclave(args);
const long = (count: number): string => 'a'.repeat(count);

describe('specs of services, at and past every limit', () => {
  const binding = { secretName: 'known' };
  const keys = (count: number): Record<string, string> =>
    Object.fromEntries(Array.from({ length: count }, (_, at) => [`k${at}`, 'v']));
  const targets = (count: number): ServiceSpecInput['bindings'] =>
    Array.from({ length: count }, (_, at) => ({ ...binding, target: `t${at}` }));
  const bound = (fields: object): ServiceSpecInput => ({ bindings: [{ ...binding, ...fields }] });
  const words = (count: number): string[] => ['true', ...Array<string>(count - 1).fill('x')];
  const restart = (fields: object): ServiceSpecInput => ({ restart: { ...fields } });
  const update = (fields: object): ServiceSpecInput => ({ update: { ...fields } });

  const rows: [field: RegExp, atLimit: ServiceSpecInput, past: ServiceSpecInput][] = [
    [/service name/, { name: long(63) }, { name: long(64) }],
    [/labels/, { labels: keys(64) }, { labels: keys(65) }],
    [/labels/, { labels: { [long(128)]: 'v' } }, { labels: { [long(129)]: 'v' } }],
    [/labels/, { labels: { k: long(256) } }, { labels: { k: long(257) } }],
    [/labels/, { labels: { k: '' } }, { labels: { '': 'v' } }],
    [/spec\.bindings has/, { bindings: targets(200) }, { bindings: targets(201) }],
    [/bindings\[0\]/, bound({ target: long(255) }), bound({ target: long(256) })],
    [/bindings\[0\]\.uid/, bound({ uid: 2 ** 32 - 2 }), bound({ uid: 2 ** 32 - 1 })],
    [/bindings\[0\]\.gid/, bound({ gid: 2 ** 32 - 2 }), bound({ gid: 2 ** 32 - 1 })],
    [/bindings\[0\]: mode/, bound({ mode: 0o755 }), bound({ mode: 0o777 })],
    [/bindings\[0\]: mode/, bound({ mode: 0o444 }), bound({ mode: 0o4444 })],
    [/bindings\[0\]: mode/, bound({ mode: 0 }), bound({ mode: 0o420 })],
    [/spec\.replicas/, { replicas: 0 }, { replicas: 10_001 }],
    [/replicas_per_node/, { replicasPerNodeMax: 10_000 }, { replicasPerNodeMax: 10_001 }],
    [
      /spec\.constraints has/,
      { constraints: Array<string>(32).fill('node.id==x') },
      { constraints: Array<string>(33).fill('node.id==x') },
    ],
    [
      /spec\.constraints\[0\]/,
      { constraints: [`node.id==${long(503)}`] },
      { constraints: [`node.id==${long(504)}`] },
    ],
    [/node\.labels\.KEY/, { constraints: ['node.labels.a!=b'] }, { constraints: ['node.ip==b'] }],
    [/spec\.command/, { command: words(256) }, { command: words(257) }],
    [/spec\.command/, { command: [long(65_535)] }, { command: [long(65_536)] }],
    [/spec\.env/, { env: keys(256) }, { env: keys(257) }],
    [/spec\.env/, { env: { _A1: '' } }, { env: { '1A': '' } }],
    [
      /spec\.working_directory/,
      { workingDirectory: `/${long(4_095)}` },
      { workingDirectory: `/${long(4_096)}` },
    ],
    [/spec\.user/, { user: '4294967294:0' }, { user: '4294967295:0' }],
    [/restart\.delay_ms/, restart({ delayMs: DAY_MS }), restart({ delayMs: DAY_MS + 1 })],
    [/restart\.attempts/, restart({ attemptsMax: 0 }), restart({ attemptsMax: 2 ** 31 })],
    [
      /restart\.window_ms/,
      restart({ windowMs: 30 * DAY_MS }),
      restart({ windowMs: 30 * DAY_MS + 1 }),
    ],
    [/update\.parallelism/, update({ parallelism: 10_000 }), update({ parallelism: 10_001 })],
    [/update\.delay_ms/, update({ delayMs: DAY_MS }), update({ delayMs: DAY_MS + 1 })],
    [/update\.order/, update({ order: 'start-first' }), update({ order: 'sideways' })],
    [/stop_grace_ms/, { stopGraceMs: 3_600_000 }, { stopGraceMs: 3_600_001 }],
    [/stop_signal/, { stopSignal: 'USR1' }, { stopSignal: 'NONE' }],
  ];

  test.each(rows.map((row, at) => [at, ...row] as const))(
    'row %d: %s',
    async (at, field, atLimit, past) => {
      const base = { name: `limit-${at}`, command: ['true'], replicas: 0 };
      const refused = client.services.create({ ...base, ...past });
      await expectRefused(
        refused,
        field.source.includes('name') && 'name' in past ? 'CV_NAME_INVALID' : 'CV_ARGUMENT_INVALID',
        field,
      );
      const { service } = await client.services.create({ ...base, ...atLimit });
      await client.services.remove(service?.id ?? '');
    },
  );

  test.each(['../x', '/etc/x', 'a/b', '.', '..', '....//', 'a\0b', 'x.', 'x ', ' x', 'a\nb'])(
    'the target %j is refused',
    async (target) => {
      const spec = { name: 'target', command: ['true'], replicas: 0, ...bound({ target }) };
      await expectRefused(client.services.create(spec), 'CV_ARGUMENT_INVALID', /target/);
    },
  );

  test('a reference without a name, with the id of another, to nothing', async () => {
    const create = (fields: object): Promise<unknown> =>
      client.services.create({ name: 'ref', command: ['true'], replicas: 0, ...bound(fields) });
    await expectRefused(create({ secretName: '' }), 'CV_NAME_INVALID', /bindings\[0\]/);
    const { id } = await client.secrets.get('shop/db');
    await expectRefused(create({ secretId: id }), 'CV_ARGUMENT_INVALID', /secret_id/);
    await expectRefused(create({ secretName: PLANTED }), 'CV_SECRET_NOT_FOUND', /bindings\[0\]/);
    await expectRefused(create({ version: 9 }), 'CV_VERSION_NOT_FOUND', /version/);
    const fits = await client.secrets.get('known');
    await create({ secretId: fits.id, target: 'one' });
    await client.services.remove('ref');
  });

  test('one secret at two targets is two files; one target twice is refused', async () => {
    const spec = { name: 'twice', command: ['sleep', '1000'] };
    const two = [binding, { ...binding, target: 'other' }];
    await client.services.create({ ...spec, bindings: two });
    const [task] = await cluster.running('twice', 1);
    for (const target of ['known', 'other']) {
      expect(String(await cluster.contentOf(task as Task, target))).toBe('v');
    }
    await expectRefused(
      client.services.create({ ...spec, name: 'clash', bindings: [binding, binding] }),
      'CV_ARGUMENT_INVALID',
      /bindings\[1\]/,
    );
    await expectRefused(client.services.create({ ...spec, name: 'TWICE' }), 'CV_NAME_TAKEN');
    await client.services.remove('twice');
  });

  test('long forms of --secret are read, duplicates and nonsense refused', async () => {
    const create = (secret: string): Promise<RunResult> =>
      conclave(['service', 'create', 'forms', '--replicas', '0', '--secret', secret, '--', 'true']);
    for (const [text, error] of [
      ['known:mode=0777', /mode must be octal/],
      ['known:mode=0400,mode=0400', /mode is given twice/],
      [`known:colour=${PLANTED}`, /settings are/],
    ] as const) {
      const refused = await create(text);
      expect(refusalOf(refused)).toMatchObject({ code: 64, error: expect.stringMatching(error) });
      expect(refused.stderr).not.toContain(PLANTED);
    }
    expect((await create('known@1:target=t,owner=7:8,mode=0440,on-change=signal:HUP')).code).toBe(
      0,
    );
    const { spec } = await client.services.get('forms');
    expect(spec?.bindings).toMatchObject([
      { version: 1, target: 't', uid: 7, gid: 8, mode: 0o440, onChange: { signal: 'HUP' } },
    ]);
    await client.services.remove('forms');
  });
});
